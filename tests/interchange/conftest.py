"""Runs of every kind that a format holds, trained for two steps, once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny_dual
from tiny_world import World, tokenizer
from triptych.recipe import Recipe
from triptych.training.loop import train

EVA01 = {
    "model_type": "blip_2_vision_model",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
SIGLIP_VISION = {
    **tiny_dual.VISION,
    "class_token": False,
    "pooling": "attention",
    "projection": "none",
    "norm_pre": False,
    "patch_bias": True,
    "pixels": "half",
    "activation": "gelu_tanh",
}
SIGLIP_TEXT = {
    **tiny_dual.TEXT,
    "attention": "bidirectional",
    "pooling": "last",
    "projection": "bias",
    "activation": "gelu_tanh",
}
LORA = [
    {"name": "learn", "train": ["adapters", "language.lora"], "mixture": {"colours": 1}, "steps": 2, "batch_size": 4,
     "learning_rate": 1e-2, "micro_rows": 2},
]  # fmt: skip


def composed(world: World, **changes: Any) -> Recipe:
    plain = {"kind": "mlp", "normalise": False, "positions": False}
    common = {"model.adapters.image": plain, "model.language.lora": {"rank": 2}, "stages": LORA}
    return world.recipe({**common, **{key.replace("__", "."): value for key, value in changes.items()}})


def qformer(instruction: bool) -> dict[str, Any]:
    return {
        "model__adapters__image": {
            "kind": "qformer", "queries": 3, "layers": 3, "width": 24, "heads": 3, "intermediate": 40,
            "normalise": False, "instruction": instruction,
        },
        "model__encoders__image": {
            "kind": "huggingface", "architecture": EVA01, "layer": "output", "drop_cls": False, "precision": "float32",
            "fit": "squash",
        },
    }  # fmt: skip


def dual(world: World, **changes: Any) -> Recipe:
    if not (world.folder / "words").exists():
        tokenizer(end="</s>").save_pretrained(world.folder / "words")  # whose id is not 2
    common = {"stages.0.steps": 2, "model.vision.fit": "squash", "model.tokenizer": "file:words"}
    return tiny_dual.recipe(world, {**common, **changes})


RECIPES: dict[str, Callable[[World], Recipe]] = {
    "llava": composed,
    "linear": lambda world: composed(
        world,
        model__adapters__image={"kind": "linear", "normalise": False, "positions": False},
        model__encoders__image__fit="squash",
        model__encoders__image__drop_cls=False,
        model__encoders__image__layer=-1,
    ),
    "blip2": lambda world: composed(world, **qformer(False)),
    "instructblip": lambda world: composed(world, **qformer(True)),
    "clip": dual,
    "siglip": lambda world: dual(
        world,
        **{
            "model.vision.architecture": SIGLIP_VISION,
            "model.text.architecture": SIGLIP_TEXT,
            "model.embed_dim": 16,
            "model.bias": -10.0,
            "model.scale": 10.0,
            "stages.0.objective": {"kind": "sigmoid"},
        },
    ),
}


@pytest.fixture(scope="session")
def runs(
    world: World, session_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Path]]:
    """Name of a recipe above → the folder of its run, trained when first asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TRIPTYCH_CACHE", str(session_cache))
        folder, done = tmp_path_factory.mktemp("exported"), {}

        def run(name: str) -> Path:
            if name not in done:
                done[name] = train(RECIPES[name](world), folder / name, quiet=True)
            return done[name]

        yield run
