"""Running a target on a damaged file in a process of its own: what came of it, in how much time and memory, what it wrote.

    pool ── fork ──► worker: damage a file, run the target, put the file back ──► verdict
      └─ kills a worker that takes too long, notices one that dies, starts the next

Workers are forked from a process that has imported everything, so that one costs milliseconds.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from fuzz_mutate import damage

from triptych.errors import TriptychError

SECONDS = 10.0
"""A target that takes longer has failed."""

GRACE = 10.0
"""Seconds more after which a worker is killed that has twice had its time."""

BYTES = 2 << 30
"""A worker whose resident memory ever was larger has failed; address space ends a little above."""

VERDICTS = ("read", "refused", "traceback", "slow", "memory", "wrote outside", "died")


@dataclass(frozen=True)
class Seed:
    """A folder of good files, some of which are damaged, and what reads them.

    Args:
        kind: What the files are, for the table of results.
        name: Unique.
        folder: Where the good files are; each worker has a copy.
        targets: The files to damage, relative to the folder. `*` matches.
        run: Reads them; is given the copy of the folder, the damaged file, and a folder to write to, which is not there.
        weight: How often it is drawn, relative to others.
    """

    kind: str
    name: str
    folder: Path
    targets: tuple[str, ...]
    run: Callable[[Path, Path, Path], object]
    weight: float = 1.0


@dataclass
class Outcome:
    """What came of one input."""

    seed: str
    number: int
    file: str
    verdict: str
    seconds: float
    peak: int = 0
    message: str = ""


@dataclass
class Tally:
    """Outcomes of many inputs."""

    outcomes: list[Outcome] = field(default_factory=list)

    def counts(self, names: Sequence[str]) -> Counter[str]:
        """Verdicts of the seeds of these names."""
        return Counter(outcome.verdict for outcome in self.outcomes if outcome.seed in names)

    @property
    def failures(self) -> list[Outcome]:
        """Everything but inputs that were read or refused in a line."""
        return [outcome for outcome in self.outcomes if outcome.verdict not in ("read", "refused")]


def cases(seeds: Sequence[Seed], count: int, start: int = 0) -> list[tuple[int, int]]:
    """So many inputs, drawn from the seeds by their weights: which seed, and the input's number from `start` on.

    An input is made by its seed's name and its number alone.
    """
    chosen = random.Random(start).choices(range(len(seeds)), [seed.weight for seed in seeds], k=count)
    return [(index, start + place) for place, index in enumerate(chosen)]


def fuzz(
    seeds: Sequence[Seed],
    cases: Sequence[tuple[int, int]],
    work: Path,
    *,
    workers: int = 2,
    report: Callable[[Outcome], None] | None = None,
) -> Tally:
    """Run damaged inputs.

    Args:
        seeds: What is damaged and how it is read. Everything that they import is to be imported before.
        cases: Which inputs, as `cases` draws them.
        work: A folder for the workers' copies; nothing else is to be written to.
        workers: Processes.
        report: Called with each outcome.
    """
    waiting = list(cases)[::-1]
    tally = Tally()
    pool = [_Worker(seeds, work / f"worker-{i}") for i in range(min(workers, len(waiting)))]
    while waiting or any(worker.busy for worker in pool):
        for worker in pool:
            if worker.busy is None and waiting:
                worker.give(waiting.pop())
        busy = [worker for worker in pool if worker.busy is not None]
        wait([worker.connection for worker in busy], timeout=0.2)
        for worker in busy:
            outcome = worker.outcome()
            if outcome is not None:
                tally.outcomes.append(outcome)
                if report is not None:
                    report(outcome)
    for worker in pool:
        worker.end()
    return tally


class _Worker:
    """A process that runs inputs one after the other, and the parent's end of the line to it."""

    def __init__(self, seeds: Sequence[Seed], folder: Path) -> None:
        self.seeds, self.folder = seeds, folder
        self.busy: tuple[int, int] | None = None
        self._start()

    def _start(self) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(self.seeds, self.folder, theirs), daemon=True
        )
        self.process.start()
        theirs.close()

    def give(self, case: tuple[int, int]) -> None:
        self.busy, self.since = case, time.monotonic()
        self.connection.send(case)

    def outcome(self) -> Outcome | None:
        """What came of the input under way; None while it runs."""
        assert self.busy is not None
        seed, number = self.seeds[self.busy[0]].name, self.busy[1]
        seconds = time.monotonic() - self.since
        try:
            if self.connection.poll():
                outcome: Outcome = self.connection.recv()
                self.busy = None
                return outcome
        except (EOFError, OSError):
            self.process.join()
            outcome = Outcome(seed, number, "", "died", seconds, message=f"exit code {self.process.exitcode}")
        else:
            if seconds < 2 * SECONDS + GRACE:  # the machine may be busy with other work; see `_one`
                return None
            self.process.kill()
            self.process.join()
            outcome = Outcome(seed, number, "", "slow", seconds, message="killed")
        self.busy = None
        self._start()
        return outcome

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()


