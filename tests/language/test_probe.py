"""The probe says what a model can do, and sees what it cannot: leaks, lost scales, caches and padding that change answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, LlamaForCausalLM
from transformers.models.llama import modeling_llama

from tiny_world import llama
from triptych.errors import RecipeError
from triptych.kernels import fast
from triptych.language import probe
from triptych.language.backbone import LanguageModel
from triptych.language.capabilities import Capabilities
from triptych.language.probe import prepare
from triptych.sequence.pack import pack
from triptych.sequence.plan import Layout

SHAPE: dict[str, Any] = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4}
SHAPE |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "bos_token_id": None}
SHAPE |= {"eos_token_id": None, "pad_token_id": None, "head_dim": 8}
BERT: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

FAMILIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # model type: its shape; what the probe says
    "llama": ({}, {"accelerated": True, "packing": "mask", "pads": True, "cache": "shared", "own_head": False}),
    "mistral": ({"sliding_window": 6}, {"accelerated": False, "packing": "positions", "cache": "steps"}),
    "gemma2": ({"sliding_window": 6}, {"packing": "positions", "own_head": True}),
    "granite": ({"logits_scaling": 3.0}, {"accelerated": True, "packing": "mask", "own_head": True}),
    "cohere": ({"logit_scale": 0.3}, {"accelerated": True, "own_head": True}),
    "olmo2": ({}, {"accelerated": True, "packing": "mask"}),
    "qwen3_next": (
        {"layer_types": ["linear_attention", "full_attention"] * 2, "num_experts": 4, "num_experts_per_tok": 2}
        | {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "linear_num_value_heads": 4}
        | {"linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8},
        {"packing": "rows", "pads": True, "cache": "steps"},
    ),
    "mamba": ({"state_size": 8}, {"packing": "rows", "positions": False, "cache": "steps", "masks_past": False}),
    "falcon_h1": (
        {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "embedding_multiplier": 5.0}
        | {"lm_head_multiplier": 0.5},
        {"packing": "rows", "embedding_scale": 5.0, "own_head": True},
    ),
    "gpt_oss": ({"num_local_experts": 4, "sliding_window": 6}, {"packing": "rows"}),
    "bloom": ({"n_head": 4, "n_layer": 2}, {"packing": "rows", "positions": False}),
    "opt": (
        {"ffn_dim": 48, "word_embed_proj_dim": 16},
        {
            "packing": "mask",
            "layers_refused": "",
            "prompts_refused": "the embeddings of OPTForCausalLM have another width than its layers",
        },
    ),
    "bert": (BERT | {"is_decoder": True}, {"packing": "mask", "own_head": True, "prompts_refused": ""}),
    "roberta": (BERT | {"is_decoder": True, "pad_token_id": 1}, {"first_position": 2, "own_head": True}),
    "rwkv": ({"attention_hidden_size": 32}, {"packing": "rows", "pads": False, "cache": "none"}),
    "recurrent_gemma": ({"lru_width": 32, "attention_window_size": 6}, {"packing": "rows", "own_head": True}),
    "llama4_text": (
        {"num_local_experts": 4, "attention_chunk_size": 6, "intermediate_size_mlp": 48},
        {"layers_refused": "", "prompts_refused": ""},
    ),
}
"""Families that differ in what separates documents, where scales are, and what is kept."""


@pytest.fixture(autouse=True)
def _cache(tiny_cache: Path) -> None:
    pass


def made(kind: str, changes: dict[str, Any]) -> Any:
    """A small model whose weights are large enough to show."""
    known = AutoConfig.for_model(kind).to_dict()
    values = {name: value for name, value in SHAPE.items() if name in known} | changes
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **values)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    return model


def language(model: Any, capabilities: Capabilities | None = None) -> LanguageModel:
    nothing: Any = None
    return LanguageModel(model, nothing, nothing, capabilities)


def layouts(*lengths: int) -> list[Layout]:
    generator = torch.Generator().manual_seed(sum(lengths))
    ids = [torch.randint(5, 90, (length,), generator=generator).tolist() for length in lengths]
    return [Layout(tuple(row), (-100,) * len(row), (), id=str(n)) for n, row in enumerate(ids)]


@pytest.mark.parametrize("kind", FAMILIES)
def test_what_a_family_can_do_and_that_it_then_does_it(kind: str) -> None:
    """Longer than what the probe reads, at other sizes: packed rows, logits, in float32."""
    shape, expected = FAMILIES[kind]
    model = made(kind, shape)
    ids = torch.randint(5, 90, (2, 21))
    with torch.no_grad():
        own = model(input_ids=ids, use_cache=False).logits
    capabilities = prepare(model)
    said = {name: getattr(capabilities, name) for name in expected}
    assert said == expected
    wrapped = language(model, capabilities)
    with torch.no_grad():
        ours = wrapped.logits(wrapped(wrapped.embed(ids), torch.arange(21).expand(2, 21)))
        torch.testing.assert_close(ours, own, atol=1e-4, rtol=1e-4)
        documents = layouts(11, 9, 7, 3)
        rows = pack(documents, 32, alone=capabilities.packing == "rows")
        together = wrapped(wrapped.embed(rows.ids), rows.positions, rows.documents)
        for number in range(4):
            alone = rows.ids[rows.documents == number][None]
            apart = wrapped(wrapped.embed(alone), torch.arange(alone.shape[1])[None])
            found = together[rows.documents == number]
            assert (found - apart[0]).abs().max() <= 1e-5 * apart.abs().max()


class LeakingAttention(modeling_llama.LlamaAttention):  # type: ignore[misc]
    """Every token also reads the mean of the whole row before it."""

    def forward(self, hidden_states: Tensor, *args: Any, **options: Any) -> Any:
        out, weights = super().forward(hidden_states, *args, **options)
        count = torch.arange(1, hidden_states.shape[1] + 1, device=out.device)[:, None]
        return out + hidden_states.cumsum(dim=1) / count, weights


class LeakingLlama(LlamaForCausalLM):  # type: ignore[misc]
    """LLaMA that carries a state over the borders of documents."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for layer in self.model.layers:
            layer.self_attn.__class__ = LeakingAttention


