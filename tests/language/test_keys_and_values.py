"""Keys and values without a position are those of the layer's own projections, whatever their form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from triptych.kernels import fast
from triptych.language.attention import KeysAndValues, attentions
from triptych.language.probe import prepare

SHAPE = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
SHAPE |= {"num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": None}
LATENT = SHAPE | {"num_key_value_heads": 4, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8}
LATENT |= {"qk_nope_head_dim": 8, "v_head_dim": 12, "moe_intermediate_size": 16, "n_routed_experts": 4, "n_group": 1}
LATENT |= {"topk_group": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1}


def heads(x: Tensor, width: int = 8) -> Tensor:
    """`[R, N, H * width]` to `[R, H, N, width]`."""
    return x.unflatten(-1, (-1, width)).transpose(1, 2)


def separate(module: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    return heads(module.k_proj(x)), heads(module.v_proj(x))


def normed(module: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    return module.k_norm(heads(module.k_proj(x))), heads(module.v_proj(x))


def gpt2(module: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    _, keys, values = module.c_attn(x).split(32, dim=-1)
    return heads(keys), heads(values)


def phi3(module: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    keys_and_values = module.qkv_proj(x)[..., 32:]
    return heads(keys_and_values[..., :16]), heads(keys_and_values[..., 16:])


def latent(module: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Multi-head latent attention: keys are made of a narrow layer and of a part with positions that all heads share."""
    narrow, _ = module.kv_a_proj_with_mqa(x).split([16, 8], dim=-1)
    wide = heads(module.kv_b_proj(module.kv_a_layernorm(narrow)), 20)
    return wide[..., :8], wide[..., 8:]


KINDS: dict[str, tuple[dict[str, Any], Callable[[Any, Tensor], tuple[Tensor, Tensor]]]] = {
    "llama": (SHAPE, separate),
    "mistral": (SHAPE | {"sliding_window": 3, "head_dim": 8}, separate),
    "qwen3": (SHAPE | {"head_dim": 8}, normed),
    "phi3": (SHAPE, phi3),
    "gpt2": ({"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}, gpt2),
    "bart": ({"vocab_size": 64, "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "is_decoder": True,
              "decoder_ffn_dim": 48, "encoder_layers": 2, "encoder_attention_heads": 4, "pad_token_id": None}, separate),
    "deepseek_v3": (LATENT, latent),
}  # fmt: skip


def made(kind: str) -> tuple[Any, list[Any]]:
    """A small model of a kind, switched to what can be extended, and its attention modules."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **KINDS[kind][0])
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    model.config.use_cache = False
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    capabilities = prepare(model)
    assert not capabilities.prompts_refused
    assert fast.extensible(model)
    return model, attentions(model, capabilities.attention)


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_those_of_the_layers_own_projections(kind: str) -> None:
    model, modules = made(kind)
    makers = [KeysAndValues(module) for module in modules]
    model(input_ids=torch.arange(10).view(2, 5), use_cache=False)
    x = torch.randn(3, 7, 32)
    for maker in makers:
        keys, values = maker(x)
        expected_keys, expected_values = KINDS[kind][1](maker.attention, x)
        torch.testing.assert_close(keys[..., : expected_keys.shape[-1]], expected_keys)
        torch.testing.assert_close(values, expected_values)
        if kind == "deepseek_v3":  # in the order of its angles: the two halves of the part that all heads share
            shared = maker.attention.kv_a_proj_with_mqa(x)[..., None, :, 16:]
            torch.testing.assert_close(keys[..., 8:].sort().values, shared.expand(-1, 4, -1, -1).sort().values)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_what_they_are_made_of_and_nothing_else_changes(kind: str) -> None:
    model, modules = made(kind)
    maker = KeysAndValues(modules[-1])
    ids = torch.arange(5)[None]
    before = model(input_ids=ids, use_cache=False).logits
    x = torch.randn(1, 2, 32, requires_grad=True)
    keys, values = maker(x)
    (keys.sum() + values.sum()).backward()
    assert x.grad is not None
    assert float(x.grad.abs().min()) > 0
    assert torch.equal(model(input_ids=ids, use_cache=False).logits, before)


def test_they_can_be_learned_after_a_first_call_in_inference_mode() -> None:
    model, modules = made("llama")
    maker = KeysAndValues(modules[0])
    with torch.inference_mode():
        model(input_ids=torch.arange(5)[None], use_cache=False)
    x = torch.randn(1, 2, 32, requires_grad=True)
    maker(x)[0].sum().backward()
    assert x.grad is not None


def test_a_module_that_was_not_called_yet_says_so() -> None:
    _, modules = made("llama")
    with pytest.raises(RuntimeError, match="not called yet"):
        KeysAndValues(modules[0])(torch.randn(1, 2, 32))


def test_a_hybrid_has_none_in_some_layers() -> None:
    config = AutoConfig.for_model("bamba", **SHAPE, attn_layer_indices=[1], mamba_n_heads=4, mamba_d_head=16,
                                  mamba_d_state=8)  # fmt: skip
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert [module is not None for module in attentions(model, "self_attn")] == [False, True]
