"""BLIP-2's first stage in miniature over the tiny world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

import tiny_dual
from tiny_world import World
from triptych.families.qformer.build import build_blip2
from triptych.families.qformer.model import Blip2
from triptych.recipe import Recipe, parse_recipe
from triptych.sequence.pack import Document
from triptych.sequence.pairs import PairBatch

QFORMER = {"kind": "qformer", "queries": 3, "layers": 3, "width": 16, "heads": 2, "intermediate": 24, "text_tokens": 20}


def values(world: World, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of a recipe; `changes` are dotted paths."""
    model = {
        "kind": "blip2",
        "encoder": {"kind": "huggingface", "weights": "file:vision", "precision": "float32"},
        "qformer": dict(QFORMER),
        "embed_dim": 8,
        "tokenizer": "file:language",
        "max_tokens": 20,
    }
    first = {
        "model": model,
        "name": "tiny-blip2",
        "stages.0.name": "represent",
        "stages.0.train": ["qformer", "heads", "logit_scale"],
        "stages.0.objective": {"kind": "blip2"},
    }
    return tiny_dual.values(world, first | dict(changes or {}))


def recipe(world: World, changes: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe over the tiny world."""
    return parse_recipe(values(world, changes))


def model(world: World, changes: Mapping[str, Any] | None = None) -> Blip2:
    """A fresh model."""
    return build_blip2(recipe(world, changes))


def batch(model: Blip2, count: int, seed: int = 0, tokens: int = 9) -> PairBatch:
    """Random features with random texts that begin and end as the model's do."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, tokens + 1, (count,), generator=generator)
    ids = torch.randint(5, 250, (count, tokens), generator=generator)
    ids[:, 0] = model.words.begin
    ids[torch.arange(count), lengths - 1] = model.words.end
    return PairBatch(
        pixels=torch.randn(count, 16, model.encoder.dim, generator=generator),
        ids=ids,
        lengths=lengths,
        media=(),
        texts=(),
        conversations=tuple(Document(i, str(i), {}, (i,)) for i in range(count)),
    )
