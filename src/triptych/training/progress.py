"""What people see while a model trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.text import Text

from triptych.console import make_console
from triptych.progress import Work, spinner, tracked
from triptych.tables import Column, Table
from triptych.training.config import StageConfig
from triptych.training.parts import PartState


class Bar:
    """Progress with the figures of training behind it."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def update(self, values: Mapping[str, Any]) -> None:
        """Show the figures of a step."""
        self._work.done(values["step"], lambda: _figures(values))

    def total(self, total: int) -> None:
        """Say how much there is, once it is known."""
        self._work.total(total)

    def advance(self, count: int = 1) -> None:
        """Count pieces of work that have no figures."""
        self._work.advance(count)


class Console:
    """The terminal or the log, or nothing at all."""

    def __init__(self, quiet: bool = False) -> None:
        self.rich = make_console(stderr=True, quiet=quiet)

    def say(self, text: str) -> None:
        """One line."""
        self.rich.print(text, highlight=False, markup=False)

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """A spinner while something takes its time."""
        with spinner(text, self.rich):
            yield

    def stage(self, index: int, stages: int, stage: StageConfig, steps: int, parts: Sequence[PartState]) -> None:
        """What a stage trains, as a table."""
        title = (
            f"stage {index + 1} of {stages}: {stage.name} — {steps} steps of {stage.batch_size}, {stage.objective.kind}"
        )
        table = Table(
            [Column("part", key=True), Column("parameters", number=True), Column(""), Column("precision")], title
        )
        for part in parts:
            some = Text(f"{part.trained:,} trained", "green") if part.trained else Text("frozen", "dim")
            state = Text("trained", "green") if part.trained == part.parameters else some
            table.row(part.part, f"{part.parameters:,}", state, part.precision)
        self.rich.print(table)

    @contextmanager
    def bar(self, name: str, done: int, total: int | None, noun: str = "steps") -> Iterator[Bar]:
        """Progress with the time left: a bar on a terminal, lines elsewhere; see `tracked`."""
        with tracked(name, total, noun, done=done, lasting=True, console=self.rich) as work:
            yield Bar(work)


def _figures(values: Mapping[str, Any]) -> str:
    loss = "—" if values["loss"] is None else f"{values['loss']:.4f}"
    return f"loss {loss}, {values['tokens_per_second']:,.0f} tokens/s"
