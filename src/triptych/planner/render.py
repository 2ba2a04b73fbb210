"""A plan for people: tables in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.planner.cost import CostPlan, StageCost
from triptych.report.numbers import count, duration, gibibytes, significant

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


def render(plan: CostPlan) -> Group:
    """Everything that a plan says, as tables and lists."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    several = f"{plan.count} × " if plan.count > 1 else ""
    blocks: list[object] = [
        Text.assemble((plan.name, "bold"), f" on {several}{plan.device.title}"),
        "",
        _parts(plan),
        "",
    ]
    if plan.stages:
        blocks += [_stages(plan), "", _memory(plan), ""]
    blocks.append(Text("What this rests on", style="bold"))
    blocks += [Padding(Text(f"• {line}"), (0, 0, 0, 1)) for line in assumptions(plan)]
    if plan.suggestions:
        blocks += ["", Text("What to do about it", style="bold")]
        blocks += [Padding(Text(f"• {line}"), (0, 0, 0, 1)) for line in plan.suggestions]
    return Group(*blocks)  # type: ignore[arg-type]


def assumptions(plan: CostPlan) -> list[str]:
    """What the figures rest on, in sentences."""
    device = plan.device
    lines = [
        f"{device.title}: {_tera(device.bfloat16)} in bfloat16, {_tera(device.float32)} in float32, "
        f"{gibibytes(device.memory)} ({device.origin}); {device.utilisation:.0%} of that speed is assumed",
        f"FLOPs: {plan.wording.flops}",
        "not counted: reading data, communication between devices, evaluation, checkpoints",
    ]
    for size in plan.datasets.values():
        records = "an unknown number of" if size.records is None else f"{size.records:,}"
        about = plan.wording.data.format(size)
        lines.append(f"data {size.name}: {records} records of {about} ({size.origin})")
    return lines


def _parts(plan: CostPlan) -> Table:
    from rich.table import Table

    table = Table(title="Parts", title_justify="left")
    table.add_column("part", no_wrap=True)
    table.add_column("size", justify="right")
    table.add_column("precision")
    table.add_column("weights", justify="right")
    for stage in plan.stages:
        table.add_column(stage.name)
    notes = [f"{modality}: {tokens:,} tokens each" for modality, tokens in plan.media_tokens.items()]
    for part in plan.parts:
        if part.whole is not None:
            notes.append(
                f"{part.name}: {count(part.parameters)} of {count(part.whole)} parameters; "
                "the layers behind the chosen one are not needed"
            )
        states = ["trained" if part.name in stage.trained else "[dim]frozen[/]" for stage in plan.stages]
        table.add_row(part.name, count(part.parameters), part.precision, gibibytes(part.bytes), *states)
    total = sum(part.bytes for part in plan.parts)
    table.add_section()
    table.add_row("all", count(plan.parameters), "", gibibytes(total))
    table.caption, table.caption_justify = "\n".join(notes) or None, "left"
    return table


def _stages(plan: CostPlan) -> Table:
    from rich.table import Table

    table = Table(title="Training", title_justify="left")
    table.add_column("")
    for stage in plan.stages:
        table.add_column(stage.name, justify="right")
    rows: list[tuple[str, list[str]]] = [
        ("parameters that learn", [count(stage.learned) for stage in plan.stages]),
        ("steps", [f"{stage.steps:,}" for stage in plan.stages]),
        *[(name, [count(getattr(stage, field)) for stage in plan.stages]) for name, field in plan.wording.counts],
        (plan.wording.row, [f"{stage.row:,.0f}" for stage in plan.stages]),
        ("micro-batches a step", [f"{stage.micro_batches:,}" for stage in plan.stages]),
    ]
    for name, values in rows:
        table.add_row(name, *values)
    table.add_section()
    kinds = list(dict.fromkeys(kind for stage in plan.stages for kind in stage.flops))
    for kind in kinds:
        table.add_row(kind, *[_share(stage, kind) for stage in plan.stages])
    table.add_row("all FLOPs", *[_scientific(stage.total_flops) for stage in plan.stages])
    table.add_section()
    table.add_row("time", *[f"[bold]{duration(stage.total_seconds)}[/]" for stage in plan.stages])
    if plan.count > 1:
        hours = [f"{plan.count * stage.total_seconds / 3600:,.1f}" for stage in plan.stages]
        table.add_row("device hours", *hours)
    if any(stage.cache_bytes for stage in plan.stages):
        caches = [f"{stage.cache_bytes / 1e9:,.2f} GB" if stage.cache_bytes else "–" for stage in plan.stages]
        table.add_row("feature cache on disk", *caches)
    table.caption = f"{duration(plan.seconds)} in all" if len(plan.stages) > 1 else None
    return table


def _memory(plan: CostPlan) -> Table:
    from rich.table import Table

    table = Table(title="Memory of each device", title_justify="left")
    table.add_column("")
    sharded = plan.count > 1
    for stage in plan.stages:
        table.add_column(stage.name, justify="right")
        if sharded:
            table.add_column(f"{stage.name}, sharded", justify="right", style="dim")
    sizes = [{item.name: item for item in stage.memory if item.whole} for stage in plan.stages]
    every = dict.fromkeys(item.name for stage in plan.stages for item in stage.memory)
    names = [name for name in every if any(name in items for items in sizes)]
    for name in names:
        cells = []
        for items in sizes:
            item = items.get(name)
            cells.append("–" if item is None else gibibytes(item.whole))
            if sharded:
                cells.append("–" if item is None else gibibytes(item.sharded))
        table.add_row(name, *cells)
    table.add_section()
    totals, verdicts = [], []
    for stage in plan.stages:
        for size in (stage.whole_bytes, stage.sharded_bytes)[: 1 + sharded]:
            fits = size <= plan.device.memory
            totals.append(f"[bold]{gibibytes(size)}[/]")
            verdicts.append("[green]fits[/]" if fits else "[red]does not fit[/]")
    table.add_row("all", *totals)
    table.add_row(f"of {gibibytes(plan.device.memory)}", *verdicts)
    answering = plan.generation
    table.caption = plan.note or None
    if answering is not None:
        table.caption = (
            f"answering takes {gibibytes(answering.weights)} for weights and {answering.kv_per_token / 1024:,.0f} KiB of "
            f"keys and values per token: {gibibytes(answering.total)} for {answering.requests} requests of full length"
        )
    table.caption_justify = "left"
    return table


def _share(stage: StageCost, kind: str) -> str:
    size = stage.flops.get(kind)
    return "–" if size is None else f"{_scientific(size)} ({size / stage.total_flops:.0%})"


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    digits = str(int(exponent)).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
    return f"{mantissa}·10{digits}"


def _tera(rate: float) -> str:
    return f"{significant(rate / 1e12)} TFLOP/s"
