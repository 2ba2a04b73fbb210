"""The formats of OpenAI CLIP, of open_clip, and of the text towers of the EVA-CLIP repository, which are the same."""

from __future__ import annotations

from triptych.weights.formats.format import Format, Parts
from triptych.weights.formats.parts import prefixed
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

OPENAI = Format(
    name="OpenAI CLIP",
    marks=("visual.conv1.weight", "visual.proj", "token_embedding.weight", "text_projection"),
    names=NameMap({**VISION, **TEXT, "logit_scale": "logit_scale"}, ignored=IGNORED),
    turned=("vision.projection.weight", "text.projection.weight"),
)
"""open_clip's own models have the same names."""

CUSTOM_TEXT = Format(
    name="open_clip CLIP with a text tower of its own",
    marks=("visual.conv1.weight", "visual.proj", "text.token_embedding.weight", "text.text_projection"),
    names=NameMap({**VISION, **prefixed(TEXT, "text.", ""), "logit_scale": "logit_scale"}, ignored=IGNORED),
    turned=("vision.projection.weight", "text.projection.weight"),
)

TIMM_BLOCK = {
    "norm1": "attention_norm",
    "norm2": "feed_forward_norm",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.output",
    "mlp.fc1": "feed_forward.up",
    "mlp.fc2": "feed_forward.down",
}

SIGLIP = Format(
    name="open_clip SigLIP",
    marks=("visual.trunk.attn_pool.latent", "text.text_projection.weight", "logit_bias"),
    names=NameMap(
        {
            "visual.trunk.pos_embed": "vision.positions",
            "visual.trunk.patch_embed.proj": "vision.patches",
            "visual.trunk.norm": "vision.norm",
            "visual.trunk.attn_pool.latent": "vision.pool.probe",
            "visual.trunk.attn_pool.q": "vision.pool.attention.query",
            "visual.trunk.attn_pool.kv": "vision.pool.attention.key_value",
            "visual.trunk.attn_pool.proj": "vision.pool.attention.output",
            "visual.trunk.attn_pool.norm": "vision.pool.norm",
            "visual.trunk.attn_pool.mlp.fc1": "vision.pool.feed_forward.up",
            "visual.trunk.attn_pool.mlp.fc2": "vision.pool.feed_forward.down",
            **prefixed(TIMM_BLOCK, "visual.trunk.blocks.{}.", "vision.blocks.{}."),
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
)
