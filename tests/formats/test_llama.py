"""LLaMA in Meta's layout: what `triptych verify formats` does not ask, its answers to what is wrong above all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from parity.formats.languages import INNER, PARAMS, write_shards
from parity.plain_llama import PlainLlama
from tiny_world import tokenizer
from triptych.errors import WeightsError
from triptych.formats.llama import configuration, convert, is_there
from triptych.language.config import LanguageConfig
from triptych.planner.architectures import language_architecture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    state = PlainLlama(PARAMS, len(tokenizer()), INNER).state_dict()
    write_shards(state, PARAMS, 2, False, tmp_path / "meta")
    return tmp_path / "meta"


def change(folder: Path, **values: object) -> None:
    (folder / "params.json").write_text(json.dumps({**PARAMS, **values}))


def test_a_plan_reads_shapes_alone(folder: Path) -> None:
    found = language_architecture(LanguageConfig(weights=f"file:{folder}", tokenizer="file:words"))
    assert (found.vocab_size, found.intermediate_size, found.num_hidden_layers) == (len(tokenizer()), INNER, 2)
    assert found.max_position_embeddings == 2048
    change(folder, norm_eps=1e-5)
    assert configuration(folder)["max_position_embeddings"] == 4096  # LLaMA 2


def test_it_is_converted_once_and_again_when_it_changes(folder: Path, tmp_path: Path) -> None:
    assert is_there(folder)
    first = convert(folder, tmp_path / "cache")
    assert not is_there(first)
    (first / "mark").touch()
    assert (convert(folder, tmp_path / "cache") / "mark").exists()
    change(folder, rope_theta=500_000.0)
    other = convert(folder, tmp_path / "cache")
    assert other != first and json.loads((other / "config.json").read_text())["max_position_embeddings"] == 8192


def test_the_tokenizer_beside_the_folders_of_sizes_comes_along(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"words")
    assert (convert(folder, tmp_path / "cache") / "tokenizer.model").read_bytes() == b"words"


def test_what_is_wrong_is_said(folder: Path, tmp_path: Path) -> None:
    change(folder, use_scaled_rope=True)
    with pytest.raises(WeightsError, match=r"use_scaled_rope.*hub's format"):
        convert(folder, tmp_path / "cache")
    change(folder, n_layers=3)
    with pytest.raises(WeightsError, match="says 3 layers, and the shards have no layer 2"):
        convert(folder, tmp_path / "cache")
    (folder / "params.json").write_text('{"dim": 32}')
    with pytest.raises(WeightsError, match="says nothing about n_layers, n_heads, norm_eps"):
        convert(folder, tmp_path / "cache")
    change(folder)
    second = folder / "consolidated.01.pth"
    state = torch.load(second, weights_only=True)
    del state["layers.1.attention.wk.weight"]
    torch.save(state, second)
    with pytest.raises(WeightsError, match=r"consolidated\.01\.pth: lacks layers\.1\.attention\.wk\.weight"):
        convert(folder, tmp_path / "cache")
    torch.save({"model": state}, second)
    with pytest.raises(WeightsError, match=r"no LLaMA of Meta's layout \(no tok_embeddings\.weight\)"):
        convert(folder, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "converted").iterdir())


def test_every_tensor_of_every_shard_is_accounted_for(folder: Path, tmp_path: Path) -> None:
    change(folder, n_layers=1)
    with pytest.raises(WeightsError, match=r"says 1 layers, and the shards have layers\.1\."):
        convert(folder, tmp_path / "cache")
    change(folder)
    second = folder / "consolidated.01.pth"
    whole = torch.load(second, weights_only=True)
    torch.save(whole | {"layers.0.attention.wx.weight": torch.zeros(2)}, second)
    with pytest.raises(WeightsError, match=r"has layers\.0\.attention\.wx\.weight, which consolidated\.00\.pth lacks"):
        convert(folder, tmp_path / "cache")
    content = second.read_bytes()
    for share in (0.0, 0.3, 0.9):
        second.write_bytes(content[: int(share * len(content))])
        with pytest.raises(WeightsError, match=r"consolidated\.01\.pth cannot be read"):
            convert(folder, tmp_path / "cache")
    torch.save(whole, second)
    for values in ("[]", "{", '{"dim": "x", "n_layers": 2, "n_heads": 4, "norm_eps": 1e-5}', "[" * 99_999):
        (folder / "params.json").write_text(values)
        with pytest.raises(WeightsError, match=r"params\.json"):
            convert(folder, tmp_path / "cache")
