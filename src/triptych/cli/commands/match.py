"""`triptych match`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.text import Text

from triptych.cli.options import ImageOption, RunArgument
from triptych.console import make_console
from triptych.errors import DataError
from triptych.tables import Column, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.capabilities import Matches

    Floats = NDArray[np.floating[Any]]

ORDER = 70


def match(
    run: RunArgument,
    texts: Annotated[Optional[list[str]], typer.Argument(help="Texts to compare with.", show_default=False)] = None,
    image: ImageOption = None,
    file: Annotated[Optional[Path], typer.Option("--texts", help="A file with more texts, one a line.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Print so many texts of each picture.")] = 10,
) -> None:
    """Tell how well texts fit pictures, by a trained dual encoder (CLIP, SigLIP): cosines, the best text first.

    `triptych match runs/clip-mini --image picture.png "a dog on the left" "two lions"`
    `triptych match runs/clip-mini -i a.png -i b.png --texts captions.txt --top 3` takes a text a line from a file.

    Beside the cosine stands what the model makes of it: with CLIP's loss the share of each text among these, so add the texts
    that it should be told apart from; with SigLIP's how probable it is that the two belong together.
    """
    images = image or []
    candidates = [*(texts or []), *(_lines(file) if file is not None else [])]
    if not images:
        raise DataError("there is no picture: give one or several by --image")
    if not candidates:
        raise DataError("there is no text: give some behind the run's folder, or a file of them by --texts")
    from triptych.api import load
    from triptych.conversation import Image

    matcher: Matches = load(run).require("matches", str(run))
    cosines = matcher.similarity([Image(path) for path in images], candidates)
    make_console().print(table(images, candidates, cosines, matcher.shares(cosines), top, matcher.shares_are))


def table(images: Sequence[Path], texts: Sequence[str], cosines: Floats, share: Floats, top: int, title: str) -> Table:
    """A row per picture and text: `cosines` and `share` are `[N, M]`."""
    shown = Table(
        [Column("picture", key=True, grouped=True), Column("text", key=True), Column("cosine", number=True), Column(title, number=True)]
    )  # fmt: skip
    for row, path in enumerate(images):
        order = (-cosines[row]).argsort(kind="stable")[:top]
        for place, i in enumerate(order):
            style = "bold" if place == 0 else ""
            shown.row(
                path.name,
                Text(texts[i], style=style),
                Text(f"{cosines[row, i]:.3f}", style=style),
                Text(f"{share[row, i]:.1%}", style=style),
            )
        shown.section()
    return shown


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as lines of text ({error})") from error
