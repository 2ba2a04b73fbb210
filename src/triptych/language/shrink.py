"""A small model of the same class: the same kinds of layers, masks and scales, at widths that compute in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

LAYERS = 4
"""Layers of the small model, or as many as it takes to have one of each kind."""

MOST_LAYERS = 12

WIDTH = 32
"""Of hidden states; embeddings that have another width have half of it."""

EMBEDDING_WIDTHS = ("embedding_size", "input_embedding_size", "word_embed_proj_dim")

SIZES: dict[str, int] = {
    # widths
    **dict.fromkeys(
        ("hidden_size", "n_embd", "d_model", "embedding_size", "input_embedding_size", "emb_dim", "embed_dim"), WIDTH
    ),
    **dict.fromkeys(("output_embedding_size", "word_embed_proj_dim", "attention_hidden_size", "lru_width"), WIDTH),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 16),
    **dict.fromkeys(("dim_ff", "dff", "intermediate_size_mlp", "dense_intermediate_size"), 48),
    "hidden_size_per_layer_input": 8,
    # heads
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "decoder_attention_heads", "attention_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "mamba_n_heads", "linear_num_value_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "linear_num_key_heads", "num_global_key_value_heads"), 2),
    **dict.fromkeys(("head_dim", "v_head_dim", "qk_rope_head_dim", "qk_nope_head_dim", "kv_channels"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "global_head_dim", "dim_head", "rotary_dim"), 8),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "mamba_d_head"), 16),
    # experts
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "moe_topk"), 2),
    **dict.fromkeys(("n_group", "topk_group"), 1),
    # states
    **dict.fromkeys(("chunk_size", "mamba_chunk_size", "index_topk"), 4),
    **dict.fromkeys(("state_size", "mamba_d_state", "ssm_state_size"), 8),
    # lengths: shorter than what the probe reads, so that windows and chunks are met
    **dict.fromkeys(("sliding_window", "attention_window_size", "attention_chunk_size", "window_size"), 3),
    # the rest
    **dict.fromkeys(("vocab_size", "n_words", "vocab_size_per_layer_input"), 128),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length"), 128),
}
"""The names of sizes in transformers' configurations, and what they are at most in the small model."""

DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers", "layers")

MOST_PARAMETERS = 20_000_000
"""A small model with more than these is none: its configuration names its sizes in words that are not known here."""

SILENT: tuple[str, ...] = (
    "dropout",
    "attention_dropout",
    "hidden_dropout",
    "activation_dropout",
    "embd_pdrop",
    "resid_pdrop",
)
SILENT += ("attn_pdrop", "hidden_dropout_prob", "attention_probs_dropout_prob", "layerdrop", "decoder_layerdrop")


def shrunk(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a transformers configuration (`to_dict`) with small sizes; those of its parts too."""
    small: dict[str, Any] = {}
    depth = next((values[name] for name in DEPTHS if isinstance(values.get(name), int)), None)
    kept = layers_kept(values, depth) if depth else 0
    for name, value in values.items():
        if isinstance(value, Mapping) and name not in ("rope_parameters", "rope_scaling", "per_layer_config"):
            small[name] = shrunk(value)
        elif name in DEPTHS and isinstance(value, int):
            small[name] = min(value, kept)
        elif name in SILENT and isinstance(value, float):
            small[name] = 0.0
        elif name in SIZES and isinstance(value, int) and not isinstance(value, bool):
            small[name] = min(value, SIZES[name])
        elif isinstance(value, list) and depth and len(value) == depth:
            small[name] = value[:kept]
        elif name == "per_layer_config" and isinstance(value, Mapping):
            small[name] = {key: part for key, part in value.items() if int(key) < kept}
        else:
            small[name] = value
    return _consistent(values, small)


def layers_kept(values: Mapping[str, Any], depth: int) -> int:
    """How many of the first layers there have to be, so that one of each kind is among them."""
    lists = [value for value in values.values() if isinstance(value, list) and len(value) == depth]
    kinds = list(zip(*(map(repr, value) for value in lists), strict=True))
    firsts = [kinds.index(kind) for kind in dict.fromkeys(kinds)]
    return min(depth, MOST_LAYERS, max([LAYERS, *(first + 1 for first in firsts)]))


def _consistent(values: Mapping[str, Any], small: dict[str, Any]) -> dict[str, Any]:
    """Sizes that depend on one another, put right."""
    for heads, shared in (("num_attention_heads", "num_key_value_heads"), ("num_attention_heads", "num_kv_heads")):
        if isinstance(values.get(shared), int) and values.get(shared) == values.get(heads):
            small[shared] = small[heads]
    for name in EMBEDDING_WIDTHS:
        if isinstance(values.get(name), int) and values[name] != values.get("hidden_size"):
            small[name] = WIDTH // 2
    if isinstance(values.get("image_size"), int) and isinstance(values.get("patch_size"), int):
        small["image_size"] = min(values["image_size"], 2 * values["patch_size"])
    for token in ("pad_token_id", "bos_token_id", "eos_token_id", "image_token_id"):
        if (isinstance(small.get(token), int) and small[token] >= small.get("vocab_size", 1 << 62)) or isinstance(
            small.get(token), list
        ):
            small[token] = 0
    return small


def small_model(model: Any) -> Any:
    """A model of the same class with the shrunk configuration, in float32 on the CPU, in evaluation mode.

    Its weights are drawn so large that every part of it can be seen in what comes out. The generator of random numbers
    is left as it was.

    Raises:
        ValueError: It would not be small.
        Exception: Whatever the class says about sizes that it cannot have.
    """
    values = shrunk(model.config.to_dict())
    for name in (
        "dtype",
        "torch_dtype",
        "transformers_version",
        "_name_or_path",
        "architectures",
        "quantization_config",
    ):
        values.pop(name, None)
    config = type(model.config).from_dict(values)
    with torch.device("meta"):
        count = sum(
            parameter.numel() for parameter in type(model)._from_config(config, dtype=torch.float32).parameters()
        )
    if count > MOST_PARAMETERS:
        raise ValueError(f"the smallest one that can be made has {count:,} parameters")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        small = type(model)._from_config(config, dtype=torch.float32)
        for parameter in small.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    small.config.use_cache = False
    return small.eval()
