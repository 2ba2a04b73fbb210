"""A dual encoder in miniature over the tiny world: it learns to tell pictures of four colours apart."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import torch

from tiny_world import World
from triptych.families.dual.build import build_dual
from triptych.families.dual.model import DualEncoder
from triptych.recipe import Recipe, parse_recipe
from triptych.sequence.pack import Document
from triptych.sequence.pairs import PairBatch

VISION = {"image_size": 16, "patch_size": 8, "width": 16, "layers": 2, "heads": 2, "mask_token": True}
TEXT = {"max_tokens": 24, "width": 16, "layers": 2, "heads": 2}


def values(world: World, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of a recipe; `changes` are dotted paths."""
    captions = world.folder / "two_captions.json"
    if not captions.exists():
        names = ["red", "green", "blue", "yellow"]
        files = [f"{i:02}.png" for i in range(12)]
        captions.write_text(
            json.dumps(
                {
                    "images": [{"id": i, "file_name": name} for i, name in enumerate(files)],
                    "annotations": [
                        {"image_id": i, "caption": text}
                        for i in range(12)
                        for text in (f"It is {names[i % 4]}.", f"number {i}, {names[i % 4]}")
                    ],
                }
            )
        )
    found: dict[str, Any] = {
        "name": "tiny-dual",
        "base": str(world.folder),
        "model": {
            "kind": "dual",
            "vision": {"kind": "vit", "architecture": VISION},
            "text": {"kind": "transformer", "architecture": TEXT},
            "embed_dim": 8,
            "tokenizer": "file:language",
        },
        "data": {
            "colours": {"kind": "coco_captions", "annotations": "two_captions.json", "images": "pictures", "captions": "all"}
        },
        "loading": {"workers": 0},
        "stages": [
            {"name": "contrast", "train": ["vision", "text", "logit_scale"], "mixture": {"colours": 1}, "steps": 4,
             "objective": {"kind": "contrastive"}, "batch_size": 6, "learning_rate": 1e-2, "checkpoint_every": 2},
        ],
        "evaluation": {"retrieval": {"kind": "retrieval", "data": "colours", "pool": 6}},
    }  # fmt: skip
    found = copy.deepcopy(found)
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        target: Any = found
        for step in parents:
            target = target[int(step)] if isinstance(target, list) else target.setdefault(step, {})
        target[int(last) if isinstance(target, list) else last] = value
    return found


FROZEN_IMAGES = {
    "kind": "frozen",
    "encoder": {"kind": "vit", "architecture": VISION, "layer": "output", "drop_cls": False},
    "pool": "attention",
    "head": {"hidden": 12, "dropout": 0.1},
}


def frozen_values(world: World, layer: int = 1, **changes: Any) -> dict[str, Any]:
    """The values of a recipe with both sides frozen."""
    found = values(world, changes)
    found["model"]["vision"] = copy.deepcopy(FROZEN_IMAGES)
    found["model"]["text"] = {"kind": "frozen", "language": {"weights": "file:language"}, "layer": layer}
    found["model"].pop("tokenizer")
    found["stages"][0]["train"] = ["vision.head", "text.head", "logit_scale"]
    return found


def recipe(world: World, changes: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe of a dual encoder over the tiny world."""
    return parse_recipe(values(world, changes))


def model(world: World, changes: Mapping[str, Any] | None = None) -> DualEncoder:
    """A fresh dual encoder with larger weights than usual, so that directions differ."""
    return build_dual(recipe(world, changes))


def batch(count: int, seed: int = 0, tokens: int = 9, size: int = 16) -> PairBatch:
    """Random pairs."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, tokens + 1, (count,), generator=generator)
    return PairBatch(
        pixels=torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8),
        ids=torch.randint(0, 250, (count, tokens), generator=generator),
        lengths=lengths,
        media=(),
        texts=(),
        conversations=tuple(Document(i, str(i), {}, (i,)) for i in range(count)),
    )
