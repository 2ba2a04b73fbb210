"""The formats of OpenAI CLIP, of open_clip, and of the text towers of the EVA-CLIP repository, which are the same."""

from __future__ import annotations

from triptych.formats.format import Format, Parts, prefixed
from triptych.weights.names import NameMap

BLOCK = {
    "ln_1": "attention_norm",
    "ln_2": "feed_forward_norm",
    "attn.in_proj_weight": "attention.qkv.weight",
    "attn.in_proj_bias": "attention.qkv.bias",
    "attn.out_proj": "attention.output",
    "mlp.c_fc": "feed_forward.up",
    "mlp.c_proj": "feed_forward.down",
}

VISION = {
    "visual.class_embedding": "vision.class_token",
    "visual.positional_embedding": "vision.positions",
    "visual.conv1": "vision.patches",
    "visual.ln_pre": "vision.norm_pre",
    "visual.ln_post": "vision.norm",
    "visual.proj": "vision.projection.weight",
    **prefixed(BLOCK, "visual.transformer.resblocks.{}.", "vision.blocks.{}."),
}

TEXT_STATES = {
    "token_embedding": "text.words",
    "positional_embedding": "text.positions",
    "ln_final": "text.norm",
    **prefixed(BLOCK, "transformer.resblocks.{}.", "text.blocks.{}."),
}
"""Without the projection, which is a bare matrix or a linear layer."""

TEXT = {**TEXT_STATES, "text_projection": "text.projection.weight"}

IGNORED = ("input_resolution", "context_length", "vocab_size", "attn_mask", "text.attn_mask")
"""Numbers of OpenAI's exported files, and buffers."""

TIMM_BLOCK = {
    "norm1": "attention_norm",
    "norm2": "feed_forward_norm",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.output",
    "mlp.fc1": "feed_forward.up",
    "mlp.fc2": "feed_forward.down",
}

TIMM_SIGLIP = {
    "pos_embed": "positions",
    "patch_embed.proj": "patches",
    "norm": "norm",
    "attn_pool.latent": "pool.probe",
    "attn_pool.q": "pool.attention.query",
    "attn_pool.kv": "pool.attention.key_value",
    "attn_pool.proj": "pool.attention.output",
    "attn_pool.norm": "pool.norm",
    "attn_pool.mlp.fc1": "pool.feed_forward.up",
    "attn_pool.mlp.fc2": "pool.feed_forward.down",
    **prefixed(TIMM_BLOCK, "blocks.{}.", "blocks.{}."),
}


def _clip(name: str, text: str) -> Format:
    """CLIP, its text tower's names with something in front."""
    return Format(
        name=name,
        marks=("visual.conv1.weight", "visual.proj", f"{text}token_embedding.weight", f"{text}text_projection"),
        names=NameMap({**VISION, **prefixed(TEXT, text, ""), "logit_scale": "logit_scale"}, ignored=IGNORED),
        turned=("vision.projection.weight", "text.projection.weight"),
    )


FORMATS = (
    _clip("OpenAI CLIP", ""),  # open_clip's own models have the same names
    _clip("open_clip CLIP with a text tower of its own", "text."),
    Format(
        name="open_clip SigLIP",
        marks=("visual.trunk.attn_pool.latent", "text.text_projection.weight", "logit_bias"),
        names=NameMap(
            {
                **prefixed(TIMM_SIGLIP, "visual.trunk.", "vision."),
                **prefixed(TEXT_STATES, "text.", ""),
                "text.text_projection": "text.projection",
                "logit_scale": "logit_scale",
                "logit_bias": "logit_bias",
            },
            ignored=IGNORED,
        ),
        fused=tuple(
            Parts(
                f"vision.pool.attention.qkv.{kind}",
                (f"vision.pool.attention.query.{kind}", f"vision.pool.attention.key_value.{kind}"),
                shares=(1, 2),
            )
            for kind in ("weight", "bias")
        ),
        wrapped={"vision.pool.probe": 2, "vision.positions": 1},
    ),
)
