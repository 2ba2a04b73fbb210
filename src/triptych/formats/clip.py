"""CLIP as transformers has it (`CLIPModel`, `CLIPVisionModel`): names of tensors, and fields of configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triptych.errors import RecipeError
from triptych.formats import shapes
from triptych.formats.format import Format, attention, prefixed, separate
from triptych.formats.shapes import Dual, Shape
from triptych.weights.names import NameMap

BLOCK = {
    "layer_norm1": "attention_norm",
    "layer_norm2": "feed_forward_norm",
    **attention("self_attn.", "attention."),
    "mlp.fc1": "feed_forward.up",
    "mlp.fc2": "feed_forward.down",
}

VISION = {
    "embeddings.class_embedding": "class_token",
    "embeddings.patch_embedding": "patches",
    "embeddings.position_embedding.weight": "positions",
    "pre_layrnorm": "norm_pre",
    "post_layernorm": "norm",
    **prefixed(BLOCK, "encoder.layers.{}.", "blocks.{}."),
}

TEXT = {
    "embeddings.token_embedding": "words",
    "embeddings.position_embedding.weight": "positions",
    "final_layer_norm": "norm",
    **prefixed(BLOCK, "encoder.layers.{}.", "blocks.{}."),
}

POSITION_IDS = ("vision_model.embeddings.position_ids", "text_model.embeddings.position_ids", "embeddings.position_ids")
"""Buffers of older versions."""


def whole(
    name: str, marks: tuple[str, ...], vision: Mapping[str, str], heads: Mapping[str, str], wrapped: Mapping[str, int]
) -> Format:
    """The format of a dual encoder.

    Args:
        name: Of the format.
        marks: As those of a `Format`.
        vision: Their names of the vision tower to ours.
        heads: Likewise of what stands beside the towers.
        wrapped: As that of a `Format`.
    """
    names = {**prefixed(vision, "vision_model.", "vision."), **prefixed(TEXT, "text_model.", "text."), **heads}
    return Format(
        name=name,
        marks=marks,
        names=NameMap({**names, "logit_scale": "logit_scale"}, ignored=POSITION_IDS),
        fused=separate("vision.blocks.{}", "text.blocks.{}"),
        wrapped=wrapped,
    )


def towers(name: str, mark: str, vision: Mapping[str, str], wrapped: Mapping[str, int]) -> tuple[Format, Format]:
    """The formats of a vision tower alone: with its whole model's name in front of each tensor, and without."""

    def alone(name: str, prefix: str) -> Format:
        table = {**prefixed(vision, prefix, "vision."), "visual_projection": "vision.projection"}
        return Format(
            name=name,
            marks=(f"{prefix}{mark}",),
            names=NameMap(table, ignored=POSITION_IDS),
            fused=separate("vision.blocks.{}"),
            wrapped=wrapped,
        )

    return alone(name, "vision_model."), alone(f"{name}, bare", "")


FORMATS = (
    whole(
        "transformers CLIP",
        ("vision_model.pre_layrnorm.weight", "text_model.final_layer_norm.weight", "visual_projection.weight"),
        VISION,
        {"visual_projection": "vision.projection", "text_projection": "text.projection"},
        {},
    ),
    *towers("transformers CLIP vision", "pre_layrnorm.weight", VISION, {}),
)

LEGACY_END = 2
"""An `eos_token_id` of old CLIP configurations, with which transformers pools at the highest id."""

WORDS = 49408
"""Size of CLIP's own vocabulary."""


def _text(architecture: Any, end: int | None) -> dict[str, Any]:
    if architecture.pooling == "last":
        raise RecipeError("text.architecture.pooling: `last`; CLIP's is `end`")
    if architecture.pooling == "end" and end in {None, LEGACY_END}:
        raise RecipeError(
            f"the end token's id is {end}, and transformers pools elsewhere then; it has to be any other than {LEGACY_END}"
        )
    begin = (
        {} if architecture.vocabulary == WORDS else {"bos_token_id": None}
    )  # theirs is that of CLIP's own vocabulary
    return {**begin, "eos_token_id": LEGACY_END if architecture.pooling == "highest" else end}


DUAL = Dual(
    model_type="clip",
    name="CLIP",
    prefix="CLIP",
    tensors=FORMATS[0],
    vision=Shape(
        ("clip_vision_model",),
        shapes.VISION,
        {
            **shapes.trunk(class_token=True, patch_bias=False, norm_pre=True),
            "mask_token": False,
            "pooling": "class",
            "projection": "plain",
        },
        alone=FORMATS[2],
    ),
    text=Shape(
        ("clip_text_model",),
        shapes.TEXT,
        {"attention": "causal", "projection": "plain"},
        read=lambda config: {"pooling": "highest" if config.eos_token_id == LEGACY_END else "end"},
        write=_text,
    ),
    spaces=("projection_dim", "vision_config.projection_dim", "text_config.projection_dim"),
)
