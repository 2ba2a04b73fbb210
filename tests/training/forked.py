"""Training in processes of its own, forked so that nothing is imported twice: to kill, interrupt, run side by side."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

from triptych.recipe import Recipe

with suppress(ImportError):  # here rather than in every child
    import torch.utils.tensorboard  # noqa: F401


def _child(recipe: Recipe, output: Path, resume: bool, environment: Mapping[str, str], errors: Path) -> None:
    os.environ.update(environment)
    import torch

    from triptych.training.loop import train

    torch.set_num_threads(1)
    try:
        train(recipe, output, resume=resume, quiet=True)
    except BaseException:
        errors.write_text(traceback.format_exc())
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the parent shows it
        os._exit(1)


def start(recipe: Recipe, output: Path, resume: bool = False, **environment: str) -> BaseProcess:
    """Begin to train in another process."""
    errors = output.with_suffix(f".{environment.get('RANK', '0')}.error")
    errors.unlink(missing_ok=True)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_child, args=(recipe, output, resume, environment, errors))
    process.start()
    return process


def wait(process: BaseProcess) -> None:
    """Until a process has ended; unlike `join`, not until those that it started have."""
    until = time.monotonic() + 120
    while process.is_alive():
        assert time.monotonic() < until, "training does not end"
        time.sleep(0.005)


def finish(process: BaseProcess, output: Path, rank: int = 0) -> None:
    """Wait for a process to end well."""
    wait(process)
    errors = output.with_suffix(f".{rank}.error")
    assert process.exitcode == 0, errors.read_text() if errors.exists() else f"exit code {process.exitcode}"


def run(recipe: Recipe, output: Path, resume: bool = False) -> None:
    """Train to the end."""
    finish(start(recipe, output, resume), output)


def lines(path: Path) -> int:
    """How many lines a file has; none if it is not there."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_steps(process: BaseProcess, output: Path, steps: int) -> None:
    """Until the metrics have this many lines, or the process has ended."""
    until = time.monotonic() + 120
    while process.is_alive() and lines(output / "metrics.jsonl") < steps:
        assert time.monotonic() < until, "training stands still"
        time.sleep(0.005)


def killed_and_resumed(recipe: Recipe, output: Path, kills: int, steps: int, seed: int) -> int:
    """Train, killed by SIGKILL at random moments and resumed each time; returns how many kills hit a living process."""
    draw = random.Random(seed)
    hits = 0
    for _ in range(kills):
        process = start(recipe, output, resume=True)
        begun = lines(output / "metrics.jsonl")
        wait_for_steps(process, output, draw.randint(min(begun, steps - 1), steps - 1))
        time.sleep(draw.uniform(0, 0.05))
        assert process.pid is not None
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        wait(process)
        hits += process.exitcode == -signal.SIGKILL
        assert process.exitcode in (0, -signal.SIGKILL)
    run(recipe, output, resume=True)
    return hits


def ranks(recipe: Recipe, output: Path, world_size: int) -> None:
    """Train in several processes that sum their gradients, as `torchrun` would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        start(
            recipe, output, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world_size),
            MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
        )
        for rank in range(world_size)
    ]  # fmt: skip
    for rank, process in enumerate(processes):
        finish(process, output, rank)
