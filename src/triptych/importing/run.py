"""Importing: recognise a model, take it apart, write the parts as a run."""

from __future__ import annotations

import importlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from triptych.encoders.towers import preprocessing
from triptych.environment import describe
from triptych.export.run import written_folder
from triptych.files import read_object
from triptych.importing import dual
from triptych.importing.conversations import template_of
from triptych.importing.parts import ImportFailed, Parts, fit_of, regions_of
from triptych.recipe import load_recipe
from triptych.weights import fetch
from triptych.weights.pretrained import load_pretrained, load_tokenizer
from triptych.weights.quiet import quiet, silent
from triptych.yaml_file import write_yaml

SYSTEMS: dict[str, tuple[str, str]] = {
    "llava": ("LlavaForConditionalGeneration", "triptych.importing.llava"),
    "blip-2": ("Blip2ForConditionalGeneration", "triptych.importing.qformer"),
    "instructblip": ("InstructBlipForConditionalGeneration", "triptych.importing.qformer"),
    "kosmos-2": ("Kosmos2ForConditionalGeneration", "triptych.importing.kosmos2"),
    "idefics": ("IdeficsForVisionText2Text", "triptych.importing.idefics"),
}
"""Model type → transformers' class, and the module whose `parts` takes it apart."""

TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model")
"""Files that a tokenizer is made of."""

LONGEST = 2048
"""Tokens of a sequence where the language model could read more; a recipe may say another number."""


@dataclass(frozen=True)
class Imported:
    """What was written.

    Args:
        run: The run's folder.
        system: What it is.
        notes: What a person should know.
    """

    run: Path
    system: str
    notes: tuple[str, ...]

    @property
    def dual(self) -> bool:
        """Whether it compares pictures with texts, and answers nothing."""
        return self.system in dual.SYSTEMS.values()


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
    kind = _model_type(folder)
    if kind in dual.SYSTEMS:
        return _dual(folder, output, dual.SYSTEMS[kind])
    name, module = SYSTEMS[kind]
    import transformers

    with quiet():
        model = load_pretrained(getattr(transformers, name), folder, str(folder), dtype="auto")
        tokenizer = load_tokenizer(folder, str(folder))
        chosen = precision or ("float32" if model.dtype == torch.float32 else "bfloat16")
        try:
            found: Parts = importlib.import_module(module).parts(model.eval(), folder, getattr(torch, chosen))
        except ImportFailed as error:
            raise ImportFailed(f"{folder}: {error}") from None
        with written_folder(output) as work:
            try:
                notes = _write(work, found, folder, tokenizer, chosen, _name(output))
            except ImportFailed as error:
                raise ImportFailed(f"{folder}: {error}") from None
    return Imported(output, found.system, (*found.notes, *notes))


def _dual(folder: Path, output: Path, system: str) -> Imported:
    """Both towers of a dual encoder as a run, in float32."""
    with silent(), written_folder(output) as work:
        if not any((folder / name).is_file() for name in TOKENIZERS):  # transformers would make up an empty one
            raise ImportFailed(f"{folder}: no tokenizer there; expected one of {', '.join(TOKENIZERS)}")
        tokenizer = load_tokenizer(folder, str(folder))
        try:
            model, state = dual.dual_parts(folder, tokenizer, work)
        except ImportFailed as error:
            raise ImportFailed(f"{folder}: {error}") from None
        _finish(work, {"name": _name(output), "model": model}, state, f"{system} ({folder.name})")
    return Imported(output, system, ())


def _model_type(folder: Path) -> str:
    config = folder / "config.json"
    if (folder / "params.json").is_file() and not config.is_file():
        raise ImportFailed(
            f"{folder}: LLaMA in Meta's layout needs no import: name the folder in a recipe (`model.language.weights: "
            "file:FOLDER`)"
        )
    if not config.is_file():
        raise ImportFailed(f"{folder}: no config.json; expected a model's folder in the hub's format")
    found = str(read_object(config, ImportFailed).get("model_type"))
    if found not in SYSTEMS and found not in dual.SYSTEMS:
        known = ", ".join([*SYSTEMS, *dual.SYSTEMS])
        raise ImportFailed(
            f"{folder}: a model of type {found!r}; whole systems that can be imported are {known}. A language "
            "model or a tower needs no import: name the folder in a recipe (`weights: file:FOLDER`)"
        )
    return found


def _write(work: Path, found: Parts, folder: Path, tokenizer: Any, precision: str, name: str) -> list[str]:
    """Parts, recipe, weights of adapter and fusion, and `run.json`."""
    pictures = preprocessing(folder, ImportFailed)
    template, system, notes = template_of(folder, tokenizer, found.template)
    regions, unable = regions_of(found.regions, tokenizer)
    found.language.save_pretrained(work / "parts" / "language")
    tokenizer.chat_template = None
    tokenizer.save_pretrained(work / "parts" / "language")
    found.vision.save_pretrained(work / "parts" / "encoder")
    if pictures:
        (work / "parts" / "encoder" / "preprocessor_config.json").write_text(json.dumps(pictures, indent=1) + "\n")
    for other, path in found.tokenizers.items():
        shutil.copytree(path, work / "parts" / other)
    limit = getattr(found.language.config, "max_position_embeddings", None) or LONGEST
    recipe = {
        "name": name,
        "model": {
            "language": {
                "weights": "file:parts/language",
                "precision": precision,
                "chat_template": template,
                **({} if system is None else {"system": system}),
            },
            "encoders": {
                "image": {
                    "kind": "huggingface",
                    "weights": "file:parts/encoder",
                    "fit": fit_of(pictures),
                    **({"precision": "float32"} if precision == "float32" else {}),
                    **found.encoder,
                }
            },
            "adapters": {"image": found.adapter},
            "fusion": found.fusion,
            **({} if regions is None else {"regions": regions}),
        },
        "sequence": {"max_tokens": min(int(limit), LONGEST)},
    }
    state = {**found.state, "adapters.image.scale": torch.tensor(1.0)}  # `output_scale: null`, and runs hold all of it
    _finish(work, recipe, state, f"{found.system} ({folder.name})")
    return [*notes, *unable]


def _name(output: Path) -> str:
    """A recipe's name, made of the folder's."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in output.name)


def _finish(work: Path, recipe: dict[str, Any], state: dict[str, Tensor], origin: str) -> None:
    """Recipe, weights and `run.json`: what makes a folder a finished run."""
    (work / "recipe.yaml").write_text(write_yaml(recipe), encoding="utf-8")
    load_recipe(work / "recipe.yaml")  # its mistakes would be ours
    (work / "weights").mkdir()
    save_file(
        {key: tensor.detach().contiguous().clone() for key, tensor in state.items()},
        work / "weights" / "model.safetensors",
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"name": recipe["name"], **describe(), "imported": origin, "started": now}
    (work / "run.json").write_text(json.dumps({**facts, "finished": now, "stages": []}, indent=2) + "\n")
