"""The tables of `triptych zoo`."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from triptych.recipe.included import preset_path
from triptych.zoo import Entry, entries, entry

PANELS = ("encoders", "adapters", "fusion", "language")

TOWERS = {"vision": "encoders", "text": "encoders"}
"""The column in which parts of a dual encoder stand."""


def zoo(name: str | None) -> None:
    """Print all presets, or everything about one.

    Raises:
        RecipeError: There is no preset of that name.
    """
    console = Console()
    if name is None:
        console.print(table(entries()))
        console.print(
            "[dim]triptych zoo NAME shows a recipe, triptych train NAME-mini trains it here, triptych plan NAME tells what it "
            "costs, triptych verify NAME compares it with its reference[/]"
        )
    else:
        console.print(details(entry(name)))


def table(found: list[Entry]) -> Table:
    """A line a preset: parameters of the parts, stages, paper."""
    shown = Table(title="presets", title_justify="left")
    shown.add_column("preset", style="bold", no_wrap=True)
    shown.add_column("what")
    for panel in PANELS:
        shown.add_column(panel, justify="right", no_wrap=True)
    shown.add_column("stages")
    shown.add_column("paper", style="dim", no_wrap=True)
    for i, one in enumerate(found):
        if i and one.system != found[i - 1].system:
            shown.add_section()
        first = i == 0 or one.system != found[i - 1].system
        shown.add_row(
            one.preset,
            one.system.what if first else "",
            *[_panel(one, panel) for panel in PANELS],
            ", ".join(stage.name for stage in one.recipe.stages),
            one.system.paper.removeprefix("https://arxiv.org/abs/") if first else "",
        )
    return shown


def details(one: Entry) -> RenderableType:
    """What a preset is, its parts, what each stage trains, and the recipe as it is written."""
    parts = Table(title="parts", title_justify="left")
    for column in ("part", "parameters", *[stage.name for stage in one.recipe.stages]):
        parts.add_column(column, justify="right" if column == "parameters" else "left")
    for part in one.parts:
        learns = ["trained" if _learns(part.name, stage.train) else "frozen" for stage in one.recipe.stages]
        parts.add_row(part.name, f"{part.parameters:,}", *[f"[green]{w}[/]" if w == "trained" else w for w in learns])
    return Group(
        Text.assemble((one.system.title, "bold"), f": {one.system.what}. {one.system.paper}"),
        parts,
        Syntax(preset_path(one.preset).read_text(encoding="utf-8").rstrip(), "yaml", background_color="default"),
    )


def _learns(part: str, trained: list[str]) -> bool:
    """Whether a stage trains a part or something inside it."""
    return any(f"{part}.".startswith(f"{name}.") or f"{name}.".startswith(f"{part}.") for name in trained)


def _panel(one: Entry, panel: str) -> str:
    count = sum(part.parameters for part in one.parts if TOWERS.get(part.name, part.name.split(".")[0]) == panel)
    return short(count) if count else "—"


def short(count: int) -> str:
    """`6.74 B`, `21.0 M`, `4.1 k`."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
