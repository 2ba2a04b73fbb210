"""`hf:` weights: what is taken of a repository, what counts as complete, and how absence is answered."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import huggingface_hub.constants
import pytest

from triptych.errors import WeightsError
from triptych.weights import fetch, hub

COMMIT = "c" * 40


def snapshot(cache: Path, repo: str, *files: str) -> Path:
    """A repository as huggingface_hub lays it out in a cache."""
    root = cache / f"models--{repo.replace('/', '--')}"
    folder = root / "snapshots" / COMMIT
    folder.mkdir(parents=True, exist_ok=True)
    (root / "refs").mkdir(exist_ok=True)
    (root / "refs" / "main").write_text(COMMIT)
    for name in files:
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hugging Face cache, empty."""
    folder = tmp_path / "huggingface"
    folder.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


def test_safetensors_are_taken_and_pickles_only_where_there_are_none() -> None:
    files = ["config.json", "tokenizer.json", "merges.txt", "modeling_evil.py", "model.safetensors", "onnx/model.onnx"]
    files += ["pytorch_model.bin", "tf_model.h5", "consolidated.safetensors", "tokenizer.model", "chat_template.jinja"]
    assert set(hub.files_to_download(files)) == {
        "config.json",
        "tokenizer.json",
        "merges.txt",
        "model.safetensors",
        "tokenizer.model",
        "chat_template.jinja",
    }
    assert hub.files_to_download(["config.json", "pytorch_model.bin", "optimizer.bin"]) == [
        "config.json",
        "pytorch_model.bin",
    ]


def test_a_model_that_either_cache_has_needs_no_network(
    cache: Path, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_OFFLINE", "1")
    ours = snapshot(cache / "hub", "org/ours", "config.json", "model.safetensors")
    other = snapshot(theirs, "org/theirs", "config.json", "model.safetensors")
    assert fetch("hf:org/ours") == ours
    assert fetch("hf:org/theirs") == other
    assert fetch(f"hf:org/theirs@{COMMIT}/config.json") == other / "config.json"


@pytest.mark.parametrize("files", [(), ("config.json",), ("model.safetensors",)])
def test_an_incomplete_model_is_not_taken_for_a_model(
    theirs: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TRIPTYCH_OFFLINE", "1")
    snapshot(theirs, "org/name", *files)
    with pytest.raises(WeightsError, match="triptych weights fetch 'hf:org/name'"):
        fetch("hf:org/name")


def test_every_shard_of_an_index_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-1.safetensors").touch()
    assert not hub.has_weights(tmp_path)
    (tmp_path / "model-2.safetensors").touch()
    assert hub.has_weights(tmp_path)


def test_a_download_goes_where_the_repository_already_is(
    cache: Path, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def download(repo: str, **options: Any) -> str:
        asked.append((repo, options["cache_dir"], options["allow_patterns"]))
        return "/downloaded"

    siblings = [SimpleNamespace(rfilename=name) for name in ("config.json", "model.safetensors", "x.py")]
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace(siblings=siblings))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert fetch("hf:org/new") == Path("/downloaded")
    snapshot(theirs, "org/begun", "config.json")
    fetch("hf:org/begun")
    names = ["config.json", "model.safetensors"]
    assert asked == [("org/new", cache / "hub", names), ("org/begun", theirs, names)]


def test_a_hub_that_does_not_answer_is_answered(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("name resolution failed\nlong traceback")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    with pytest.raises(WeightsError) as error:
        fetch("hf:org/name")
    assert "name resolution failed" in str(error.value)
    assert "long traceback" not in str(error.value)
    assert "triptych weights fetch" in str(error.value)
