"""The run folder: what training leaves behind, written so that it can be stopped at any moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from triptych.environment import describe
from triptych.errors import TrainingError
from triptych.files import write_atomically
from triptych.recipe import Recipe, dump_recipe, load_recipe


@dataclass
class RunFolder:
    """One run's folder: `recipe.yaml`, `run.json`, `metrics.jsonl`, `ledger.jsonl`, `checkpoints/`, `weights/`."""

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, path: Path, recipe: Recipe, resume: bool, overwrite: bool = False) -> RunFolder:
        """Open a folder for training.

        Raises:
            TrainingError: There is a run already and it is not to be resumed, or its recipe is another one.
        """
        saved = path / "recipe.yaml"
        if saved.exists() and not resume and not overwrite:
            raise TrainingError(
                f"{path}: there is a run already; continue it with --resume, start again with --overwrite, "
                "or choose another folder with --output"
            )
        if saved.exists() and resume:
            _same_recipe(load_recipe(saved), recipe, path)
            facts = json.loads((path / "run.json").read_text()) if (path / "run.json").exists() else _facts(recipe)
            return cls(path, facts)
        path.mkdir(parents=True, exist_ok=True)
        if overwrite:
            _clear(path)
        write_atomically(saved, dump_recipe(recipe))
        run = cls(path, _facts(recipe))
        run.save_facts()
        return run

    def save_facts(self) -> None:
        """Write `run.json`."""
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
    """`metrics.jsonl` and TensorBoard, one line and one point per logged step."""

    def __init__(self, folder: Path, total_steps: int) -> None:
        self.path = folder / "metrics.jsonl"
        self._forget_after(total_steps)
        self._file = self.path.open("a", encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=total_steps)  # type: ignore[no-untyped-call]
        except ImportError:  # an extra; the JSONL file holds the same figures
            self._board = None

    def write(self, total_step: int, values: Mapping[str, Any]) -> None:
        """Log the figures of a step."""
        self._file.write(json.dumps({"total_step": total_step, **values}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(f"{values['stage']}/{name}", value, total_step)

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def _forget_after(self, total_steps: int) -> None:
        """Drop what was logged beyond the checkpoint that training resumes from: it will be logged again."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["total_step"] <= total_steps:
                    kept.append(line)
            except ValueError:  # the half line of a killed process
                break
        write_atomically(self.path, "".join(line + "\n" for line in kept))


def stage_facts(parts: list[Any], **facts: Any) -> dict[str, Any]:
    """The entry of a stage in `run.json`."""
    return {**facts, "parts": [asdict(part) for part in parts]}


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
    free = {"loading", "evaluation", "name", "base"}
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
