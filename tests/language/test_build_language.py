"""Building language models: origins, LoRA, and the messages when something is missing."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from tiny_world import World
from triptych.errors import RecipeError, WeightsError
from triptych.language.build import build
from triptych.language.config import LanguageConfig, LoRAConfig


def config(**changes: Any) -> LanguageConfig:
    return LanguageConfig(**({"weights": "file:language", "precision": "float32"} | changes))


@pytest.fixture(autouse=True)
def _cache(tiny_cache: Path) -> None:
    pass


def hidden(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.logits(model(model.embed(ids), torch.arange(ids.shape[1]).expand(*ids.shape)))


def test_logits_are_those_of_transformers(world: World) -> None:
    ids = torch.randint(0, 300, (2, 9))
    reference = AutoModelForCausalLM.from_pretrained(world.folder / "language").eval()
    with torch.no_grad():
        torch.testing.assert_close(
            hidden(build(config(), world.folder), ids), reference(ids).logits, atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"]])
def test_lora_is_silent_until_it_is_trained(world: World, targets: Any) -> None:
    ids = torch.randint(0, 300, (2, 9))
    plain = build(config(), world.folder)
    adapted = build(config(lora=LoRAConfig(rank=2, targets=targets)), world.folder)
    assert torch.equal(hidden(plain, ids), hidden(adapted, ids))
    names = [name for name, _ in adapted.part("lora")]
    assert len(names) == 2 * 2 * (7 if targets == "all-linear" else 2)
    with torch.no_grad():
        for name, parameter in adapted.part("lora"):
            if "lora_B" in name:
                parameter.fill_(0.1)
    assert not torch.allclose(hidden(plain, ids), hidden(adapted, ids), atol=1e-3)


def test_lora_targets_that_do_not_exist_are_named(world: World) -> None:
    with pytest.raises(RecipeError, match=r"lora\.targets.*nowhere"):
        build(config(lora=LoRAConfig(targets=["nowhere"])), world.folder)


def test_random_weights_take_their_tokenizer_from_elsewhere(world: World) -> None:
    shape = {
        "model_type": "llama",
        "vocab_size": 400,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    made = build(LanguageConfig(architecture=shape, tokenizer="file:language", precision="float32"), world.folder)
    assert made.dim == 16
    with pytest.raises(RecipeError, match="lama2"):
        build(LanguageConfig(architecture={"model_type": "lama2"}, tokenizer="file:language"), world.folder)
    with pytest.raises(RecipeError, match="give `model_type`"):
        build(LanguageConfig(architecture={"hidden_size": 4}, tokenizer="file:language"), world.folder)


def test_folders_that_are_no_language_model(world: World, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no tokenizer there"):
        build(config(weights=f"file:{tmp_path}"))
    with pytest.raises(WeightsError, match=r"holds no config\.json"):
        build(config(weights=f"file:{tmp_path}", tokenizer="file:language"), world.folder)
    with pytest.raises(WeightsError, match="nowhere"):
        build(config(weights="file:nowhere"), world.folder)


def test_everything_is_frozen_at_first(world: World) -> None:
    made = build(config(lora=LoRAConfig(rank=2)), world.folder)
    assert not any(parameter.requires_grad for parameter in made.parameters())
    assert not made.model.training


def test_what_is_drawn_later_does_not_depend_on_whether_a_file_was_converted_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(path: Path, cache: Path) -> Path:
        torch.rand(3)
        return cache

    build_module = importlib.import_module("triptych.language.build")
    monkeypatch.setattr(build_module, "convert_gguf", convert)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    build_module._folder(f"file:{tmp_path / 'model.gguf'}", None)
    assert torch.equal(torch.get_rng_state(), before)


def test_values_that_fit_no_model_are_one_line(world: World) -> None:
    wrong = {"model_type": "llama", "hidden_size": 32, "vocab_size": None}
    with pytest.raises(RecipeError, match="architecture: ") as refused:
        build(config(weights=None, architecture=wrong, tokenizer="file:language"), world.folder)
    assert "\n" not in str(refused.value)