class ScaledLlama(LlamaForCausalLM):  # type: ignore[misc]
    """LLaMA that multiplies logits by a number that no configuration names."""

    def forward(self, *args: Any, **options: Any) -> Any:
        out = super().forward(*args, **options)
        out.logits = out.logits * 7
        return out


class SeeingLlama(LlamaForCausalLM):  # type: ignore[misc]
    """LLaMA whose first token knows the last one."""

    def forward(self, *args: Any, **options: Any) -> Any:
        out = super().forward(*args, **options)
        out.logits = out.logits + out.logits[:, -1:]
        return out


class IdsLlama(LlamaForCausalLM):  # type: ignore[misc]
    """LLaMA that reads ids beside embeddings."""

    def forward(self, input_ids: Tensor | None = None, **options: Any) -> Any:
        out = super().forward(input_ids=input_ids, **options)
        if input_ids is not None:
            out.logits = out.logits + input_ids[..., None]
        return out


def small(kind: Callable[[Any], Any]) -> Any:
    torch.manual_seed(0)
    return kind(llama()).eval()


def test_a_leak_is_seen() -> None:
    assert prepare(small(LlamaForCausalLM)).packing == "mask"
    capabilities = prepare(small(LeakingLlama))
    assert capabilities.packing == "rows"
    assert not capabilities.pads
    assert capabilities.cache == "none"


def test_a_scale_that_no_configuration_names_is_kept() -> None:
    model = small(ScaledLlama)
    capabilities = prepare(model)
    assert capabilities.own_head
    ids = torch.randint(5, 90, (1, 9))
    wrapped = language(model, capabilities)
    with torch.no_grad():
        ours = wrapped.logits(wrapped(wrapped.embed(ids), torch.arange(9)[None]))
        torch.testing.assert_close(ours, model(input_ids=ids).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "reason"), [(SeeingLlama, "not causal"), (IdsLlama, "embeddings in place of ids give other logits")]
)
def test_what_cannot_be_used_is_refused_in_one_line(kind: Callable[[Any], Any], reason: str) -> None:
    model = small(kind)
    with pytest.raises(RecipeError, match=reason) as refusal:
        language(model, prepare(model))
    assert "\n" not in str(refusal.value)
    assert kind.__name__ in str(refusal.value)  # type: ignore[attr-defined]


