"""`triptych zoo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

from triptych.console import make_console
from triptych.tables import Column, Table

if TYPE_CHECKING:
    from triptych.zoo import Entry

ORDER = 140

PANELS = ("encoders", "adapters", "fusion", "language", "regions")

TOWERS = {"vision": "encoders", "text": "encoders", "encoder": "encoders", "qformer": "adapters"}
"""The column in which parts of a dual encoder stand, and those of BLIP-2's first stage."""


def zoo(
    name: Annotated[
        Optional[str], typer.Argument(help="A preset; all of them without one.", show_default=False)
    ] = None,
) -> None:
    """List the published systems that come as presets, with their parameters; or show one's recipe."""
    from triptych.zoo import entries, entry

    console = make_console()
    if name is None:
        console.print(table(entries()))
        console.print(
            "[dim]triptych zoo NAME shows a recipe, triptych train NAME-mini trains it here, triptych plan NAME tells what it "
            "costs, triptych verify NAME compares it with its reference[/]"
        )
    else:
        console.print(details(entry(name), console))


def table(presets: list[Entry]) -> Table:
    """A line a preset: parameters of the parts, stages, what it is, paper."""
    panels = (Column(panel, number=True) for panel in PANELS)
    shown = Table(
        [Column("preset", key=True, style="bold"), *panels, Column("stages", least=11), Column("paper", style="dim"), Column("what")],
        "presets",
    )  # fmt: skip
    for i, preset in enumerate(presets):
        first = i == 0 or preset.system != presets[i - 1].system
        if first and i:
            shown.section()
        shown.row(
            preset.preset,
            *[_panel(preset, panel) for panel in PANELS],
            ", ".join(stage.name for stage in preset.recipe.stages),
            preset.system.paper.removeprefix("https://arxiv.org/abs/") if first else "",
            preset.system.what if first else "",
        )
    return shown


def details(preset: Entry, console: Console) -> RenderableType:
    """What a preset is, its parts, what each stage trains, and the recipe as it is written."""
    from rich.syntax import Syntax

    from triptych.recipe.included import preset_path

    stages = (Column(stage.name) for stage in preset.recipe.stages)
    parts = Table([Column("part", key=True), Column("parameters", number=True), *stages], "parts")
    for part in preset.parts:
        trained = [_trains(stage.train, part.name) for stage in preset.recipe.stages]
        states = [Text("trained", style="green") if trains else Text("frozen") for trains in trained]
        parts.row(part.name, f"{part.parameters:,}", *states)
    recipe = preset_path(preset.preset).read_text(encoding="utf-8").rstrip()
    return Group(
        Text.assemble((preset.system.title, "bold"), f": {preset.system.what}. {preset.system.paper}"),
        parts,
        Syntax(recipe, "yaml", background_color="default", word_wrap=True) if console.is_terminal else Text(recipe),
    )


def _trains(trained: list[str], part: str) -> bool:
    """Whether a stage trains a part or something inside it."""
    return any(f"{part}.".startswith(f"{name}.") or f"{name}.".startswith(f"{part}.") for name in trained)


def _panel(preset: Entry, panel: str) -> str:
    count = sum(part.parameters for part in preset.parts if TOWERS.get(part.name, part.name.split(".")[0]) == panel)
    return short(count) if count else ""


def short(count: int) -> str:
    """`6.74 B`, `21.0 M`, `4.1 k`."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
