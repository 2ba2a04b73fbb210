"""SigLIP as transformers has it (`SiglipModel`, `SiglipVisionModel`): names of tensors, and fields of configurations."""

from __future__ import annotations

from typing import Any

from triptych.errors import WeightsError
from triptych.formats import shapes
from triptych.formats.clip import BLOCK, towers, whole
from triptych.formats.format import prefixed
from triptych.formats.shapes import Dual, Shape

VISION = {
    "embeddings.patch_embedding": "patches",
    "embeddings.position_embedding.weight": "positions",
    "post_layernorm": "norm",
    "head.probe": "pool.probe",
    "head.attention.in_proj_weight": "pool.attention.qkv.weight",
    "head.attention.in_proj_bias": "pool.attention.qkv.bias",
    "head.attention.out_proj": "pool.attention.output",
    "head.layernorm": "pool.norm",
    "head.mlp.fc1": "pool.feed_forward.up",
    "head.mlp.fc2": "pool.feed_forward.down",
    **prefixed(BLOCK, "encoder.layers.{}.", "blocks.{}."),
}

PROBE = {"vision.pool.probe": 2}

FORMATS = (
    whole(
        "transformers SigLIP",
        ("vision_model.head.probe", "text_model.head.weight", "logit_bias"),
        VISION,
        {"text_model.head": "text.projection", "logit_bias": "logit_bias"},
        {**PROBE, "logit_scale": 1, "logit_bias": 1},
    ),
    *towers("transformers SigLIP vision", "head.probe", VISION, PROBE),
)


def _vision(config: Any) -> dict[str, Any]:
    if not getattr(config, "vision_use_head", True):  # older versions of transformers do not name it
        raise WeightsError("a SigLIP tower without its head (`vision_use_head: false`) has no pooling")
    return {"pixels": "half"}


DUAL = Dual(
    model_type="siglip",
    name="SigLIP",
    prefix="Siglip",
    tensors=FORMATS[0],
    vision=Shape(
        ("siglip_vision_model",),
        shapes.VISION,
        {
            **shapes.trunk(class_token=False, patch_bias=True, norm_pre=False),
            "mask_token": False,
            "pooling": "attention",
            "projection": "none",
        },
        read=_vision,
        alone=FORMATS[2],
        headless={"vision_use_head": False},
    ),
    text=Shape(
        ("siglip_text_model",),
        {**shapes.TEXT, "pad_token_id": "pad"},
        {"attention": "bidirectional", "pooling": "last", "projection": "bias"},
    ),
    spaces=("text_config.projection_size",),
)