def test_a_bidirectional_encoder_is_refused() -> None:
    assert "not causal" in prepare(made("bert", BERT)).refused


def test_packed_rows_of_a_model_that_leaks_are_refused(world: Any) -> None:
    from triptych.model.build import build

    model = build(world.recipe())
    packed = pack(layouts(5, 4), 20)
    model(packed)
    model.language.capabilities = Capabilities(packing="rows")
    with pytest.raises(ValueError, match="cannot keep packed documents apart"):
        model(packed)
    model(pack(layouts(5, 4), 20, alone=True))


def test_one_conversation_a_row() -> None:
    rows = pack(layouts(5, 4, 3), 20, alone=True)
    assert rows.ids.shape == (3, 5)
    assert not rows.packed
    assert pack(layouts(5, 4, 3), 20).packed


def test_a_verdict_is_kept_and_probing_draws_no_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path))
    monkeypatch.setattr(probe, "_KNOWN", {})
    torch.manual_seed(5)
    expected = torch.rand(3)
    model = small(LlamaForCausalLM)
    torch.manual_seed(5)
    first = prepare(model)
    assert torch.equal(torch.rand(3), expected)
    assert len(list((tmp_path / "probes").iterdir())) == 1
    probe._KNOWN.clear()
    monkeypatch.setattr(probe, "_probed", lambda *_: pytest.fail("probed again"))
    assert prepare(small(LlamaForCausalLM)) == first


def test_on_the_meta_device_the_verdict_is_the_same() -> None:
    with torch.device("meta"):
        shapes = LlamaForCausalLM(llama())
    assert prepare(shapes) == prepare(small(LlamaForCausalLM))
    assert shapes.config._attn_implementation == fast.NAME


def test_a_model_that_cannot_be_made_small_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sizes may have names that nobody knows here: gigabytes would be drawn to probe it."""
    from triptych.language import shrink

    monkeypatch.setattr(shrink, "MOST_PARAMETERS", 1000)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", num_hidden_layers=1))
    with pytest.raises(ValueError, match="parameters"):
        shrink.small_model(model)


@pytest.mark.parametrize("kind", ["git", "ctrl", "gpt2"])
def test_embeddings_stay_as_they_were(kind: str) -> None:
    """GIT adds positions to what it is given, and CTRL scales it, in place."""
    small: dict[str, dict[str, Any]] = {
        "git": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
        "ctrl": {"n_embd": 16, "n_layer": 1, "n_head": 2, "dff": 16},
        "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2},
    }
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, vocab_size=64, **small[kind])).eval()
    language = LanguageModel(model, None, None)  # type: ignore[arg-type]
    embeddings = language.embed(torch.arange(6)[None]).detach()
    before = embeddings.clone()
    with torch.no_grad():
        one, two = (language(embeddings, torch.arange(6)[None]) for _ in range(2))
    assert torch.equal(embeddings, before)
    assert torch.equal(one, two)


def test_states_have_the_precision_of_embeddings() -> None:
    """Falcon Mamba adds up in float32 and casts in front of its head."""
    values = {"hidden_size": 16, "num_hidden_layers": 1, "state_size": 4, "vocab_size": 64, "intermediate_size": 32}
    config = AutoConfig.for_model("falcon_mamba", **values)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    language = LanguageModel(model, None, None)  # type: ignore[arg-type]
    with torch.no_grad():
        states = language(language.embed(torch.arange(6)[None]), torch.arange(6)[None])
        assert states.dtype == torch.bfloat16
        assert language.logits(states).shape == (1, 6, 64)
