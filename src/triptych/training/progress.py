"""What people see while a model trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from triptych.training.config import StageConfig
from triptych.training.parts import PartState


class Bar:
    """A progress bar with the figures of training behind it."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def update(self, values: Mapping[str, Any]) -> None:
        """Show the figures of a step."""
        loss = "—" if values["loss"] is None else f"{values['loss']:.4f}"
        figures = f"loss {loss}  {values['tokens_per_second']:,.0f} tokens/s"
        self._progress.update(self._task, completed=values["step"], figures=figures)

    def total(self, total: int) -> None:
        """Say how much there is, once it is known."""
        self._progress.update(self._task, total=total)

    def advance(self, count: int = 1) -> None:
        """Count pieces of work that have no figures."""
        self._progress.advance(self._task, count)


class Console:
    """The terminal, or nothing at all."""

    def __init__(self, quiet: bool = False) -> None:
        self.rich = RichConsole(stderr=True, quiet=quiet)

    def say(self, text: str) -> None:
        """One line."""
        self.rich.print(text, highlight=False, markup=False)

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """A spinner while something takes its time."""
        with self.rich.status(escape(text)):
            yield

    def stage(self, index: int, stages: int, stage: StageConfig, steps: int, parts: Sequence[PartState]) -> None:
        """What a stage trains, as a table."""
        title = (
            f"stage {index + 1} of {stages}: {stage.name} — {steps} steps of {stage.batch_size}, {stage.objective.kind}"
        )
        table = Table(title=escape(title), title_justify="left")
        table.add_column("part")
        table.add_column("parameters", justify="right")
        table.add_column("")
        table.add_column("precision")
        for part in parts:
            some = f"[green]{part.trained:,} trained[/]" if part.trained else "[dim]frozen[/]"
            state = "[green]trained[/]" if part.trained == part.parameters else some
            table.add_row(escape(part.part), f"{part.parameters:,}", state, part.precision)
        self.rich.print(table)

    @contextmanager
    def bar(self, name: str, done: int, total: int | None) -> Iterator[Bar]:
        """A progress bar with time left."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        with Progress(*columns, TimeRemainingColumn(), console=self.rich, refresh_per_second=2) as progress:
            yield Bar(progress, progress.add_task(name, total=total, completed=done, figures=""))
