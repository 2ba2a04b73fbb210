"""The list of recipes, presets and studies that come with Triptych."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator

from triptych.recipe.included import Kind, included, the

HEADS: dict[Kind, str] = {
    "recipe": "recipes: triptych train NAME",
    "preset": "presets, published systems: triptych train NAME-mini, triptych plan NAME",
    "study": "studies: triptych study NAME",
}

FOOT = "A recipe of yours starts from one of them with `extends: NAME`. `triptych recipes NAME` prints its file."

NARROWEST = 24
"""Columns that a text has at least, however narrow the terminal is."""


def recipes(name: str | None) -> None:
    """Print a line for each, or the file of one.

    Raises:
        RecipeError: There is none of that name.
    """
    if name is not None:
        print(the(name, *HEADS).path.read_text(encoding="utf-8"), end="")
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(lines(width)))


def lines(width: int | None) -> Iterator[str]:
    """The list, wrapped to a width; without one, a line for each."""
    everything = included()
    column = max(map(len, everything)) + 4
    for kind, head in HEADS.items():
        yield _wrapped(head, width)
        for one in everything.values():
            if one.kind == kind:
                yield _wrapped(f"  {one.name}".ljust(column) + one.summary, width, column)
        yield ""
    yield _wrapped(FOOT, width)


def _wrapped(text: str, width: int | None, indent: int = 0) -> str:
    if width is None:
        return text
    return textwrap.fill(text, max(width, indent + NARROWEST), subsequent_indent=" " * indent, break_on_hyphens=False)
