"""An evaluation that is killed with SIGKILL at random moments and started again until it is done, asking a real run.

    parent ── starts ──► python killed_evaluation.py RUN DATA OUTPUT LOG [torchrun: two of them]
           ── reads LOG, and kills when a random number of questions have been asked

The child writes the id of every question into LOG before it asks it. What was asked by whom, what was on the disk when it
was killed and what came out in the end is then compared with an evaluation that nobody disturbed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TASK = "pope"
BATCH = 4


@dataclass(frozen=True)
class Life:
    """One start of the evaluation.

    Args:
        processes: How many asked.
        before: Answers on the disk when it began.
        asked: Ids of the questions it asked, in order.
        recorded: Answers on the disk when it ended.
        killed: Whether it was killed, or came to its end.
    """

    processes: int
    before: int
    asked: tuple[str, ...]
    recorded: int
    killed: bool


@dataclass(frozen=True)
class Proof:
    """All lives of one evaluation, and the records in the end beside those of an undisturbed one."""

    lives: list[Life]
    whole: list[dict[str, Any]]
    cut: list[dict[str, Any]]
    again: list[str]
    """Questions asked although their answer was on the disk: there must be none."""

    @property
    def in_flight(self) -> list[str]:
        """Questions asked more than once: their batch was being answered when the kill came."""
        asked = Counter(id_ for life in self.lives for id_ in life.asked)
        return [id_ for id_, count in asked.items() if count > 1]


def prove(run: Path, data: Path, folder: Path, kills: int, seed: int = 0, torchrun: Sequence[int] = ()) -> Proof:
    """Evaluate once undisturbed, and once killed `kills` times.

    Args:
        run: The run that answers.
        data: The data folder.
        folder: Where both evaluations go.
        kills: How often.
        seed: Of the moments.
        torchrun: Numbers of the lives that torchrun starts with two processes; the others are one process each.
    """
    from triptych.evaluate.shares import answered

    draw = random.Random(seed)
    start(run, data, folder / "whole", folder / "whole.log", 1).wait(timeout=600)
    whole = records(folder / "whole")
    cut = folder / "cut"
    path = cut / "evaluation" / f"{TASK}.jsonl"
    lives: list[Life] = []
    again: list[str] = []
    while not lives or lives[-1].killed:
        number = len(lives)
        processes = 2 if number in torchrun else 1
        before = set(answered(path))
        log = folder / f"life-{number}.log"
        child = start(run, data, cut, log, processes)
        left = len(whole) - len(before)
        # The first kill comes before anything was asked; the last start is left alone.
        moment = 0 if number == 0 else draw.randint(1, max(1, 2 * left // (kills - number + 1)))
        killed = number < kills and kill(child, log, moment, draw.random() * (2.0 if number == 0 else 0.02), processes)
        if not killed:
            child.wait(timeout=600)
            if child.returncode:
                raise AssertionError(f"life {number} ended with {child.returncode}")
        asked = tuple(said(log))
        again += [id_ for id_ in asked if id_ in before]
        lives.append(Life(processes, len(before), asked, len(answered(path)), killed))
    return Proof(lives, whole, records(cut), again)


def start(run: Path, data: Path, output: Path, log: Path, processes: int) -> subprocess.Popen[bytes]:
    """A child, or two of them that torchrun starts."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, *launcher, __file__, str(run), str(data), str(output), str(log)]
    log.touch()
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet)


def kill(child: subprocess.Popen[bytes], log: Path, moment: int, delay: float, processes: int) -> bool:
    """SIGKILL once so many questions were asked and a moment has passed; False if it was done before.

    Of two processes one is killed, and torchrun ends the other.
    """
    pid = log.with_name(f"pid-{log.stem}-{processes - 1}")
    while child.poll() is None and (len(said(log)) < moment or (processes > 1 and not pid.exists())):
        time.sleep(0.002)
    time.sleep(delay)
    if child.poll() is not None:
        return False
    with contextlib.suppress(ProcessLookupError):  # it had just come to its end
        os.kill(int(pid.read_text()) if processes > 1 else child.pid, signal.SIGKILL)
    return child.wait(timeout=120) != 0


def said(log: Path) -> list[str]:
    """The ids in a log and in those of a second process beside it."""
    files = sorted(log.parent.glob(f"{log.name}*"))
    return [line for file in files for line in file.read_text().split("\n")[:-1]]


def records(output: Path) -> list[dict[str, Any]]:
    """The records of a finished evaluation, without what time took."""
    lines = (output / "evaluation" / f"{TASK}.jsonl").read_text("utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


def child(run: Path, data: Path, output: Path, log: Path) -> None:
    """Evaluate, and tell the log of every question before it is asked."""
    import torch

    from triptych.conversation import Conversation
    from triptych.evaluate.benchmarks import catalogue
    from triptych.evaluate.benchmarks.run import Options, run_benchmark
    from triptych.evaluate.responders.run import RunResponder
    from triptych.evaluate.shares import rank
    from triptych.files import write_atomically
    from triptych.generate.config import GenerationSettings, Reply

    torch.set_num_threads(1)
    write_atomically(log.with_name(f"pid-{log.stem}-{rank()}"), str(os.getpid()))
    inner = RunResponder(run)
    mine = log if rank() == 0 else log.with_name(f"{log.name}.{rank()}")

    class Logged:
        def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
            with mine.open("a") as file:
                file.write("".join(f"{conversation.id}\n" for conversation in conversations))
            return inner.respond(conversations, settings)

    file = catalogue.load(TASK)
    settings = file.generation.model_copy(update={"batch_size": BATCH})
    file = file.model_copy(update={"generation": settings})
    run_benchmark(file, Logged(), output, inner.fingerprint, Options(data=data, progress=False))


if __name__ == "__main__":
    child(*map(Path, sys.argv[1:]))
