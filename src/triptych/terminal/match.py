"""Which text belongs to which picture, by a trained dual encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from triptych.api import load
from triptych.capabilities import Matches
from triptych.console import make_console
from triptych.conversation import Image
from triptych.errors import DataError
from triptych.tables import Column, Table

Floats = NDArray[np.floating[Any]]


def match(run: Path, images: Sequence[Path], texts: Sequence[str], file: Path | None = None, top: int = 10) -> None:
    """Print how well texts fit pictures, the best text of each picture first.

    Args:
        run: The folder of a trained dual encoder.
        images: Pictures.
        texts: Texts.
        file: A file with more of them, one a line.
        top: How many texts of each picture are printed.

    Raises:
        DataError: There is no picture or no text, or a file cannot be read.
        RecipeError: The run holds a model of another kind.
    """
    texts = [*texts, *(_lines(file) if file is not None else [])]
    if not images:
        raise DataError("there is no picture: give one or several by --image")
    if not texts:
        raise DataError("there is no text: give some behind the run's folder, or a file of them by --texts")
    matcher: Matches = load(run).require("matches", str(run))
    cosines = matcher.similarity([Image(path) for path in images], texts)
    make_console().print(table(images, texts, cosines, matcher.shares(cosines), top, matcher.shares_are))


def table(images: Sequence[Path], texts: Sequence[str], cosines: Floats, share: Floats, top: int, title: str) -> Table:
    """A row per picture and text: `cosines` and `share` are `[N, M]`."""
    found = Table(
        [Column("picture", key=True, grouped=True), Column("text", key=True), Column("cosine", number=True), Column(title, number=True)]
    )  # fmt: skip
    for row, path in enumerate(images):
        order = np.argsort(-cosines[row], kind="stable")[:top]
        for place, i in enumerate(order):
            style = "bold" if place == 0 else ""
            found.row(
                path.name,
                Text(texts[i], style=style),
                Text(f"{cosines[row, i]:.3f}", style=style),
                Text(f"{share[row, i]:.1%}", style=style),
            )
        found.section()
    return found


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as lines of text ({error})") from error
