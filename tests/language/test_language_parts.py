"""The parts of a language model that a stage may name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    OPTConfig,
    PreTrainedConfig,
    Qwen2Config,
)

from tiny_world import llama
from triptych.families.composed.config import ModelConfig
from triptych.language.backbone import LanguageModel

SMALL: dict[str, Any] = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
MODELS: list[tuple[PreTrainedConfig, int, int]] = [
    # the configuration, norms and biases by hand
    (llama(), 2 * 2 + 1, 0),
    (Qwen2Config(**SMALL, num_key_value_heads=4, intermediate_size=48), 2 * 2 + 1, 2 * 3),
    (GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4), 2 * 2 + 1, 2 * (2 + 4) + 1),
    (OPTConfig(**SMALL, ffn_dim=48, word_embed_proj_dim=32), 2 * 2 + 1, 2 * (2 + 6) + 1),
]


@pytest.mark.parametrize(("config", "norms", "biases"), MODELS, ids=lambda value: getattr(value, "model_type", None))
def test_norms_and_biases(config: PreTrainedConfig, norms: int, biases: int) -> None:
    with torch.device("meta"):
        tokenizer: Any = None
        model = LanguageModel(AutoModelForCausalLM.from_config(config), tokenizer, tokenizer)
    parts = {name: dict(model.part(name)) for name in ("", "layers", "norms", "biases", "embeddings")}
    assert len(parts["norms"]) == norms
    assert all("norm" in name or "ln_" in name for name in parts["norms"])
    assert len(parts["biases"]) == biases
    assert all(name.endswith(".bias") for name in parts["biases"])
    assert parts["norms"].keys() | parts["biases"].keys() < parts["layers"].keys()
    assert parts["layers"] | parts["embeddings"] == parts[""]
    assert not parts["layers"].keys() & parts["embeddings"].keys()
    assert len(parts[""]) == len(list(model.parameters()))


def test_a_stage_may_name_them() -> None:
    names = ModelConfig.model_validate({"language": {"weights": "file:language"}}).parts
    assert {"language.norms", "language.biases"} <= set(names)
    with torch.device("meta"):
        nothing: Any = None
        model = LanguageModel(AutoModelForCausalLM.from_config(llama()), nothing, nothing)
    with pytest.raises(KeyError):
        next(model.part("normz"))
