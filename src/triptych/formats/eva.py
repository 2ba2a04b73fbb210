"""The formats of EVA: the EVA-CLIP repository's and timm's, whole dual encoders (open_clip's too) and towers alone."""

from __future__ import annotations

from typing import Literal

from triptych.formats.format import Format, prefixed, separate
from triptych.formats.open_clip import TEXT
from triptych.weights.names import NameMap

STATES = {
    "cls_token": "class_token",
    "pos_embed": "positions",
    "mask_token": "mask_token",
    "patch_embed.proj": "patches",
    "norm": "norm",
    "head": "projection",
}
"""What both generations have around their blocks."""

BLOCK = {
    "norm1": "attention_norm",
    "norm2": "feed_forward_norm",
    "attn.proj": "attention.output",
    "attn.q_bias": "attention.query_bias",
    "attn.v_bias": "attention.value_bias",
}

EVA01_BLOCK = {
    **BLOCK,
    "attn.qkv": "attention.qkv",
    "mlp.fc1": "feed_forward.up",
    "mlp.fc2": "feed_forward.down",
}

EVA02_BLOCK = {
    **BLOCK,
    "attn.q_proj": "attention.query",
    "attn.k_proj": "attention.key",
    "attn.v_proj": "attention.value",
    "attn.inner_attn_ln": "attention.norm",
    "mlp.w1": "feed_forward.gate",
    "mlp.w2": "feed_forward.up",
    "mlp.w3": "feed_forward.down",
    "mlp.ffn_ln": "feed_forward.norm",
}

TIMM_EVA02_BLOCK = {
    "norm1": "attention_norm",
    "norm2": "feed_forward_norm",
    "attn.proj": "attention.output",
    "attn.q_proj.weight": "attention.query.weight",
    "attn.k_proj.weight": "attention.key.weight",
    "attn.v_proj.weight": "attention.value.weight",
    "attn.q_proj.bias": "attention.query_bias",
    "attn.v_proj.bias": "attention.value_bias",
    "attn.norm": "attention.norm",
    "mlp.fc1_g": "feed_forward.gate",
    "mlp.fc1_x": "feed_forward.up",
    "mlp.fc2": "feed_forward.down",
    "mlp.norm": "feed_forward.norm",
}

ROTATIONS = ("rope", "blocks.{}.attn.rope", "lm_head")
"""Buffers that follow from the shape, and the head of masked pretraining."""

Kind = Literal["EVA-01", "EVA-02", "timm EVA-02"]

BLOCKS: dict[Kind, tuple[dict[str, str], tuple[str, ...]]] = {
    "EVA-01": (EVA01_BLOCK, ("blocks.0.attn.q_bias", "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight")),
    "EVA-02": (EVA02_BLOCK, ("blocks.0.attn.q_bias", "blocks.0.attn.q_proj.weight", "blocks.0.mlp.w1.weight")),
    "timm EVA-02": (TIMM_EVA02_BLOCK, ("blocks.0.attn.q_proj.bias", "blocks.0.mlp.fc1_g.weight")),
}
"""Names of a block, and those that tell the kind."""


def _format(name: str, kind: Kind, tower: str, text: str | None) -> Format:
    """A format of a kind of blocks.

    Args:
        name: Of the format.
        kind: Of the blocks.
        tower: What stands in front of the vision tower's names.
        text: What stands in front of the text tower's names; None for a tower alone.
    """
    block, marks = BLOCKS[kind]
    table = prefixed({**STATES, **prefixed(block, "blocks.{}.", "blocks.{}.")}, tower, "vision.")
    of_text = {} if text is None else {**prefixed(TEXT, text, ""), "logit_scale": "logit_scale"}
    told = () if text is None else (f"{text}token_embedding.weight",)
    return Format(
        name=name,
        marks=(*(f"{tower}{mark}" for mark in marks), *told),
        names=NameMap(
            {**table, **of_text},
            ignored=(*(f"{tower}{start}" for start in ROTATIONS), "attn_mask", "text.attn_mask"),
        ),
        fused=() if kind == "EVA-01" else separate("vision.blocks.{}", kinds=("weight",)),
        turned=() if text is None else ("text.projection.weight",),
        wrapped={"vision.class_token": 2, "vision.mask_token": 2, "vision.positions": 1},
    )


FORMATS = (
    _format("EVA-01 CLIP", "EVA-01", "visual.", "text."),
    _format("EVA-01 CLIP with a flat text tower", "EVA-01", "visual.", ""),
    _format("open_clip EVA-01 CLIP", "EVA-01", "visual.trunk.", "text."),
    _format("EVA-01 tower", "EVA-01", "", None),
    _format("EVA-02 CLIP", "EVA-02", "visual.", "text."),
    _format("EVA-02 CLIP with a flat text tower", "EVA-02", "visual.", ""),
    _format("open_clip EVA-02 CLIP", "timm EVA-02", "visual.trunk.", "text."),
    _format("EVA-02 tower", "EVA-02", "", None),
    _format("timm EVA-02 tower", "timm EVA-02", "", None),
)