class _Watch:
    """Notices what a target does to the world: files opened for writing elsewhere, programs started, addresses called."""

    WRITES = frozenset(
        {
            "os.mkdir",
            "os.remove",
            "os.rename",
            "os.rmdir",
            "os.symlink",
            "os.link",
            "os.truncate",
            "os.chmod",
            "shutil.rmtree",
        }
    )
    ACTIONS = frozenset(
        {
            "subprocess.Popen",
            "os.system",
            "os.exec",
            "os.posix_spawn",
            "os.spawn",
            "socket.connect",
            "pty.spawn",
            "webbrowser.open",
        }
    )

    def __init__(self, folder: Path) -> None:
        self.folder, self.on, self.seen = f"{folder}{os.sep}", False, ""

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = (
                bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
                if isinstance(flags, int)
                else "r" not in (mode or "r")
            )
            if writes and isinstance(path, str | bytes | os.PathLike):
                self._check(event, path)
        elif event in self.WRITES:
            for path in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
                if isinstance(path, str | bytes | os.PathLike):
                    self._check(event, path)
        elif event == "subprocess.Popen" and _renders_templates(arguments):
            pass
        elif event in self.ACTIONS:
            self.seen = f"{event} {arguments!r}"[:300]

    def _check(self, event: str, path: Any) -> None:
        name = os.fsdecode(path)
        real = os.path.realpath(name)
        if not f"{real}{os.sep}".startswith(self.folder) and real != os.devnull and "\0" not in name:
            self.seen = f"{event} {name!r}"[:300]


def _renders_templates(arguments: tuple[Any, ...]) -> bool:
    """Whether a program that is started is our own, in which chat templates run with bounds."""
    program, command = arguments[0], arguments[1]
    own = f"import sys; sys.path[:] = {sys.path!r}; from triptych.language.template_worker import serve; serve()"
    return program == sys.executable and command == [sys.executable, "-c", own]


def _serve(seeds: Sequence[Seed], folder: Path, connection: Connection) -> None:
    """The worker's loop."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    own = folder / str(os.getpid())
    for name in ("tmp", "home", "cache"):
        (own / name).mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "TMPDIR": str(own / "tmp"), "HOME": str(own / "home"), "TRIPTYCH_CACHE": str(own / "cache"), "TRIPTYCH_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1", "HF_HOME": str(own / "home"), "XDG_CACHE_HOME": str(own / "home"),
    }  # fmt: skip
    import tempfile

    tempfile.tempdir = str(own / "tmp")
    os.chdir(own)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  (a question to the terminal gets no answer)
    space = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (space + 2 * BYTES, space + 2 * BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, BYTES))
    watch = _Watch(own)
    sys.addaudithook(watch)
    copies: dict[Path, Path] = {}
    while True:
        case = connection.recv()
        if case is None:
            return
        index, number = case
        try:
            outcome = _one(seeds[index], number, own, copies, watch)
        except BaseException:  # what came of it cannot be told: a failure, too
            outcome = Outcome(seeds[index].name, number, "", "died", 0.0, message=traceback.format_exc())
        connection.send(outcome)


def _one(seed: Seed, number: int, own: Path, copies: dict[Path, Path], watch: _Watch) -> Outcome:
    import shutil

    if seed.folder not in copies:
        copies[seed.folder] = own / "seeds" / str(len(copies))
        shutil.copytree(seed.folder, copies[seed.folder], symlinks=True)
    folder, output = copies[seed.folder], own / "output"
    draw = random.Random(f"{seed.name}/{number}")
    files = _files(seed)
    suffix = draw.choice(sorted({file.suffix for file in files}))  # a folder has many pictures and one annotation
    good = draw.choice([file for file in files if file.suffix == suffix])
    file = folder / good.relative_to(seed.folder)
    content = good.read_bytes()
    file.unlink(missing_ok=True)  # it may be a link, or have been replaced
    file.write_bytes(damage(draw, file.name, content))
    _forget_peak()
    watch.seen, watch.on = "", True
    began, cpu = time.monotonic(), time.process_time()
    verdict, message = "read", ""
    try:
        seed.run(folder, file, output)
    except TriptychError as error:
        verdict, message = "refused", str(error)
        if len(message) > 20_000 or "Traceback" in message:
            verdict = "traceback"
    except MemoryError:
        verdict, message = "memory", traceback.format_exc(limit=-6)
    except BaseException:
        verdict, message = "traceback", traceback.format_exc(limit=-12)
    watch.on = False
    elapsed, computed = time.monotonic() - began, time.process_time() - cpu
    seconds = computed if computed > 0.5 * elapsed else elapsed  # others may use the cores; waiting counts in full
    peak = _peak()
    if watch.seen:
        verdict, message = "wrote outside", watch.seen
    elif verdict in ("read", "refused") and peak > BYTES:
        verdict, message = "memory", f"{peak:,} bytes"
    elif verdict in ("read", "refused") and seconds > SECONDS:
        verdict = "slow"
    file.unlink(missing_ok=True)
    file.write_bytes(content)
    if output.exists():
        shutil.rmtree(output, ignore_errors=True)
    return Outcome(seed.name, number, str(good.relative_to(seed.folder)), verdict, seconds, peak, message[-4000:])


@functools.cache
def _files(seed: Seed) -> list[Path]:
    return sorted({path for target in seed.targets for path in seed.folder.glob(target) if path.is_file()})


def _forget_peak() -> None:
    """Let the kernel count the peak of resident memory anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The peak of resident memory in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
