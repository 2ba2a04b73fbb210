"""A plan for people: tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from triptych.planner.cost import CostPlan, StageCost
from triptych.report.numbers import count, duration, gibibytes, significant

if TYPE_CHECKING:
    from rich.console import Group
    from rich.padding import Padding

    from triptych.tables import Table


def render(plan: CostPlan) -> Group:
    """Everything that a plan says, as tables and lists."""
    from rich.console import Group
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
    blocks += [Text("What this rests on", style="bold"), *_listed(assumptions(plan))]
    if plan.suggestions:
        blocks += ["", Text("What to do about it", style="bold"), *_listed(plan.suggestions)]
    return Group(*blocks)  # type: ignore[arg-type]


def _listed(lines: Sequence[str]) -> list[Padding]:
    from rich.padding import Padding
    from rich.text import Text

    return [Padding(Text(f"• {line}"), (0, 0, 0, 1), expand=False) for line in lines]


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
    from rich.text import Text

    from triptych.tables import Column, Table

    notes = [f"{modality}: {tokens:,} tokens each" for modality, tokens in plan.media_tokens.items()]
    notes += [
        f"{part.name}: {count(part.parameters)} of {count(part.whole)} parameters; "
        "the layers behind the chosen one are not needed"
        for part in plan.parts
        if part.whole is not None
    ]
    columns = [
        Column("part", key=True),
        Column("size", number=True),
        Column("precision"),
        Column("weights", number=True),
    ]
    table = Table([*columns, *(Column(stage.name) for stage in plan.stages)], "Parts", notes)
    for part in plan.parts:
        states = ["trained" if part.name in stage.trained else Text("frozen", "dim") for stage in plan.stages]
        table.row(part.name, count(part.parameters), part.precision, gibibytes(part.bytes), *states)
    table.section()
    table.row("all", count(plan.parameters), "", gibibytes(sum(part.bytes for part in plan.parts)))
    return table


def _stages(plan: CostPlan) -> Table:
    from rich.text import Text

    from triptych.tables import Column, Table

    notes = [f"{duration(plan.seconds)} in all"] if len(plan.stages) > 1 else []
    stages = (Column(stage.name, number=True) for stage in plan.stages)
    table = Table([Column("", key=True), *stages], "Training", notes)
    table.row("time", *[Text(duration(stage.total_seconds), "bold") for stage in plan.stages])
    if plan.count > 1:
        table.row("device hours", *[f"{plan.count * stage.total_seconds / 3600:,.1f}" for stage in plan.stages])
    if any(stage.cache_bytes for stage in plan.stages):
        caches = [f"{stage.cache_bytes / 1e9:,.2f} GB" if stage.cache_bytes else "–" for stage in plan.stages]
        table.row("feature cache on disk", *caches)
    table.section()
    rows: list[tuple[str, list[str]]] = [
        ("parameters that learn", [count(stage.learned) for stage in plan.stages]),
        ("steps", [f"{stage.steps:,}" for stage in plan.stages]),
        *[(name, [count(getattr(stage, field)) for stage in plan.stages]) for name, field in plan.wording.counts],
        (plan.wording.row, [f"{stage.row:,.0f}" for stage in plan.stages]),
        ("micro-batches a step", [f"{stage.micro_batches:,}" for stage in plan.stages]),
    ]
    for name, values in rows:
        table.row(name, *values)
    table.section()
    for kind in dict.fromkeys(kind for stage in plan.stages for kind in stage.flops):
        table.row(kind, *[_share(stage, kind) for stage in plan.stages])
    table.row("all FLOPs", *[_scientific(stage.total_flops) for stage in plan.stages])
    return table


def _memory(plan: CostPlan) -> Table:
    from rich.text import Text

    from triptych.tables import Column, Table

    sharded = plan.count > 1
    columns = [Column("", key=True)]
    for stage in plan.stages:
        columns.append(Column(stage.name, number=True))
        if sharded:
            columns.append(Column(f"{stage.name}, sharded", number=True, style="dim"))
    answering = plan.generation
    note = plan.note
    if answering is not None:
        note = (
            f"answering takes {gibibytes(answering.weights)} for weights and {answering.kv_per_token / 1024:,.0f} KiB of "
            f"keys and values per token: {gibibytes(answering.total)} for {answering.requests} requests of full length"
        )
    table = Table(columns, "Memory of each device", [note] if note else [])
    totals, verdicts = [], []
    for stage in plan.stages:
        for size in (stage.whole_bytes, stage.sharded_bytes)[: 1 + sharded]:
            fits = size <= plan.device.memory
            totals.append(Text(gibibytes(size), "bold"))
            verdicts.append(Text("fits", "green") if fits else Text("does not fit", "red"))
    table.row("all", *totals)
    table.row(f"of {gibibytes(plan.device.memory)}", *verdicts)
    table.section()
    sizes = [{item.name: item for item in stage.memory if item.whole} for stage in plan.stages]
    every = dict.fromkeys(item.name for stage in plan.stages for item in stage.memory)
    for name in every:
        if not any(name in items for items in sizes):
            continue
        cells = []
        for items in sizes:
            item = items.get(name)
            cells.append("–" if item is None else gibibytes(item.whole))
            if sharded:
                cells.append("–" if item is None else gibibytes(item.sharded))
        table.row(name, *cells)
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
