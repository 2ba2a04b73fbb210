"""`triptych ask`."""

from __future__ import annotations

from typing import Annotated

import typer

from triptych.cli.options import ImageOption, MaxNewTokensOption, RunArgument, TemperatureOption

ORDER = 40


def ask(
    run: RunArgument,
    question: Annotated[str, typer.Argument(help="What to ask.", show_default=False)],
    image: ImageOption = None,
    temperature: TemperatureOption = 0.0,
    max_new_tokens: MaxNewTokensOption = 64,
) -> None:
    """Ask a trained run one question about one or more pictures."""
    from triptych import GenerationSettings, Image, load

    settings = GenerationSettings(temperature=temperature, max_new_tokens=max_new_tokens)
    model = load(run).require("answers", str(run))
    typer.echo(model.ask(*[Image(path) for path in image or ()], question, settings=settings))
