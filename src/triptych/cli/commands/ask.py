"""`triptych ask`."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from triptych.cli.options import ImageOption, MaxNewTokensOption, RunArgument, TemperatureOption

ORDER = 40


def ask(
    run: RunArgument,
    question: Annotated[str, typer.Argument(help="What to ask.", show_default=False)],
    image: ImageOption = None,
    media: Annotated[
        Optional[list[str]],
        typer.Option(
            "--media", metavar="MODALITY:PATH", help="A medium of any modality that the run has an encoder for."
        ),
    ] = None,
    temperature: TemperatureOption = 0.0,
    max_new_tokens: MaxNewTokensOption = 64,
) -> None:
    """Ask a trained run one question about one or more pictures, or other media."""
    from triptych import GenerationSettings, load
    from triptych.conversation.modalities import medium_at

    model = load(run).require("answers", str(run))  # its recipe says which modalities there are
    shown = [medium_at(place) for place in [*(f"image:{path}" for path in image or ()), *(media or ())]]
    settings = GenerationSettings(temperature=temperature, max_new_tokens=max_new_tokens)
    typer.echo(model.ask(*shown, question, settings=settings))
