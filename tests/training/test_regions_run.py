"""A run that learns to point by embedding: it logs its terms, and what it saves points as it did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch

from tiny_regions import REGIONS, shown
from tiny_world import World
from triptych.api import load
from triptych.training.loop import train

CHANGES = {
    "model.regions": {**REGIONS, "encoder": {"kind": "huggingface", "weights": "file:vision", "precision": "float32",
                                             "layer": -1}},
    "data": {"regions": {"kind": "tiny_regions:Rectangles", "count": 12}},
    "stages": [
        {"name": "ground", "train": ["adapters", "regions"], "mixture": {"regions": 1},
         "objective": {"kind": "regions", "mask_quality": 1.0}, "steps": 60, "batch_size": 6, "micro_rows": 6,
         "learning_rate": 5e-3, "checkpoint_every": 30},
    ],
}  # fmt: skip


def test_a_run_learns_regions_and_keeps_them(world: World, tiny_cache: Path, tmp_path: Path) -> None:
    recipe = world.recipe(CHANGES)
    run = train(recipe, tmp_path / "run", quiet=True)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for name in ("token_loss", "box_l1", "box_giou", "mask_dice", "mask_cross_entropy", "mask_quality"):
        assert name in lines[0]
    first, last = (sum(line["box_giou"] + line["mask_dice"] for line in part) for part in (lines[:10], lines[-10:]))
    assert last < 0.7 * first
    one = load(run).model
    two = load(run).model
    picture, _ = shown(0)
    hidden = torch.randn(1, one.language.dim)
    with torch.no_grad():
        found = [m.regions.decoder(hidden, m.look([picture]), torch.tensor([0])) for m in (one, two)]  # type: ignore[union-attr]
    assert torch.equal(found[0].masks, found[1].masks)
    assert torch.equal(found[0].boxes, found[1].boxes)
    facts = json.loads((run / "run.json").read_text())
    parts = {part["part"]: part for part in facts["stages"][0]["parts"]}
    assert parts["regions"]["trained"] == parts["regions"]["parameters"] > 0
    assert parts["regions.encoder"]["trained"] == 0


def test_details_are_cached_and_equal_live_ones(
    world: World, tiny_cache: Path, train_tiny: Callable[..., Path]
) -> None:
    """One step with features from the cache and one with features encoded live end with the same weights, bit by bit."""
    from safetensors.torch import load_file

    stages = [{**CHANGES["stages"][0], "steps": 2}]  # type: ignore[dict-item]
    weights = []
    for cached in (True, False):
        changes = {**CHANGES, "stages": stages, "loading.cache_features": cached}
        weights.append(load_file(train_tiny(changes, str(cached)) / "weights" / "model.safetensors"))
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
