"""Faster arithmetic computes what transformers computes, and changes nothing else."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM, MistralConfig, Qwen2Config

from tiny_world import llama
from triptych.kernels.fast import FASTER, NAME, FastAttention, accelerate, attention


def pair(**changes: object) -> tuple[LlamaForCausalLM, LlamaForCausalLM]:
    torch.manual_seed(0)
    plain = LlamaForCausalLM(llama(**changes)).eval()
    faster = copy.deepcopy(plain)
    accelerate(faster)
    return plain, faster


def test_the_state_dict_stays_what_it_was() -> None:
    plain, faster = pair()
    assert list(plain.state_dict()) == list(faster.state_dict())
    assert all(
        torch.equal(a, b) for a, b in zip(plain.state_dict().values(), faster.state_dict().values(), strict=True)
    )
    assert any(isinstance(module, FastAttention) for module in faster.modules())
    assert not any(type(module) in FASTER for module in faster.modules())


@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 4}, {"attention_bias": True}, {"hidden_act": "gelu"}])
def test_logits_and_gradients_stay_what_they_were(changes: dict[str, object]) -> None:
    plain, faster = pair(**changes)
    ids = torch.randint(0, plain.config.vocab_size, (3, 17))
    gradients = []
    logits = []
    for model in (plain, faster):
        out = model(ids, labels=ids, use_cache=False)
        out.loss.backward()
        logits.append(out.logits.detach())
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(logits[1], logits[0], atol=1e-5, rtol=1e-5)
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_decoding_with_a_cache_is_the_full_forward_pass() -> None:
    _, faster = pair()
    ids = torch.randint(0, faster.config.vocab_size, (2, 12))
    with torch.no_grad():
        full = faster(ids, use_cache=False).logits
        start = faster(ids[:, :5], use_cache=True)
        pieces, cache = [start.logits], start.past_key_values
        for i in range(5, 12):
            step = faster(ids[:, i : i + 1], past_key_values=cache, use_cache=True)
            pieces.append(step.logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), full, atol=1e-5, rtol=1e-5)


def test_bfloat16_stays_close_to_transformers() -> None:
    plain, faster = pair()
    ids = torch.randint(0, plain.config.vocab_size, (2, 17))
    with torch.no_grad():
        exact = plain(ids).logits
        rounded, fast = plain.bfloat16()(ids).logits.float(), faster.bfloat16()(ids).logits.float()
    assert (fast - exact).norm() < 1.5 * (rounded - exact).norm()


def test_models_that_see_only_a_window_keep_their_own_attention() -> None:
    shape = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    shape |= {"num_attention_heads": 2, "num_key_value_heads": 1}
    windowed = AutoModelForCausalLM.from_config(MistralConfig(**shape, sliding_window=4))
    accelerate(windowed)
    assert windowed.config._attn_implementation == "sdpa"
    whole = AutoModelForCausalLM.from_config(Qwen2Config(**shape))
    accelerate(whole)
    assert whole.config._attn_implementation == NAME


@pytest.mark.parametrize(("heads", "shared"), [(6, 2), (4, 4), (3, 1)])
def test_one_token_attends_as_with_repeated_keys(heads: int, shared: int) -> None:
    query = torch.randn(3, heads, 1, 8, dtype=torch.float64)
    key, value = torch.randn(2, 3, shared, 11, 8, dtype=torch.float64).unbind()
    bias = torch.zeros(3, 1, 1, 11, dtype=torch.float64)
    bias[0, ..., :4] = float("-inf")
    found, _ = attention(torch.nn.Module(), query, key, value, bias, scaling=0.2)
    keys, values = (x.repeat_interleave(heads // shared, dim=1) for x in (key, value))
    expected = torch.nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=bias, scale=0.2)
    torch.testing.assert_close(found, expected.transpose(1, 2))
