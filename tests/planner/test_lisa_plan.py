"""LISA on the meta device: as many parameters as published."""

from __future__ import annotations

from triptych.families.composed.shape import build_composed_shape as build
from triptych.planner.parts import parts_of
from triptych.recipe import load_recipe

SAM_MASK_DECODER = 4_058_340
"""Of every published SAM (`mask_decoder` of facebook/sam-vit-huge)."""

SAM_VIT_HUGE = 637_026_048
"""Its image encoder, neck and positions included."""


def test_lisa_has_the_published_parts() -> None:
    recipe = load_recipe("lisa")
    parts = {part.name: part.parameters for part in parts_of(build(recipe, False), recipe)}
    projection = 4096 * 4096 + 4096 + 4096 * 256 + 256
    no_mask = 256
    assert parts["regions.encoder"] == SAM_VIT_HUGE
    assert parts["regions"] == SAM_MASK_DECODER + no_mask + projection
    assert parts["language"] == 6_738_415_616 + 4096  # and [SEG]
    assert parts["language.lora"] == 32 * 2 * 2 * 8 * 4096  # layers × (q, v) × (down, up) × rank × width
    assert parts["encoders.image"] + parts["adapters.image"] > 290_000_000


def test_the_miniature_keeps_sams_shape() -> None:
    recipe = load_recipe("lisa-mini")
    model = build(recipe, True)
    assert model.regions is not None
    assert model.regions.decoder.mask_size == (72, 72)
    assert model.regions.decoder.grid == (18, 18)
