"""Names of whole systems in transformers to those of a composed model's parts."""

from __future__ import annotations

from triptych.weights.names import NameMap

QFORMER_LAYER = {
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
    return {f"{theirs}encoder.layer.{{}}.{their}": f"{ours}layers.{{}}.{our}" for their, our in QFORMER_LAYER.items()}


BLIP2_ADAPTER = NameMap(
    {
        **qformer_names("qformer.", "qformer."),
        "query_tokens": "queries",
        "qformer.layernorm": "qformer.norm",
        "language_projection": "projection",
    }
)
"""`Blip2ForConditionalGeneration`'s queries, Q-Former and projection to the adapter; `query_tokens` have one dimension more."""

INSTRUCTBLIP_ADAPTER = NameMap(
    {
        **qformer_names("qformer.", "qformer."),
        "query_tokens": "queries",
        "qformer.embeddings.layernorm": "qformer.norm",
        "qformer.embeddings.word_embeddings": "qformer.words",
        "qformer.embeddings.position_embeddings": "qformer.places",
        "language_projection": "projection",
    }
)
"""The same of `InstructBlipForConditionalGeneration`, whose Q-Former reads the instruction."""

KOSMOS2_ADAPTER = NameMap(
    {
        "dense": "projection",
        "latent_query": "latents",
        "x_attn.q_proj": "query",
        "x_attn.k_proj": "key",
        "x_attn.v_proj": "value",
        "x_attn.out_proj": "output",
    }
)
"""`Kosmos2ImageToTextProjection` to the connector."""

IDEFICS_RESAMPLER = NameMap(
    {
        "latents": "latents",
        "layer_norm": "final_norm",
        "blocks.{}.0.context_layer_norm": "layers.{}.attention.feature_norm",
        "blocks.{}.0.latents_layer_norm": "layers.{}.attention.latent_norm",
        "blocks.{}.0.q_proj": "layers.{}.attention.query",
        "blocks.{}.0.k_proj": "layers.{}.attention.key",
        "blocks.{}.0.v_proj": "layers.{}.attention.value",
        "blocks.{}.0.output_proj": "layers.{}.attention.output",
        "blocks.{}.0.q_layer_norm": "layers.{}.attention.query_norm",
        "blocks.{}.0.k_layer_norm": "layers.{}.attention.key_norm",
        "blocks.{}.1.ln": "layers.{}.feed_forward.0",
        "blocks.{}.1.fc": "layers.{}.feed_forward.1",
        "blocks.{}.1.c_proj": "layers.{}.feed_forward.3",
    }
)
"""`IdeficsPerceiverResampler` to the Perceiver without a projection."""

IDEFICS_BLOCK = {
    "input_layernorm": "attention_norm",
    "cross_attn.q_proj": "query",
    "cross_attn.k_proj": "key",
    "cross_attn.v_proj": "value",
    "cross_attn.o_proj": "output",
    "cross_attn.q_layer_norm": "query_norm",
    "cross_attn.k_layer_norm": "key_norm",
    "post_attention_layernorm": "feedforward_norm",
    "mlp.gate_proj": "gate_projection",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
    "alpha_cross_attn": "attention_gate",
    "alpha_dense": "feedforward_gate",
}
"""A gated layer of transformers' Idefics to a `GatedBlock`."""

IDEFICS_BLOCKS = NameMap({f"{{}}.{their}": f"{{}}.{our}" for their, our in IDEFICS_BLOCK.items()})
"""All of them, by number."""
