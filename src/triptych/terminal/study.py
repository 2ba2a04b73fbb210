"""What people see of a study: its plan, how far it has come, what it found."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from triptych.console import make_console
from triptych.errors import EvaluationError
from triptych.progress import EVERY
from triptych.report.numbers import duration
from triptych.study import load_study, make_plan, run_study
from triptych.study.calibrate import Calibrated, known
from triptych.study.findings import Findings, load_findings
from triptych.study.plan import PlannedRun, StudyPlan
from triptych.study.run import progress_of, with_known_steps
from triptych.study.state import State, read_state
from triptych.study.table import header, row, setting, verdicts
from triptych.tables import Column, Table


def study(
    path: Path,
    output: Path | None = None,
    only: Sequence[str] = (),
    seeds: int | None = None,
    dry_run: bool = False,
) -> None:
    """Run a study file, or show what it would run; see `triptych study --help`."""
    asked = load_study(path)
    if seeds is not None:
        asked = asked.with_seeds(seeds)
    plan = make_plan(asked, output)
    console = make_console(stderr=True)
    if dry_run:
        show_plan(plan, make_console())
        return
    for note in plan.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
    try:
        with console.status("") as status:
            folder = run_study(plan, only, watcher=Progress(console, status))
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
        self.console, self.status, self._clock = console, status, clock
        self.now = ""
        self._next = clock() + EVERY

    def calibrating(self, variant: str, number: int, of: int) -> None:
        """See `Watcher`."""
        self.now = f"variant {number} of {of}, {escape(variant)}"
        self.status.update(f"{self.now}: timing a few steps")

    def calibrated(self, variant: str, found: Calibrated) -> None:
        """See `Watcher`."""
        text = ", ".join(
            f"{stage} {steps} steps of {found.seconds_per_step[stage]:.3g} s" for stage, steps in found.steps.items()
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
        step = progress_of(run.folder) if doing == "training" else None
        total = {stage.name: stage.steps for stage in run.recipe.stages}
        where = f", {step[0]} {step[1]} of {total.get(step[0])}" if step else ""
        self.status.update(f"{self.now}: {doing}{where}")
        if not self.console.is_terminal and self._clock() >= self._next:
            self._next = self._clock() + EVERY
            self.console.print(f"{self.now}: {doing}{where}", highlight=False)

    def ends(self, run: PlannedRun, state: State) -> None:
        """See `Watcher`."""
        if state.state == "done":
            self.console.print(f"{escape(run.name)}: done in {duration(state.seconds)}", highlight=False)
        else:
            self.console.print(f"{escape(run.name)}: [red]failed[/], {escape(state.error)}", highlight=False)


def findings_table(findings: Findings) -> Table:
    """The table of the results."""
    name, *others = header(findings)
    columns = [Column(name, key=True), *(Column(other, number=True) for other in others)]
    table = Table(columns, f"{findings.title or findings.study}: {setting(findings)}")
    for variant in [*findings.ranked, *(v for v in findings.variants if not v.scores)]:
        table.row(*row(findings, variant))
    return table
