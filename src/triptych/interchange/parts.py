"""A foreign model in parts, and the parts as a run of ours has them.

folder ──► transformers' model ──► a system's `parts` ──► folders in `parts/`, weights by our names, values of a recipe
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from triptych.encoders.towers import preprocessing
from triptych.grounding.config import TextRegionsConfig
from triptych.grounding.formats.build import build_format
from triptych.interchange.chat import template_of
from triptych.interchange.errors import ImportFailed
from triptych.interchange.format import Contents
from triptych.language.new_tokens import new_names
from triptych.weights.pretrained import load_pretrained, load_tokenizer

LONGEST = 2048
"""Tokens of a sequence where the language model could read more; a recipe may say another number."""


@dataclass(frozen=True)
class Parts:
    """A model taken apart.

    Args:
        language: The language model, a causal one of transformers.
        vision: The vision tower, a model of transformers that an encoder of `kind: huggingface` reads.
        encoder: What the recipe says of it beside kind and weights.
        adapter: What the recipe says of the adapter.
        state: Weights of adapter and fusion, by the names of a composed model.
        fusion: What the recipe says of the fusion.
        template: The chat template that the system is asked in, where its folder does not say.
        regions: What the recipe says of regions, of a system that points.
        tokenizers: Folders of more tokenizers, by the name that they get.
        notes: What a person should know.
    """

    language: Any
    vision: Any
    encoder: dict[str, Any]
    adapter: dict[str, Any]
    state: dict[str, Tensor]
    fusion: dict[str, Any] = field(default_factory=lambda: {"kind": "splice"})
    template: str | None = None
    regions: dict[str, Any] | None = None
    tokenizers: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


PLAIN = {"normalise": False, "positions": False, "output_scale": None}
"""An adapter with nothing around it."""


def widened(weight: Tensor, columns: int) -> Tensor:
    """A matrix that takes more channels, and does nothing with those that are new."""
    return pad(weight, (0, columns - weight.shape[1]))


def identity(rows: int, columns: int) -> Tensor:
    """A matrix that changes nothing and puts zeros behind what it takes."""
    return nn.init.eye_(nn.Linear(columns, rows, bias=False).weight.detach().clone())


def fit_of(pictures: Mapping[str, Any]) -> str:
    """How pictures become square there."""
    if pictures.get("do_pad"):
        return "pad"
    size = pictures.get("size")
    shortest = isinstance(size, int) or (isinstance(size, dict) and "shortest_edge" in size)
    return "crop" if pictures.get("do_center_crop") and shortest else "squash"


def regions_of(regions: dict[str, Any] | None, tokenizer: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """The recipe's `regions`, and notes: none where the tokenizer has not got the tokens that they are written in."""
    if regions is None:
        return None, []
    lacking = new_names(tokenizer, build_format(TextRegionsConfig(**regions)).tokens)
    if lacking:
        return None, [f"it does not point: the tokenizer has no {lacking[0]} and {len(lacking) - 1} more of its tokens"]
    return regions, []


def composed(
    name: str, parts: Callable[[Any, Path, torch.dtype], Parts]
) -> Callable[[Path, Path, str | None], Contents]:
    """What reads a system of tower, adapter and language model; see `System.read`.

    Args:
        name: Of its class in transformers.
        parts: Takes a loaded model apart, with its folder and the precision of the language model.
    """

    def read(folder: Path, work: Path, precision: str | None) -> Contents:
        import transformers

        model = load_pretrained(getattr(transformers, name), folder, str(folder), dtype="auto")
        tokenizer = load_tokenizer(folder, str(folder))
        chosen = precision or ("float32" if model.dtype == torch.float32 else "bfloat16")
        return _written(parts(model.eval(), folder, getattr(torch, chosen)), folder, work, tokenizer, chosen)

    return read


def _written(apart: Parts, folder: Path, work: Path, tokenizer: Any, precision: str) -> Contents:
    """The parts in their folders, and what a recipe says of them."""
    pictures = preprocessing(folder, ImportFailed)
    template, system, notes = template_of(folder, tokenizer, apart.template)
    regions, unable = regions_of(apart.regions, tokenizer)
    apart.language.save_pretrained(work / "parts" / "language")
    tokenizer.chat_template = None
    tokenizer.save_pretrained(work / "parts" / "language")
    apart.vision.save_pretrained(work / "parts" / "encoder")
    if pictures:
        (work / "parts" / "encoder" / "preprocessor_config.json").write_text(json.dumps(pictures, indent=1) + "\n")
    for other, path in apart.tokenizers.items():
        shutil.copytree(path, work / "parts" / other)
    limit = getattr(apart.language.config, "max_position_embeddings", None) or LONGEST
    model = {
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
                **apart.encoder,
            }
        },
        "adapters": {"image": apart.adapter},
        "fusion": apart.fusion,
        **({} if regions is None else {"regions": regions}),
    }
    state = {**apart.state, "adapters.image.scale": torch.tensor(1.0)}  # `output_scale: null`, and runs hold all of it
    return Contents(
        model, state, {"sequence": {"max_tokens": min(int(limit), LONGEST)}}, (*apart.notes, *notes, *unable)
    )
