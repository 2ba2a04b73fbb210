"""Checkpoints: everything that training needs to go on as if it had never stopped.

    checkpoints/000250/
        weights.safetensors      every parameter trained so far, in the model's own precision
        optimiser.safetensors    float32 masters and moments of the stage under way
        random.safetensors       states of the random generators
        state.json               where training stands; written last, so that its presence means "complete"

A checkpoint is written beside its place and renamed into it. Nothing is pickled.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from triptych.errors import TrainingError, TriptychError, one_line
from triptych.files import read_object, writing
from triptych.weights.tensor_files import read_tensors


@dataclass(frozen=True)
class Progress:
    """Where training stands.

    Args:
        stage: Index of the stage under way.
        step: Steps of that stage that are done.
        total_steps: Steps of all stages that are done.
        seconds: Spent in this stage so far.
        samples: Conversations of this stage so far.
        tokens: Tokens of this stage so far.
        supervised_tokens: Supervised tokens of this stage so far.
    """

    stage: int = 0
    step: int = 0
    total_steps: int = 0
    seconds: float = 0.0
    samples: int = 0
    tokens: int = 0
    supervised_tokens: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint, read."""

    path: Path
    progress: Progress
    weights: dict[str, Tensor]
    optimiser: dict[str, Tensor]


def save(
    folder: Path, progress: Progress, weights: Mapping[str, Tensor], optimiser: Mapping[str, Tensor], keep: int = 2
) -> Path:
    """Write a checkpoint under `folder` and remove all but the newest `keep`.

    Raises:
        FolderError: It cannot be written, or the run's folder is gone; the checkpoints before it are kept.
    """
    target = folder / f"{progress.total_steps:06d}"
    work = folder / f".{target.name}.{os.getpid()}"
    try:
        with writing(target):
            folder.mkdir(exist_ok=True)
            for unfinished in folder.glob(".*"):
                shutil.rmtree(unfinished, ignore_errors=True)
            work.mkdir()
            _save(work / "weights.safetensors", weights)
            _save(work / "optimiser.safetensors", optimiser)
            _save(work / "random.safetensors", _random_state())
            (work / "state.json").write_text(json.dumps(asdict(progress)))
            for path in work.iterdir():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            if target.exists():
                shutil.rmtree(target)
            work.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for old in _complete(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def latest(folder: Path) -> Checkpoint | None:
    """The newest complete checkpoint under `folder`; half-written ones are never picked up.

    Restores the random generators as a side effect of resuming.

    Raises:
        TrainingError: A complete checkpoint cannot be read.
    """
    complete = _complete(folder)
    if not complete:
        return None
    path = complete[-1]
    try:
        progress = _progress(path / "state.json")
        read = [read_tensors(path / f"{part}.safetensors", str(path)) for part in ("random", "weights", "optimiser")]
        _restore_random(read[0])
        return Checkpoint(path, progress, read[1], read[2])
    except (TriptychError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise TrainingError(
            f"{path}: the checkpoint cannot be read ({one_line(error)}); remove the folder to use the one before"
        ) from error


def _progress(path: Path) -> Progress:
    values = read_object(path, TrainingError)
    for field in fields(Progress):
        value = values.get(field.name)
        whole = field.name != "seconds"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or value < 0:
            raise ValueError(f"state.json: {field.name} is {value!r}")
    return Progress(**values)


def _complete(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    named = [path for path in folder.iterdir() if re.fullmatch(r"\d{6,}", path.name)]
    return sorted((path for path in named if (path / "state.json").exists()), key=lambda path: int(path.name))


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, path)


def _random_state() -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state |= {f"cuda.{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    return state


def _restore_random(state: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            if f"cuda.{i}" in state:
                torch.cuda.set_rng_state(state[f"cuda.{i}"], i)
