"""`triptych recipes`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from triptych.console import make_console
from triptych.tables import Column, Table

if TYPE_CHECKING:
    from triptych.recipe.included import Kind

ORDER = 130

TITLES: dict[Kind, str] = {
    "recipe": "recipes: triptych train NAME",
    "preset": "presets, published systems: triptych train NAME-mini, triptych plan NAME",
    "study": "studies: triptych study NAME",
}


def recipes(
    name: Annotated[Optional[str], typer.Argument(help="Print the file of this one.", show_default=False)] = None,
) -> None:
    """List the recipes, presets and studies that come with Triptych, a line each; or print one's file."""
    if name is not None:
        from triptych.recipe.included import the

        print(the(name, *TITLES).path.read_text(encoding="utf-8"), end="")
        return
    console = make_console()
    for table in tables():
        console.print(table)
        console.print()
    foot = "A recipe of yours starts from one of them with `extends: NAME`. `triptych recipes NAME` prints its file."
    console.print(foot, markup=False, highlight=False)


def tables() -> Iterator[Table]:
    """A table for each kind, with a row for each name."""
    from triptych.recipe.included import included

    for kind, title in TITLES.items():
        table = Table([Column("name", key=True), Column("what", least=24)], title, heads=False, boxed=False)
        for item in included().values():
            if item.kind == kind:
                table.row(f"  {item.name}", item.summary)
        yield table
