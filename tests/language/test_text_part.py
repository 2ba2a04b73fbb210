"""The language model inside a checkpoint of several parts is the model that the whole one answers with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText

from tiny_world import tokenizer
from triptych.errors import RecipeError
from triptych.language.build import build
from triptych.language.config import LanguageConfig
from triptych.planner.parts import meta_language

TEXT: dict[str, Any] = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
                        "num_attention_heads": 2, "num_key_value_heads": 1}  # fmt: skip
PLAIN: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
                         "image_size": 32, "patch_size": 8}  # fmt: skip
SIGLIP = {**PLAIN, "model_type": "siglip_vision_model"}

WHOLES: dict[str, dict[str, Any]] = {
    "gemma3": {"text_config": {**TEXT, "model_type": "gemma3_text", "head_dim": 16}, "vision_config": SIGLIP},
    "paligemma": {"text_config": {**TEXT, "model_type": "gemma", "head_dim": 16}, "vision_config": SIGLIP,
                  "projection_dim": 32},
    "llava": {"text_config": {**TEXT, "model_type": "llama"}, "image_token_index": 90,
              "vision_config": {**PLAIN, "model_type": "clip_vision_model"}},
    "mistral3": {"text_config": {**TEXT, "model_type": "mistral"}, "image_token_index": 90,
                 "vision_config": {**PLAIN, "model_type": "pixtral"}},
    "internvl": {"text_config": {**TEXT, "model_type": "qwen2"}, "image_token_id": 90,
                 "vision_config": {**PLAIN, "image_size": [32, 32], "patch_size": [8, 8]}},
    "smolvlm": {"text_config": {**TEXT, "model_type": "llama", "pad_token_id": 0}, "image_token_id": 90,
                "pad_token_id": 0, "vision_config": PLAIN},
}  # fmt: skip


def saved(kind: str, folder: Path) -> Any:
    """A tiny random checkpoint with its tokenizer."""
    torch.manual_seed(0)
    whole = AutoModelForImageTextToText.from_config(AutoConfig.for_model(kind, **WHOLES[kind])).eval()
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    whole.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return whole


def same_logits(language: Any, whole: Any) -> None:
    ids = torch.randint(1, 80, (1, 9))
    with torch.no_grad():
        torch.testing.assert_close(language.model(input_ids=ids).logits, whole(input_ids=ids).logits)


@pytest.mark.parametrize("kind", WHOLES)
def test_it_answers_as_the_whole_does(kind: str, tmp_path: Path) -> None:
    whole = saved(kind, tmp_path)
    config = LanguageConfig(weights=f"file:{tmp_path}", precision="float32")
    language = build(config)
    if kind != "paligemma":  # reads its prompts in both directions, which a language model does not
        same_logits(language, whole)
    theirs = [tensor for name, tensor in whole.state_dict().items() if "vision" not in name and "project" not in name]
    for name, tensor in language.model.state_dict().items():
        assert any(tensor.shape == other.shape and torch.equal(tensor, other) for other in theirs), name
    shape = meta_language(config, Path())
    assert type(shape.model) is type(language.model)
    assert {n: p.shape for n, p in shape.named_parameters()} == {n: p.shape for n, p in language.named_parameters()}
    assert not [name for name, _ in language.named_parameters() if "vision" in name or "projector" in name]


@pytest.mark.parametrize("kind", ["gemma3", "llava"])
def test_both_spellings_of_names_are_read(kind: str, tmp_path: Path) -> None:
    """Transformers writes `language_model.model.layers…`, its modules are called `model.language_model.layers…`."""
    whole = saved(kind, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    inner = {name for name, _ in whole.named_parameters()}
    assert not set(state) & {name for name in inner if "language_model" in name}
    modules = {name: parameter.detach().clone() for name, parameter in whole.named_parameters()}
    save_file(modules, tmp_path / "model.safetensors", {"format": "pt"})
    same_logits(build(LanguageConfig(weights=f"file:{tmp_path}", precision="float32")), whole)


def test_a_tensor_of_the_text_part_that_is_missing_is_named(tmp_path: Path) -> None:
    from triptych.errors import WeightsError

    saved("llava", tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    lost = next(name for name in state if "layers.1" in name and "language" in name)
    save_file({k: v for k, v in state.items() if k != lost}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=lost.rpartition("language_model.")[2].replace(".", r"\.")):
        build(LanguageConfig(weights=f"file:{tmp_path}", precision="float32"))


def test_a_text_part_that_does_not_stand_alone_is_refused_by_name(tmp_path: Path) -> None:
    tokenizer().save_pretrained(tmp_path)
    config = LanguageConfig(architecture={"model_type": "qwen2_vl"}, tokenizer=f"file:{tmp_path}")
    with pytest.raises(RecipeError, match="'qwen2_vl' holds a language model of type 'qwen2_vl_text'"):
        build(config)
