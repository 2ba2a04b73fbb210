"""Importing: recognise a model, read it, write what is read as a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from triptych.environment import describe
from triptych.files import read_object, written_folder
from triptych.interchange.catalogue import SYSTEMS
from triptych.interchange.errors import ImportFailed
from triptych.interchange.format import Contents, System
from triptych.recipe import load_recipe
from triptych.weights import fetch
from triptych.weights.quiet import silent
from triptych.yaml_file import write_yaml


@dataclass(frozen=True)
class Imported:
    """What was written.

    Args:
        run: The run's folder.
        system: What it is.
        notes: What a person should know.
        kind: The kind of model in the run's recipe.
    """

    run: Path
    system: str
    notes: tuple[str, ...]
    kind: str

    @property
    def dual(self) -> bool:
        """Whether it compares pictures with texts, and answers nothing."""
        return self.kind == "dual"


def import_model(source: str, output: Path, precision: str | None = None, overwrite: bool = False) -> Imported:
    """Make a run of a multimodal model in the hub's format.

    Args:
        source: A folder, or a URI of one.
        output: The run's folder, which appears when it is complete.
        precision: `float32` or `bfloat16`; None takes that of the weights (float16 becomes bfloat16).
        overwrite: Whether a folder that is there may be replaced.

    Raises:
        ImportFailed: There is no such model, it has something that ours do not have, or the folder is there.
        WeightsError: The URI leads nowhere, a file is damaged, or tensors are missing or left over.
    """
    if output.exists() and not overwrite:
        raise ImportFailed(f"{output}: is there already; choose another --output, or replace it with --overwrite")
    if precision not in {None, "float32", "bfloat16"}:
        raise ImportFailed(f"--precision {precision}: expected float32 or bfloat16")
    folder = fetch(source if ":" in source and not Path(source).exists() else f"file:{source}")
    system = _system(folder)
    with silent(), written_folder(output) as work:
        try:
            contents = system.read(folder, work, precision)
        except ImportFailed as error:
            raise ImportFailed(f"{folder}: {error}") from None
        _finish(work, contents, _name(output), f"{system.name} ({folder.name})")
    return Imported(output, system.name, contents.notes, contents.model.get("kind", "composed"))


def _system(folder: Path) -> System:
    config = folder / "config.json"
    if (folder / "params.json").is_file() and not config.is_file():
        raise ImportFailed(
            f"{folder}: LLaMA in Meta's layout needs no import: name the folder in a recipe (`model.language.weights: "
            "file:FOLDER`)"
        )
    if not config.is_file():
        raise ImportFailed(f"{folder}: no config.json; expected a model's folder in the hub's format")
    model_type = str(read_object(config, ImportFailed).get("model_type"))
    if model_type not in SYSTEMS:
        raise ImportFailed(
            f"{folder}: a model of type {model_type!r}; whole systems that can be imported are {', '.join(SYSTEMS)}. A "
            "language model or a tower needs no import: name the folder in a recipe (`weights: file:FOLDER`)"
        )
    return SYSTEMS[model_type]


def _name(output: Path) -> str:
    """A recipe's name, made of the folder's."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in output.name)


def _finish(work: Path, contents: Contents, name: str, origin: str) -> None:
    """Recipe, weights and `run.json`: what makes a folder a finished run."""
    recipe: dict[str, Any] = {"name": name, "model": contents.model, **contents.recipe}
    (work / "recipe.yaml").write_text(write_yaml(recipe), encoding="utf-8")
    load_recipe(work / "recipe.yaml")  # its mistakes would be ours
    (work / "weights").mkdir()
    save_file(
        {key: tensor.detach().contiguous().clone() for key, tensor in contents.state.items()},
        work / "weights" / "model.safetensors",
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"name": name, **describe(), "imported": origin, "started": now}
    (work / "run.json").write_text(json.dumps({**facts, "finished": now, "stages": []}, indent=2) + "\n")
