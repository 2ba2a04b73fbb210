"""Reading a run folder for the report: whatever is there, and a note about whatever cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triptych import files
from triptych.errors import DataError, RecipeError
from triptych.report.shapes import INFO, RECIPE, RECORD, RESULTS, Shape, fitting
from triptych.yaml_file import read_yaml

Record = Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """What a run folder holds. A part that does not exist (no evaluation yet, say) is empty.

    Args:
        path: The folder.
        recipe_text: `recipe.yaml` as it stands.
        recipe: The same, parsed.
        info: `run.json`: versions, hardware, one entry per stage.
        metrics: The lines of `metrics.jsonl`; of lines for the same step of a stage the last counts, because a
            run that was killed writes the steps since its last checkpoint again.
        ledger: The lines of `ledger.jsonl`.
        results: `results.json`.
        records: Per task the lines of `evaluation/TASK.jsonl`.
        notes: What could not be read, in sentences for the reader of the report.
    """

    path: Path
    recipe_text: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    metrics: list[Record] = field(default_factory=list)
    ledger: list[Record] = field(default_factory=list)
    results: Mapping[str, Any] = field(default_factory=dict)
    records: Mapping[str, list[Record]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The run's name: what `run.json`, the results or the folder call it."""
        return str(self.info.get("name") or self.results.get("run") or self.path.resolve().name)

    @property
    def stages(self) -> list[Record]:
        """The finished stages, as `run.json` describes them."""
        return [stage for stage in self.info.get("stages") or [] if isinstance(stage, Mapping)]


def read_run(path: Path) -> RunRecord:
    """Read a run folder.

    Raises:
        DataError: The folder does not exist, or holds nothing that a run writes.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such run folder; `triptych train RECIPE` makes one")
    notes: list[str] = []
    recipe_text = _text(path / "recipe.yaml")
    info = _object(path / "run.json", INFO, notes)
    results = _object(path / "results.json", RESULTS, notes)
    metrics = _lines(path / "metrics.jsonl", notes)
    if not (recipe_text or info or results or metrics):
        raise DataError(f"{path}: not a run folder: no recipe.yaml, run.json, metrics.jsonl or results.json")
    return RunRecord(
        path=path,
        recipe_text=recipe_text,
        recipe=_recipe(recipe_text, notes),
        info=info,
        metrics=_last_of_each_step(metrics),
        ledger=_lines(path / "ledger.jsonl", notes),
        results=results,
        records={
            file.stem: _lines(file, notes, RECORD)
            for file in sorted((path / "evaluation").glob("*.jsonl"))
            if not file.stem.endswith(".control")
        },
        notes=notes,
    )


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object; empty when there is no such file.

    Raises:
        DataError: The file is not a JSON object.
    """
    return files.read_object(path, DataError) if path.exists() else {}


def _object(path: Path, shape: Shape, notes: list[str]) -> dict[str, Any]:
    try:
        values: dict[str, Any] = fitting(read_object(path), shape, path.name, notes)
        return values
    except DataError as error:
        notes.append(str(error).replace(str(path), path.name))
        return {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _recipe(text: str, notes: list[str]) -> dict[str, Any]:
    try:
        values = read_yaml(text, "recipe.yaml")
    except RecipeError as error:
        notes.append(str(error))
        return {}
    return fitting(values, RECIPE, "recipe.yaml", notes) if isinstance(values, dict) else {}


def _lines(path: Path, notes: list[str], shape: Shape = None) -> list[Record]:
    """The objects of a JSONL file. A run that was killed may leave half a line; it is counted, not fatal."""
    records: list[Record] = []
    broken = 0
    for line in _text(path).split("\n"):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            records.append(fitting(value, shape, path.name, notes))
        else:
            broken += 1
    if broken:
        notes.append(f"{path.name}: {broken} line(s) could not be read and were left out")
    return records


def _last_of_each_step(metrics: list[Record]) -> list[Record]:
    latest = {(str(line.get("stage")), str(line.get("step")), "validation_loss" in line): line for line in metrics}
    return list(latest.values())
