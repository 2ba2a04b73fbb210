"""What a language model costs, measured on its modules: against PyTorch's count of real passes, for unlike architectures."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from triptych.kernels.fast import accelerate
from triptych.language.backbone import LanguageModel
from triptych.planner import DEVICES, activations, plan
from triptych.planner.flops import forward_flops
from triptych.planner.language import language_shape
from triptych.recipe import parse_recipe

SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
KINDS: dict[str, dict[str, Any]] = {
    "llama": SIZES,
    "gemma2": {**SIZES, "head_dim": 8},
    "gemma3_text": {**SIZES, "head_dim": 8, "sliding_window": 8},
    "gpt2": {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4},
    "bloom": {"vocab_size": 96, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": {**SIZES, "alibi": True},
    "opt": {"vocab_size": 96, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "word_embed_proj_dim": 16},
    "mixtral": {**SIZES, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": {**SIZES, "head_dim": 8, "moe_intermediate_size": 24, "num_experts": 4, "num_experts_per_tok": 2},
    "gpt_oss": {**SIZES, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    "mamba": {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "rwkv": {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32},
}  # fmt: skip


def model_of(kind: str, device: str) -> LanguageModel:
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **KINDS[kind]), dtype=torch.float32)
        model.config.use_cache = False
        accelerate(model)
    return LanguageModel(model.eval(), None, None)  # type: ignore[arg-type]


def experts_by_token(model: Any) -> None:
    """Transformers' plainest way with experts, which PyTorch can count."""
    if model._can_set_experts_implementation():
        model.set_experts_implementation("batched_mm")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [8, 40])
def test_flops_of_a_row_are_those_of_a_real_pass(kind: str, length: int) -> None:
    shape = language_shape(model_of(kind, "meta"))
    assert not shape.note
    language = model_of(kind, "cpu")
    experts_by_token(language.model)
    ids = torch.randint(0, 96, (1, length))
    plain = sdpa_kernel(SDPBackend.MATH)  # the fused kernel of the CPU is not among those that PyTorch counts
    with plain, FlopCounterMode(display=False) as counter, torch.no_grad():
        language.model.get_decoder()(input_ids=ids, use_cache=False)
    # Convolutions of state-space layers read a few positions before the row.
    rel = 0.05 if kind == "mamba" else 1e-6
    assert forward_flops(shape, length, 0, length) == pytest.approx(counter.get_total_flops(), rel=rel)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_the_same_with_and_without_numbers(kind: str) -> None:
    language = model_of(kind, "cpu")
    before = {name: (parameter.data_ptr(), parameter.device) for name, parameter in language.named_parameters()}
    assert language_shape(language) == language_shape(model_of(kind, "meta"))
    assert before == {name: (parameter.data_ptr(), parameter.device) for name, parameter in language.named_parameters()}


@pytest.mark.parametrize(
    ("kind", "entries"), [("llama", 2 * 2 * 2 * 8), ("gpt2", 2 * 2 * 32), ("bloom", 2 * 2 * 32), ("mamba", 0)]
)
def test_the_cache_holds_keys_and_values_of_every_layer(kind: str, entries: int) -> None:
    assert language_shape(model_of(kind, "meta")).kv_bytes == 2 * entries


def test_experts_that_sleep_cost_nothing() -> None:
    few, many = (
        language_shape(model_of("qwen3_moe", "meta")),
        language_shape(_with("qwen3_moe", num_experts=16)),
    )
    assert many.trunk - few.trunk == 2 * 32 * 12  # two routers with twelve rows more


def _with(kind: str, **values: Any) -> LanguageModel:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**KINDS[kind], **values}))
    return LanguageModel(model, None, None)  # type: ignore[arg-type]


def test_a_row_read_token_by_token_keeps_in_proportion() -> None:
    language = model_of("rwkv", "meta")
    short, middle, long = (activations.language_bytes(language, 1, length, True) for length in (16, 24, 4096))
    assert long - middle == (middle - short) // 8 * (4096 - 24)


def test_a_model_that_does_not_run_without_values_is_estimated_and_the_plan_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers.models.gpt2.modeling_gpt2 import GPT2Model

    language = model_of("gpt2", "meta")

    def forward(self: Any, *_: Any, **__: Any) -> None:
        raise ValueError("a value is looked at")

    with monkeypatch.context() as patched:
        patched.setattr(GPT2Model, "forward", forward)
        shape = language_shape(language)
    assert "GPT2LMHeadModel does not run without values" in shape.note
    layers = 2 * (32 * 96 + 32 * 32 + 2 * 32 * 128)
    assert layers <= shape.trunk <= layers + 1024 * 32  # and the table of positions
    monkeypatch.setattr(sys.modules["triptych.families.composed.plan"], "language_shape", lambda _: shape)
    (line,) = [line for line in _plan("gpt2").suggestions if "estimated" in line]
    assert "GPT2LMHeadModel does not run without values" in line


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_is_made(kind: str) -> None:
    found = _plan(kind)
    sizes = {part.name: part.parameters for part in found.parts}
    language = model_of(kind, "meta")
    assert sizes["language"] == sum(parameter.numel() for parameter in language.parameters())
    assert found.stages[0].flops["language model, backward"] > found.stages[0].flops["language model, forward"] > 0


def _plan(kind: str) -> Any:
    values = {
        "name": "tiny",
        "model": {
            "language": {
                "architecture": {"model_type": kind, **KINDS[kind]},
                "tokenizer": "file:nowhere",
                "precision": "float32",
            },
            "encoders": {"image": {"kind": "efficientnet", "weights": None, "resolution": 64}},
        },
        "sequence": {"max_tokens": 128},
        "data": {"scenes": {"kind": "scenes", "count": 10}},
        "stages": [{"name": "all", "train": ["language", "adapters"], "mixture": {"scenes": 1.0}, "steps": 2}],
    }
    return plan(parse_recipe(values), DEVICES["h100"])
