"""Models of transformers are loaded whole or not at all, and never by a program of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny_world import llama, tokenizer
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    CLIPConfig,
    CLIPModel,
    CLIPVisionModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    LlamaModel,
    MixtralConfig,
    MixtralForCausalLM,
)

from triptych.errors import WeightsError
from triptych.weights.pretrained import load_config, load_pretrained, load_tokenizer
from triptych.weights.quiet import silent

CODE = "raise SystemExit('a program from outside was run')\n"


def saved(folder: Path, model: Any, **options: Any) -> Path:
    with silent():
        model.save_pretrained(folder, **options)
    return folder


def language(folder: Path, tied: bool = True) -> Path:
    torch.manual_seed(0)
    return saved(folder, LlamaForCausalLM(llama(tie_word_embeddings=tied)))


def edited(folder: Path, edit: Callable[[dict[str, Tensor]], Any]) -> Path:
    file = folder / "model.safetensors"
    state = load_file(file)
    edit(state)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file, {"format": "pt"})
    return folder


def refusal(folder: Path, kind: Any = AutoModelForCausalLM, **options: Any) -> str:
    with pytest.raises(WeightsError) as raised:
        load_pretrained(kind, folder, "weights file:x", **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shard", ["5GB", "10KB"])
def test_a_whole_folder_is_loaded_bit_for_bit(tmp_path: Path, tied: bool, shard: str) -> None:
    model = LlamaForCausalLM(llama(tie_word_embeddings=tied))
    saved(tmp_path, model, max_shard_size=shard)
    loaded = load_pretrained(AutoModelForCausalLM, tmp_path, "here")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))


@pytest.mark.parametrize("number", range(20))
@pytest.mark.parametrize("tied", [True, False])
def test_each_lost_tensor_is_named(tmp_path: Path, number: int, tied: bool) -> None:
    names = sorted(load_file(language(tmp_path, tied) / "model.safetensors"))
    if number >= len(names):
        pytest.skip(f"there are {len(names)} tensors")
    edited(tmp_path, lambda state: state.pop(names[number]))
    assert f"1 tensor is missing ({names[number]})" in refusal(tmp_path) or names[number] == "model.embed_tokens.weight"


def test_a_lost_table_of_words_is_named_whether_tied_or_not(tmp_path: Path) -> None:
    for tied in (True, False):
        edited(language(tmp_path / str(tied), tied), lambda state: state.pop("model.embed_tokens.weight"))
        assert "model.embed_tokens.weight" in refusal(tmp_path / str(tied))


def test_half_of_a_model_does_not_train_with_a_random_rest(tmp_path: Path) -> None:
    def halve(state: dict[str, Tensor]) -> None:
        for name in sorted(state)[::2]:
            state[f"old.{name}"] = state.pop(name)

    message = refusal(edited(language(tmp_path), halve))
    assert "missing" in message
    assert "no place" in message


def test_a_body_without_a_head_is_no_language_model(tmp_path: Path) -> None:
    saved(tmp_path, LlamaModel(llama(tie_word_embeddings=False)))
    assert "missing (lm_head.weight)" in refusal(tmp_path)
    saved(tmp_path, LlamaModel(llama(tie_word_embeddings=True)))  # here the head is the table of words
    load_pretrained(AutoModelForCausalLM, tmp_path, "here")


def test_unexpected_misshapen_and_integer_tensors_are_named(tmp_path: Path) -> None:
    def spoil(state: dict[str, Tensor]) -> None:
        state["model.layers.9.mlp.up_proj.weight"] = torch.zeros(2)
        state["model.norm.weight"] = torch.ones(3)
        state["model.layers.0.mlp.up_proj.weight"] = state["model.layers.0.mlp.up_proj.weight"].to(torch.int8)

    message = refusal(edited(language(tmp_path), spoil), hint="Try another.")
    assert "model.layers.9.mlp.up_proj.weight" in message
    assert "model.norm.weight (3,) instead of (32,)" in message
    assert "model.layers.0.mlp.up_proj.weight I8 instead of a floating precision" in message
    assert message.endswith("Try another.")


def test_buffers_of_older_versions_are_no_loss(tmp_path: Path) -> None:
    def add(state: dict[str, Tensor]) -> None:
        state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)

    load_pretrained(AutoModelForCausalLM, edited(language(tmp_path / "llama"), add), "here")
    gpt2 = saved(
        tmp_path / "gpt2", GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=50, n_positions=8))
    )

    def masks(state: dict[str, Tensor]) -> None:
        state["transformer.h.0.attn.bias"] = torch.ones(1, 1, 8, 8, dtype=torch.uint8)
        state["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)

    load_pretrained(AutoModelForCausalLM, edited(gpt2, masks), "here")


def test_experts_that_transformers_joins_are_named(tmp_path: Path) -> None:
    shape = {"hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = MixtralConfig(**shape, num_key_value_heads=1, vocab_size=40, num_local_experts=3)
    saved(tmp_path, MixtralForCausalLM(config))
    load_pretrained(AutoModelForCausalLM, tmp_path, "here")
    edited(tmp_path, lambda state: state.pop("model.layers.0.block_sparse_moe.experts.1.w1.weight"))
    assert "model.layers.0.mlp.experts" in refusal(tmp_path)


def two_towers(folder: Path) -> Path:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    vision = {**sizes, "num_hidden_layers": 2, "image_size": 32, "patch_size": 8}
    text = {**sizes, "num_hidden_layers": 1, "vocab_size": 50}
    return saved(folder, CLIPModel(CLIPConfig(vision_config=vision, text_config=text)))


def test_other_parts_of_a_whole_are_left_where_the_caller_says_so_and_no_more(tmp_path: Path) -> None:
    others = ("text_model.*", "*_projection.weight", "logit_scale")
    load_pretrained(CLIPVisionModel, two_towers(tmp_path), "here", may_have=others)
    assert "text_model" in refusal(tmp_path, CLIPVisionModel, may_have=others[1:])

    def deeper(state: dict[str, Tensor]) -> None:
        state["vision_model.encoder.layers.2.mlp.fc1.bias"] = torch.zeros(32)

    message = refusal(edited(tmp_path, deeper), CLIPVisionModel, may_have=others)
    assert "no place for 1 tensor" in message
    assert "encoder.layers.2.mlp.fc1.bias" in message


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    file = language(tmp_path) / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert f"{file} cannot be read; is it damaged" in refusal(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        "",
        '{"a":',
        "[]",
        "null",
        "[" * 99_999,
        "{}",
        '{"model_type": "nope"}',
        '{"model_type": 3}',
        '{"model_type": "clip"}',
        "\xff",
    ],
)
def test_a_configuration_that_is_none(tmp_path: Path, config: str) -> None:
    (language(tmp_path) / "config.json").write_text(config, encoding="latin-1")
    assert str(tmp_path) in refusal(tmp_path)


@pytest.mark.parametrize("field", ["hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size"])
@pytest.mark.parametrize("value", ["x", -3, 0, 1.5, None, [2]])
def test_a_configuration_with_a_wrong_value(tmp_path: Path, field: str, value: Any) -> None:
    file = language(tmp_path) / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    refusal(tmp_path)


@pytest.mark.parametrize("what", ["model", "configuration", "tokenizer"])
def test_programs_of_a_checkpoint_are_never_run_and_nobody_is_prompted(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the terminal was prompted"))
    language(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    (tmp_path / "program.py").write_text(CODE)
    classes = {"AutoConfig": "program.C", "AutoModelForCausalLM": "program.M", "AutoTokenizer": ["program.T", None]}
    for name, values in (
        ("config.json", {"model_type": "new-kind", "auto_map": classes}),
        ("tokenizer_config.json", {"tokenizer_class": "NewTokenizer", "auto_map": classes}),
    ):
        (tmp_path / name).write_text(json.dumps(values))
    with pytest.raises(WeightsError, match=r"program of its own \(`auto_map`.*never run here"):
        match what:
            case "model":
                load_pretrained(AutoModelForCausalLM, tmp_path, "here")
            case "configuration":
                load_config(tmp_path, "here")
            case "tokenizer":
                load_tokenizer(tmp_path, "here")


def test_a_known_kind_is_loaded_by_transformers_whatever_program_lies_beside_it(tmp_path: Path) -> None:
    file = language(tmp_path) / "config.json"
    values = json.loads(file.read_text()) | {
        "auto_map": {"AutoModelForCausalLM": "program.M", "AutoConfig": "program.C"}
    }
    file.write_text(json.dumps(values))
    (tmp_path / "program.py").write_text(CODE)
    assert isinstance(load_pretrained(AutoModelForCausalLM, tmp_path, "here"), LlamaForCausalLM)


def test_a_pickle_that_runs_something_is_refused(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "trace",))

    (language(tmp_path) / "model.safetensors").unlink()
    torch.save({"model.norm.weight": Runs()}, tmp_path / "pytorch_model.bin")
    assert "weights_only" not in refusal(tmp_path)
    assert not (tmp_path / "trace").exists()


def test_an_adapter_of_peft_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "somewhere"}')
    assert "adapter of peft" in refusal(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": 3}', '{"version": "1.0", "model": {"type": "nope"}}'])
def test_a_damaged_tokenizer(tmp_path: Path, content: str) -> None:
    language(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(WeightsError, match="cannot be loaded as tokenizer"):
        load_tokenizer(tmp_path, "here")


@pytest.mark.parametrize("length", ["many", [3], {"a": 1}])
def test_a_tokenizer_whose_configuration_has_a_wrong_type(tmp_path: Path, length: object) -> None:
    language(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": length}))
    with pytest.raises(WeightsError, match="cannot be loaded as tokenizer"):
        load_tokenizer(tmp_path, "here")
