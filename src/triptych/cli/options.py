"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

RecipeArgument = Annotated[
    Path,
    typer.Argument(
        help="A recipe file, or the name of one that comes with Triptych, such as quickstart or llava-mini "
        "([bold]triptych recipes[/] lists them).",
        show_default=False,
    ),
]
RunArgument = Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)]
Overrides = Annotated[
    Optional[list[str]],
    typer.Argument(help="Changes to the recipe, such as [bold]stages.0.learning_rate=1e-3[/].", show_default=False),
]
ImageOption = Annotated[
    Optional[list[Path]], typer.Option("--image", "-i", help="A picture; may be given several times.")
]
TemperatureOption = Annotated[float, typer.Option(help="0 always takes the most likely word.")]
MaxNewTokensOption = Annotated[int, typer.Option(help="An answer is cut after this many tokens.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the folder where it is there already.")]
