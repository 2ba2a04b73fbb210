"""The formats of transformers: `CLIPModel`, `SiglipModel`, `Blip2VisionModel`, and their vision towers alone."""

from __future__ import annotations

from triptych.weights.formats.format import Format, Parts
from triptych.weights.formats.parts import prefixed, separate
from triptych.weights.names import NameMap

BLOCK = {
    "layer_norm1": "attention_norm",
    "layer_norm2": "feed_forward_norm",
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.out_proj": "attention.output",
    "mlp.fc1": "feed_forward.up",
    "mlp.fc2": "feed_forward.down",
}

BLIP2_BLOCK = {
    "layer_norm1": "attention_norm",
    "layer_norm2": "feed_forward_norm",
    "self_attn.qkv": "attention.qkv",
    "self_attn.projection": "attention.output",
    "mlp.fc1": "feed_forward.up",
    "mlp.fc2": "feed_forward.down",
}

CLIP_VISION = {
    "embeddings.class_embedding": "class_token",
    "embeddings.patch_embedding": "patches",
    "embeddings.position_embedding.weight": "positions",
    "pre_layrnorm": "norm_pre",
    "post_layernorm": "norm",
    **prefixed(BLOCK, "encoder.layers.{}.", "blocks.{}."),
}

SIGLIP_VISION = {
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

BLIP2_VISION = {
    "embeddings.class_embedding": "class_token",
    "embeddings.patch_embedding": "patches",
    "embeddings.position_embedding": "positions",
    "post_layernorm": "norm",
    **prefixed(BLIP2_BLOCK, "encoder.layers.{}.", "blocks.{}."),
}

TEXT = {
    "embeddings.token_embedding": "words",
    "embeddings.position_embedding.weight": "positions",
    "final_layer_norm": "norm",
    **prefixed(BLOCK, "encoder.layers.{}.", "blocks.{}."),
}

POSITION_IDS = ("vision_model.embeddings.position_ids", "text_model.embeddings.position_ids", "embeddings.position_ids")
"""Buffers of older versions."""

CLIP = Format(
    name="transformers CLIP",
    marks=("vision_model.pre_layrnorm.weight", "text_model.final_layer_norm.weight", "visual_projection.weight"),
    names=NameMap(
        {
            **prefixed(CLIP_VISION, "vision_model.", "vision."),
            **prefixed(TEXT, "text_model.", "text."),
            "visual_projection": "vision.projection",
            "text_projection": "text.projection",
            "logit_scale": "logit_scale",
        },
        ignored=POSITION_IDS,
    ),
    fused=(*separate("vision.blocks.{}"), *separate("text.blocks.{}")),
)

SIGLIP = Format(
    name="transformers SigLIP",
    marks=("vision_model.head.probe", "text_model.head.weight", "logit_bias"),
    names=NameMap(
        {
            **prefixed(SIGLIP_VISION, "vision_model.", "vision."),
            **prefixed(TEXT, "text_model.", "text."),
            "text_model.head": "text.projection",
            "logit_scale": "logit_scale",
            "logit_bias": "logit_bias",
        },
        ignored=POSITION_IDS,
    ),
    fused=(*separate("vision.blocks.{}"), *separate("text.blocks.{}")),
    wrapped={"vision.pool.probe": 2, "logit_scale": 1, "logit_bias": 1},
)


def _alone(name: str, mark: str, table: dict[str, str], prefix: str, wrapped: dict[str, int]) -> Format:
    return Format(
        name=name,
        marks=(f"{prefix}{mark}",),
        names=NameMap(
            {**prefixed(table, prefix, "vision."), "visual_projection": "vision.projection"}, ignored=POSITION_IDS
        ),
        fused=separate("vision.blocks.{}"),
        wrapped=wrapped,
    )


CLIP_VISION_ALONE = _alone("transformers CLIP vision", "pre_layrnorm.weight", CLIP_VISION, "vision_model.", {})
CLIP_VISION_BARE = _alone("transformers CLIP vision, bare", "pre_layrnorm.weight", CLIP_VISION, "", {})
SIGLIP_VISION_ALONE = _alone(
    "transformers SigLIP vision", "head.probe", SIGLIP_VISION, "vision_model.", {"vision.pool.probe": 2}
)
SIGLIP_VISION_BARE = _alone(
    "transformers SigLIP vision, bare", "head.probe", SIGLIP_VISION, "", {"vision.pool.probe": 2}
)

BLIP2_OTHER_PARTS = (
    "qformer",
    "query_tokens",
    "language_model",
    "language_projection",
    "embeddings.word_embeddings",
    "embeddings.position_embeddings",
    "embeddings.position_ids",
    "vision_projection",
    "text_projection",
    "itm_head",
)
"""What a whole BLIP-2 has beside its vision tower."""


def _blip2(name: str, prefix: str, ignored: tuple[str, ...]) -> Format:
    return Format(
        name=name,
        marks=(f"{prefix}embeddings.class_embedding", f"{prefix}encoder.layers.0.self_attn.qkv.weight"),
        names=NameMap(prefixed(BLIP2_VISION, prefix, "vision."), ignored=ignored),
        parted=(
            Parts(
                "vision.blocks.{}.attention.qkv.bias",
                ("vision.blocks.{}.attention.query_bias", None, "vision.blocks.{}.attention.value_bias"),
            ),
        ),
        wrapped={"vision.class_token": 2, "vision.positions": 1},
    )


BLIP2 = _blip2("transformers BLIP-2 vision (EVA-01)", "vision_model.", BLIP2_OTHER_PARTS)
BLIP2_BARE = _blip2("transformers BLIP-2 vision (EVA-01), bare", "", ())
