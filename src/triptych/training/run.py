"""The run folder: what training leaves behind, written so that it can be stopped at any moment."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from triptych.environment import describe
from triptych.errors import TrainingError, one_line
from triptych.files import cannot_write, read_object, write_atomically, writing
from triptych.recipe import Recipe, dump_recipe, load_recipe
from triptych.registry import code_names
from triptych.training.trackers import Tracker
from triptych.trusted import trust


@dataclass
class RunFolder:
    """One run's folder: `recipe.yaml`, `run.json`, `metrics.jsonl`, `ledger.jsonl`, `checkpoints/`, `weights/`."""

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, path: Path, recipe: Recipe, resume: bool, overwrite: bool = False) -> RunFolder:
        """Open a folder for training.

        Raises:
            TrainingError: There is a run already and it is not to be resumed, its recipe is another one, or its `run.json`
                is damaged.
            RecipeError: Its recipe is damaged.
            FolderError: The folder cannot be written.
        """
        saved = path / "recipe.yaml"
        trust(code_names(recipe.model_dump(mode="json")))
        if saved.exists() and not resume and not overwrite:
            raise TrainingError(
                f"{path}: there is a run already; continue it with --resume, start again with --overwrite, "
                "or choose another folder with --output"
            )
        if saved.exists() and resume:
            _same_recipe(load_recipe(saved), recipe, path)
            return cls(path, _read_facts(path / "run.json") if (path / "run.json").exists() else _facts(recipe))
        if overwrite:
            with writing(path):
                _clear(path)
        write_atomically(saved, dump_recipe(recipe))
        run = cls(path, _facts(recipe))
        run.save_facts()
        return run

    @property
    def complete(self) -> bool:
        """Whether all stages are trained and the weights are there."""
        return bool(self.facts.get("finished")) and (self.path / "weights" / "model.safetensors").is_file()

    def save_facts(self) -> None:
        """Write `run.json`.

        Raises:
            FolderError: It cannot be written, or the folder is gone.
        """
        require_folder(self.path)
        write_atomically(self.path / "run.json", json.dumps(self.facts, indent=2) + "\n")

    def finish(self) -> None:
        """Note that training is complete."""
        self.facts["finished"] = _now()
        self.save_facts()

    def record_stage(self, name: str, facts: Mapping[str, Any]) -> None:
        """Note what a finished stage was and cost; said again after a resumption, the last word counts."""
        self.facts["stages"] = [stage for stage in self.facts["stages"] if stage["name"] != name]
        self.facts["stages"].append({"name": name, **facts})
        self.save_facts()


class MetricsLog:
    """`metrics.jsonl` and the trackers, one line and one point per logged step."""

    def __init__(self, folder: Path, total_steps: int, trackers: Sequence[Tracker] = ()) -> None:
        self._trackers = trackers
        self.path = folder / "metrics.jsonl"
        self._forget_after(total_steps)
        with writing(self.path):
            self._file = self.path.open("a", encoding="utf-8")

    def write(self, total_step: int, values: Mapping[str, Any]) -> None:
        """Log the figures of a step.

        Raises:
            FolderError: The file cannot be written, or is gone, which an open file does not notice by itself.
        """
        require_folder(self.path.parent)
        with writing(self.path):
            self._file.write(json.dumps({"total_step": total_step, **values}) + "\n")
            self._file.flush()
            plain = {
                f"{values['stage']}/{key}": value for key, value in values.items() if isinstance(value, int | float)
            }
            for tracker in self._trackers:
                tracker.write(total_step, plain)

    def close(self) -> None:
        """Close. Every line was flushed when it was written; what could not be was said then."""
        with suppress(OSError):
            self._file.close()
        for tracker in self._trackers:
            tracker.close()

    def _forget_after(self, total_steps: int) -> None:
        """Drop what was logged beyond the checkpoint that training resumes from: it will be logged again."""
        if not self.path.exists():
            return
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise TrainingError(f"{self.path}: cannot be read ({one_line(error)}); mend it or move it away") from error
        kept = []
        for number, line in enumerate(lines, start=1):
            try:
                step = json.loads(line)["total_step"]
                if step <= total_steps:
                    kept.append(line)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                if number == len(lines):
                    break  # the half line of a killed process, or nothing behind the last one
                raise TrainingError(
                    f"{self.path}:{number}: no line of metrics ({one_line(error)}); mend it, delete it, or move the file away"
                ) from error
        write_atomically(self.path, "".join(line + "\n" for line in kept))


def stage_facts(parts: list[Any], **facts: Any) -> dict[str, Any]:
    """The entry of a stage in `run.json`."""
    return {**facts, "parts": [asdict(part) for part in parts]}


def require_folder(path: Path) -> None:
    """Return where a folder is there.

    Raises:
        FolderError: It was moved or removed.
    """
    if not path.is_dir():
        raise cannot_write(path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))


def _read_facts(path: Path) -> dict[str, Any]:
    """What `run.json` says.

    Raises:
        TrainingError: It is damaged.
    """
    facts = read_object(path, TrainingError)
    stages = facts.get("stages", [])
    if not (isinstance(stages, list) and all(isinstance(stage, dict) and "name" in stage for stage in stages)):
        raise TrainingError(
            f"{path}: damaged, `stages` is no list of stages with names; move it away to go on without it"
        )
    return {"stages": [], **facts}


def _facts(recipe: Recipe) -> dict[str, Any]:
    return {"name": recipe.name, **describe(), "started": _now(), "finished": None, "stages": []}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _clear(path: Path) -> None:
    import shutil

    for name in ("checkpoints", "weights", "tensorboard", "evaluation"):
        shutil.rmtree(path / name, ignore_errors=True)
    for name in ("metrics.jsonl", "ledger.jsonl", "results.json", "report.html", "run.json"):
        (path / name).unlink(missing_ok=True)


def _same_recipe(saved: Recipe, now: Recipe, path: Path) -> None:
    """What trains must be the same; how data is read and how often things are written may differ."""
    free = {"loading", "trackers", "evaluation", "name", "base"}
    old, new = _flat(saved.model_dump(mode="json", exclude=free)), _flat(now.model_dump(mode="json", exclude=free))
    differing = [
        f"  {key}: {old.get(key)!r} in the run, {new.get(key)!r} now"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
        and key.split(".")[-1] not in {"checkpoint_every", "log_every", "validate_every"}
    ]
    if differing:
        raise TrainingError(
            f"{path}: the run was made with another recipe, so it cannot be resumed with this one:\n"
            + "\n".join(differing)
        )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in _flat(item, f"{prefix}{key}.").items()}
    if isinstance(value, list):
        return {k: v for i, item in enumerate(value) for k, v in _flat(item, f"{prefix}{i}.").items()}
    return {prefix.rstrip("."): value}
