"""Idefics as transformers has it: names of tensors."""

from __future__ import annotations

from triptych.formats.format import attention, prefixed
from triptych.weights.names import NameMap

RESAMPLER = NameMap(
    {
        "latents": "latents",
        "layer_norm": "final_norm",
        "blocks.{}.0.context_layer_norm": "layers.{}.attention.feature_norm",
        "blocks.{}.0.latents_layer_norm": "layers.{}.attention.latent_norm",
        **attention("blocks.{}.0.", "layers.{}.attention.", output="output_proj"),
        "blocks.{}.0.q_layer_norm": "layers.{}.attention.query_norm",
        "blocks.{}.0.k_layer_norm": "layers.{}.attention.key_norm",
        "blocks.{}.1.ln": "layers.{}.feed_forward.0",
        "blocks.{}.1.fc": "layers.{}.feed_forward.1",
        "blocks.{}.1.c_proj": "layers.{}.feed_forward.3",
    }
)
"""`IdeficsPerceiverResampler` to the Perceiver without a projection."""

BLOCK = {
    "input_layernorm": "attention_norm",
    **attention("cross_attn.", "", output="o_proj"),
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

BLOCKS = NameMap(prefixed(BLOCK, "{}.", "{}."))
"""All of them, by number."""
