"""How far long work has come: a bar on a terminal, and a line every so often where there is none (nohup, CI, Slurm)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar, overload

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.status import Status

from triptych.console import make_console
from triptych.duration import duration

FIRST, EVERY = 10.0, 60.0
"""Seconds before the first line, and between two others."""

T = TypeVar("T")
Figures = Callable[[], str]


def no_figures() -> str:
    """Nothing beside the numbers of what is done."""
    return ""


class Work(Protocol):
    """Work whose progress is shown."""

    def total(self, total: int) -> None:
        """Say how much there is, once it is known."""
        ...

    def done(self, count: int, figures: Figures = no_figures) -> None:
        """Say how much is done; `figures` is called where something is shown, not with every step."""
        ...

    def advance(self, count: int = 1) -> None:
        """Say how much more is done."""
        ...

    def skip(self, count: int) -> None:
        """Say how much needs no work, because it was done before: it tells nothing about the time left."""
        ...


class Silence:
    """Work that shows nothing."""

    def total(self, total: int) -> None:
        """See `Work`."""

    def done(self, count: int, figures: Figures = no_figures) -> None:
        """See `Work`."""

    def advance(self, count: int = 1) -> None:
        """See `Work`."""

    def skip(self, count: int) -> None:
        """See `Work`."""


class Lines:
    """Progress in lines: the first after `FIRST` seconds, the next ones every `EVERY`, and one at the end.

    Between two lines a step costs a look at the clock.
    """

    def __init__(
        self, console: Console, title: str, done: int, total: int | None, noun: str, clock: Callable[[], float]
    ) -> None:
        self._console, self._title, self._noun, self._clock = console, title, noun, clock
        self.said = False
        self._before = self._count = done
        self._total = total
        self._figures = no_figures
        self._began = clock()
        self._next = self._began + FIRST

    def total(self, total: int) -> None:
        """See `Work`."""
        self._total = total

    def done(self, count: int, figures: Figures = no_figures) -> None:
        """See `Work`."""
        self._count, self._figures = count, figures
        now = self._clock()
        if now >= self._next:
            self._next = now + EVERY
            left = self._left(now - self._began)
            self._say([self._figures(), f"{duration(left)} left" if left is not None else ""])

    def advance(self, count: int = 1) -> None:
        """See `Work`."""
        self.done(self._count + count)

    def skip(self, count: int) -> None:
        """See `Work`."""
        self._before += count
        self._count += count

    def end(self) -> None:
        """Say the last line, with the time that it took."""
        self._say([self._figures(), f"in {duration(self._clock() - self._began)}"])

    def _left(self, seconds: float) -> float | None:
        """Seconds that the rest takes at the pace so far."""
        if self._total is None or self._count <= self._before:
            return None
        return seconds / (self._count - self._before) * max(0, self._total - self._count)

    def _say(self, figures: Sequence[str]) -> None:
        self.said = True
        of = f" of {self._total:,}" if self._total is not None else ""
        said = ", ".join(figure for figure in figures if figure)
        self._console.print(
            f"{self._title}: {self._count:,}{of} {self._noun}{', ' if said else ''}{said}",
            markup=False,
            highlight=False,
        )


class Bar:
    """Progress as a bar of rich."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def total(self, total: int) -> None:
        """See `Work`."""
        self._progress.update(self._task, total=total)

    def done(self, count: int, figures: Figures = no_figures) -> None:
        """See `Work`."""
        self._progress.update(self._task, completed=count, figures=figures())

    def advance(self, count: int = 1) -> None:
        """See `Work`."""
        self._progress.advance(self._task, count)

    def skip(self, count: int) -> None:
        """See `Work`."""
        self._progress.advance(self._task, count)


@contextmanager
def tracked(
    title: str,
    total: int | None,
    noun: str,
    *,
    done: int = 0,
    shown: bool = True,
    lasting: bool = False,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Work]:
    """Show the progress of what the block does.

    Args:
        title: What is done.
        total: How much there is; None where that is not known yet.
        noun: Of what: `steps`, `questions`.
        done: How much was done before.
        shown: Whether it is shown at all.
        lasting: Whether the end is said however short the work was, and a bar stays on the terminal.
        console: Where; standard error by default.
        clock: Seconds.
    """
    console = console or make_console(stderr=True)
    if not shown or console.quiet:
        yield Silence()
        return
    if not console.is_terminal:
        lines = Lines(console, title, done, total, noun, clock)
        yield lines
        if lasting or lines.said:
            lines.end()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=2, transient=not lasting) as progress:
        yield Bar(progress, progress.add_task(title, total=total, completed=done, figures=""))


class Counted(Sequence[T], Generic[T]):
    """Items that are counted as they are read, for progress through functions that take all of them at once."""

    def __init__(self, items: Sequence[T], work: Work) -> None:
        self._items, self._work = items, work

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int, /) -> T: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice, /) -> T | Sequence[T]:
        read = self._items[index]
        self._work.advance(len(range(len(self))[index]) if isinstance(index, slice) else 1)
        return read


@contextmanager
def counted(title: str, items: Sequence[T], noun: str, shown: bool = True) -> Iterator[Sequence[T]]:
    """The items, with the progress of reading them shown; see `tracked`."""
    with tracked(title, len(items), noun, shown=shown) as work:
        yield Counted(items, work)


_spinners: list[Status] = []
"""The spinner on the terminal, and the one that it took the place of."""


@contextmanager
def spinner(text: str, console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """Show `text` beside a spinner on a terminal while the block runs; the function that is given changes the text.

    A spinner within another takes its line meanwhile: two at once would write over each other.
    """
    console = console or make_console(stderr=True)
    if _spinners:
        outer = _spinners[-1]
        before = outer.status
        outer.update(escape(text))
        try:
            yield lambda text: outer.update(escape(text))
        finally:
            outer.update(before)
        return
    with console.status(escape(text)) as status:
        _spinners.append(status)
        try:
            yield lambda text: status.update(escape(text))
        finally:
            _spinners.pop()


@contextmanager
def other_bars(text: str) -> Iterator[None]:
    """Room for the bars of huggingface_hub: on a terminal our spinner stops meanwhile; elsewhere `text` is one line in their place."""
    from huggingface_hub.utils import are_progress_bars_disabled as hidden
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

    console = make_console(stderr=True)
    if console.is_terminal:
        for status in _spinners:
            status.stop()
        try:
            yield
        finally:
            for status in _spinners:
                status.start()
        return
    console.print(text, markup=False, highlight=False)
    before = hidden()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()
