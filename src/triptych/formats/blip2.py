"""BLIP-2 and InstructBLIP as transformers has them: names of tensors, and fields of configurations."""

from __future__ import annotations

from triptych.formats import shapes
from triptych.formats.format import Format, Parts, prefixed
from triptych.formats.shapes import Shape
from triptych.weights.names import NameMap

BLOCK = {
    "layer_norm1": "attention_norm",
    "layer_norm2": "feed_forward_norm",
    "self_attn.qkv": "attention.qkv",
    "self_attn.projection": "attention.output",
    "mlp.fc1": "feed_forward.up",
    "mlp.fc2": "feed_forward.down",
}

VISION = {
    "embeddings.class_embedding": "class_token",
    "embeddings.patch_embedding": "patches",
    "embeddings.position_embedding": "positions",
    "post_layernorm": "norm",
    **prefixed(BLOCK, "encoder.layers.{}.", "blocks.{}."),
}

OTHER_PARTS = (
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


def _tower(name: str, prefix: str, ignored: tuple[str, ...]) -> Format:
    return Format(
        name=name,
        marks=(f"{prefix}embeddings.class_embedding", f"{prefix}encoder.layers.0.self_attn.qkv.weight"),
        names=NameMap(prefixed(VISION, prefix, "vision."), ignored=ignored),
        parted=(
            Parts(
                "vision.blocks.{}.attention.qkv.bias",
                ("vision.blocks.{}.attention.query_bias", None, "vision.blocks.{}.attention.value_bias"),
            ),
        ),
        wrapped={"vision.class_token": 2, "vision.positions": 1},
    )


FORMATS = (
    _tower("transformers BLIP-2 vision (EVA-01)", "vision_model.", OTHER_PARTS),
    _tower("transformers BLIP-2 vision (EVA-01), bare", "", ()),
)

SHAPE = Shape(
    ("blip_2_vision_model", "instructblip_vision_model"),
    shapes.VISION,
    {
        **shapes.trunk(class_token=True, patch_bias=True, norm_pre=False, attention_bias="query_value"),
        "projection": "none",
    },
    read=lambda config: {} if config.qkv_bias else {"attention_bias": "none"},
    alone=FORMATS[1],
)
"""EVA-01, the one tower that both have."""

LAYER = {
    "attention.attention.query": "attention.query",
    "attention.attention.key": "attention.key",
    "attention.attention.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention.norm",
    "crossattention.attention.query": "cross.query",
    "crossattention.attention.key": "cross.key",
    "crossattention.attention.value": "cross.value",
    "crossattention.output.dense": "cross.output",
    "crossattention.output.LayerNorm": "cross.norm",
    "intermediate_query.dense": "feed_forward.up",
    "output_query.dense": "feed_forward.down",
    "output_query.LayerNorm": "feed_forward.norm",
    "intermediate.dense": "text_feed_forward.up",
    "output.dense": "text_feed_forward.down",
    "output.LayerNorm": "text_feed_forward.norm",
}
"""A layer of transformers' Q-Formers (and of LAVIS's, but for the names of the attention) to one of ours."""


def qformer_names(theirs: str = "", ours: str = "") -> dict[str, str]:
    """Patterns for `NameMap`: the layers of transformers' Q-Formers to ours.

    Args:
        theirs: What stands in front of `encoder.layer`: `qformer.` in transformers' BLIP-2.
        ours: What stands in front of `layers`.
    """
    return prefixed(LAYER, f"{theirs}encoder.layer.{{}}.", f"{ours}layers.{{}}.")


_COMMON = {
    **qformer_names("qformer.", "qformer."),
    "query_tokens": "queries",
    "language_projection": "projection",
}
_INSTRUCTION = {
    "qformer.embeddings.layernorm": "qformer.norm",
    "qformer.embeddings.word_embeddings": "qformer.words",
    "qformer.embeddings.position_embeddings": "qformer.places",
}

ADAPTERS = {
    False: NameMap({**_COMMON, "qformer.layernorm": "qformer.norm"}),
    True: NameMap({**_COMMON, **_INSTRUCTION}),
}
"""Queries, Q-Former and projection to the adapter, by whether the Q-Former reads the instruction (InstructBLIP);
`query_tokens` have one dimension more."""

FIELDS = {
    "num_hidden_layers": "layers",
    "hidden_size": "width",
    "num_attention_heads": "heads",
    "intermediate_size": "intermediate",
    "cross_attention_frequency": "cross_every",
}
"""Of a Q-Former's configuration, to those of a recipe's adapter."""

TEXT_FIELDS = {"max_position_embeddings": "text_tokens", "vocab_size": "vocabulary"}
"""Likewise of one that reads the instruction."""

HUB = NameMap(
    {
        **_COMMON,
        **_INSTRUCTION,
        "qformer.layernorm": "qformer.norm",
        "vision_model.post_layernorm": "norm",
        "embeddings.word_embeddings": "qformer.words",
        "embeddings.position_embeddings": "qformer.places",
        "vision_projection": "heads.vision",
        "text_projection": "heads.text",
        "itm_head": "heads.match",
    },
    ignored=("embeddings.position_ids", "qformer.embeddings.position_ids"),
)
"""`Blip2ForConditionalGeneration`, `Blip2ForImageTextRetrieval` and `InstructBlipForConditionalGeneration` to the adapter,
and to the heads of the first stage."""
