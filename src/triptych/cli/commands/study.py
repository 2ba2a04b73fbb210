"""`triptych study`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from triptych.console import make_console
from triptych.duration import duration
from triptych.errors import EvaluationError
from triptych.tables import Column, Table

if TYPE_CHECKING:
    from triptych.study import PlannedRun, StudyPlan
    from triptych.study.calibrate import Calibrated
    from triptych.study.findings import Findings
    from triptych.study.state import State

ORDER = 120


def study(
    file: Annotated[
        Path, typer.Argument(help="A study file, or the name of one that comes with Triptych.", show_default=False)
    ],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="The study's folder; studies/NAME by default.")
    ] = None,
    only: Annotated[
        Optional[list[str]], typer.Option("--only", help="Run this variant alone; may be given several times.")
    ] = None,
    seeds: Annotated[
        Optional[int], typer.Option("--seeds", min=1, help="How many seeds; those of the file by default.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the runs, budgets and changes; run nothing.")
    ] = False,
) -> None:
    """Choose by measurement: train and evaluate variants of a recipe under one budget, with several seeds.

    A study file names a `recipe`, `variants` (each a set of changes to it, nested or dotted), `seeds`, the `score` that
    decides (`scenes.naming`) and, if all are to train equally long, a `budget` in minutes: a few steps of each variant
    are timed once, and its steps are set to fit.

    Every run is an ordinary run folder in `studies/NAME/runs`. Ctrl-C stops; the same command goes on where it stood, never runs
    a finished run again, and tries failed ones anew. Results: `table.md`, `study.png`, `report.html`, `results.json`, with
    intervals over seeds and pictures, the control with other pictures, and paired differences from the best.
    """
    from triptych.study import load_study, make_plan, run_study
    from triptych.study.findings import load_findings
    from triptych.study.table import verdicts

    config = load_study(file)
    if seeds is not None:
        config = config.with_seeds(seeds)
    plan = make_plan(config, output)
    if dry_run:
        show_plan(plan, make_console())
        return
    console = make_console(stderr=True)
    for note in plan.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
    try:
        with console.status("") as status:
            folder = run_study(plan, only or (), watcher=Progress(console, status))
    except KeyboardInterrupt:
        raise EvaluationError(
            f"stopped; what is finished stays in {plan.folder}, and the same command goes on from here"
        ) from None
    findings = load_findings(folder)
    console.print(findings_table(findings))
    for line in verdicts(findings):
        console.print(escape(line.replace("**", "")), highlight=False)
    console.print(
        f"table: {folder / 'table.md'}; plot: {folder / 'study.png'}; report: {folder / 'report.html'}", markup=False
    )


def show_plan(plan: StudyPlan, console: Console) -> None:
    """Every run with its state and steps, what each variant changes, and how long training takes at least."""
    from triptych.study.calibrate import known
    from triptych.study.run import with_known_steps
    from triptych.study.state import read_state

    study = plan.study
    fixed = {name: study.budget is None or known(plan, name) is not None for name in study.variants}
    plan = with_known_steps(plan)
    budget = f"{study.budget.minutes:g} min of training each" if study.budget else "the recipe's steps"
    console.print(
        f"[bold]{escape(study.title or study.name)}[/]: {len(plan.runs)} runs, {budget}, into {plan.folder}",
        soft_wrap=True,
    )
    for name, variant in study.variants.items():
        console.print(f"\n[bold]{escape(name)}[/]  {escape(variant.notes)}", highlight=False, soft_wrap=True)
        for key, value in variant.changes.items():
            console.print(f"  {escape(f'{key}: {_flow(value)}')}", highlight=False, soft_wrap=True)
    console.print()
    seeds = (Column(f"seed {seed}") for seed in study.seeds)
    table = Table([Column("variant", key=True), Column("stages and steps"), *seeds])
    for name in study.variants:
        runs = plan.of(name)
        states = [state.state if (state := read_state(run.folder)) else "to do" for run in runs]
        table.row(name, _steps(runs[0], fixed[name]), *states)
    console.print(table)
    if study.budget is not None:
        todo = sum((state := read_state(run.folder)) is None or state.state != "done" for run in plan.runs)
        console.print(
            f"{todo} runs to do, {duration(60 * study.budget.minutes * todo)} of training; loading, encoding pictures "
            "once, calibration and evaluation come on top",
            soft_wrap=True,
        )
    for note in plan.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)


def _flow(value: object) -> str:
    """A value in one line of YAML."""
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _steps(run: PlannedRun, fixed: bool) -> str:
    """`align 120, instruct 360`; shares where the budget has not set them yet."""
    stages = run.recipe.stages
    if fixed:
        return ", ".join(f"{stage.name} {stage.steps or f'{stage.epochs} epochs'}" for stage in stages)
    total = sum(stage.steps or 0 for stage in stages)
    return ", ".join(f"{stage.name} {(stage.steps or 0) / total:.0%} of the steps" for stage in stages)


class Progress:
    """One line per run that begins or ends; in between a live line, or without a terminal a line every so often."""

    def __init__(self, console: Console, status: Status, clock: Callable[[], float] = time.monotonic) -> None:
        from triptych.progress import EVERY

        self.console, self.status, self._clock, self._every = console, status, clock, EVERY
        self.now = ""
        self._next = clock() + EVERY

    def calibrating(self, variant: str, number: int, of: int) -> None:
        """See `Watcher`."""
        self.now = f"variant {number} of {of}, {escape(variant)}"
        self.status.update(f"{self.now}: timing a few steps")

    def calibrated(self, variant: str, calibrated: Calibrated) -> None:
        """See `Watcher`."""
        text = ", ".join(
            f"{stage} {steps} steps of {calibrated.seconds_per_step[stage]:.3g} s"
            for stage, steps in calibrated.steps.items()
        )
        self.console.print(f"budget of {escape(variant)}: {text}", highlight=False)

    def begins(self, run: PlannedRun, number: int, of: int, remaining: float | None) -> None:
        """See `Watcher`."""
        left = f"; about {duration(remaining)} left" if remaining is not None else ""
        self.now = f"run {number} of {of}, {escape(run.name)}{left}"
        self.status.update(self.now)
        if not self.console.is_terminal:
            self.console.print(self.now, highlight=False)

    def works(self, run: PlannedRun, doing: str) -> None:
        """See `Watcher`."""
        from triptych.study.run import progress_of

        step = progress_of(run.folder) if doing == "training" else None
        total = {stage.name: stage.steps for stage in run.recipe.stages}
        where = f", {step[0]} {step[1]} of {total.get(step[0])}" if step else ""
        self.status.update(f"{self.now}: {doing}{where}")
        if not self.console.is_terminal and self._clock() >= self._next:
            self._next = self._clock() + self._every
            self.console.print(f"{self.now}: {doing}{where}", highlight=False)

    def ends(self, run: PlannedRun, state: State) -> None:
        """See `Watcher`."""
        if state.state == "done":
            self.console.print(f"{escape(run.name)}: done in {duration(state.seconds)}", highlight=False)
        else:
            self.console.print(f"{escape(run.name)}: [red]failed[/], {escape(state.error)}", highlight=False)


def findings_table(findings: Findings) -> Table:
    """The table of the results."""
    from triptych.study.table import header, row, setting

    name, *others = header(findings)
    columns = [Column(name, key=True), *(Column(other, number=True) for other in others)]
    table = Table(columns, f"{findings.title or findings.study}: {setting(findings)}")
    for variant in [*findings.ranked, *(v for v in findings.variants if not v.scores)]:
        table.row(*row(findings, variant))
    return table
