"""What a dual encoder makes of one record."""

from __future__ import annotations

from pathlib import Path

from triptych.conversation import Conversation
from triptych.families.dual.config import DualConfig
from triptych.families.dual.model import DualEncoder
from triptych.families.dual.shape import build_dual_shape
from triptych.language.build import load_tokenizer
from triptych.preview.pairs import show_pair
from triptych.recipe import Recipe


def inspect_dual(recipe: Recipe, conversation: Conversation, name: str, save: Path | None) -> None:
    """See `Family.inspect`."""
    assert isinstance(recipe.model, DualConfig)
    tokenizer = load_tokenizer(recipe.model.tokenizer_source(), Path(recipe.base))
    model = build_dual_shape(recipe, tokenizer=tokenizer)
    show_pair(recipe, conversation, name, save, model.words, model.preparation, _sees(model))


def _sees(model: DualEncoder) -> str:
    """What the image side cuts the picture into."""
    if model.frozen_encoder is not None:
        encoder = model.frozen_encoder
        return f"{encoder.grid[0]} × {encoder.grid[1]} features of {encoder.dim:,} channels, encoded once"
    shape = model.tower.architecture
    side = model.preparation.size // shape.patch_size
    dropped = f", {model.tower.patch_dropout:.0%} of them left out in training" if model.tower.patch_dropout else ""
    return f"{side} × {side} patches of {shape.patch_size} pixels{dropped}"
