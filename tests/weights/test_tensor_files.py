"""Files of tensors: whole ones are read, damaged ones are one line that names the file."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from triptych.errors import WeightsError
from triptych.weights.tensor_files import read_tensors, weight_files


def tensors(count: int = 4) -> dict[str, Tensor]:
    return {f"layers.{i}.weight": torch.full((3, 2), float(i)) for i in range(count)}


def sharded(folder: Path) -> Path:
    state = tensors()
    weight_map = {}
    for number, name in enumerate(state):
        file = f"model-{number + 1:05}-of-00004.safetensors"
        save_file({name: state[name]}, folder / file)
        weight_map[name] = file
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as raised:
        read_tensors(path, "weights file:x")
    message = str(raised.value)
    assert "\n" not in message
    assert str(path) in message or path.name in message
    return message


@pytest.mark.parametrize("form", ["file", "folder", "sharded", "pickle", "pickled folder", "wrapped", "parallel"])
def test_every_form_is_read(tmp_path: Path, form: str) -> None:
    state: dict[str, Any] = dict(tensors())
    path = tmp_path
    match form:
        case "file":
            path = tmp_path / "some.safetensors"
            save_file(state, path)
        case "folder":
            save_file(state, tmp_path / "model.safetensors")
            save_file({"beside": torch.zeros(1)}, tmp_path / "consolidated.safetensors")  # transformers ignores it, too
        case "sharded":
            sharded(tmp_path)
        case "pickle":
            path = tmp_path / "some.pth"
            torch.save(state, path)
        case "pickled folder":
            torch.save(state, tmp_path / "pytorch_model.bin")
        case "wrapped":
            path = tmp_path / "some.pt"
            torch.save({"epoch": 3, "state_dict": {"model": state}}, path)
        case "parallel":
            path = tmp_path / "some.pt"
            torch.save({f"module.{name}": tensor for name, tensor in state.items()}, path)
    found = read_tensors(path, "here")
    assert {name: tensor.tolist() for name, tensor in found.items()} == {n: t.tolist() for n, t in tensors().items()}


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    assert list(read_tensors(sharded(tmp_path), "here", lambda name: "2" in name)) == ["layers.2.weight"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["safetensors", "pth", "index"])
def test_a_truncated_file_is_one_line(tmp_path: Path, share: float, kind: str) -> None:
    if kind == "index":
        file = sharded(tmp_path) / "model.safetensors.index.json"
    else:
        file = tmp_path / f"some.{kind}"
        (save_file if kind == "safetensors" else torch.save)(tensors(40), file)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    refusal(tmp_path if kind == "index" else file)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 8 + b"{}",
        (10**9).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{{",
        (56).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9,9],"data_offsets":[0,4]}} ' + b"\0" * 4,
        b"<html><body>404 Not Found</body></html>" * 9,
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    ],
)
def test_what_is_no_safetensors_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    assert "damaged or half copied" in refusal(file)


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "../x.safetensors",
        "/etc/x.safetensors",
        "a/../../x.safetensors",
        "config.json",
        "",
        "C:\\x.safetensors",
    ],
)
def test_an_index_names_files_of_its_folder_alone(tmp_path: Path, name: str) -> None:
    index = sharded(tmp_path) / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["layers.1.weight"] = name
    index.write_text(json.dumps(content))
    assert repr(name) in refusal(tmp_path)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}', '{"weight_map": {}}', "[" * 99_999]
)
def test_an_index_that_says_nothing(tmp_path: Path, content: str) -> None:
    (sharded(tmp_path) / "model.safetensors.index.json").write_text(content)
    assert "model.safetensors.index.json" in refusal(tmp_path)


def test_a_shard_that_is_not_there_and_one_that_lacks_a_tensor(tmp_path: Path) -> None:
    shard = sharded(tmp_path) / "model-00002-of-00004.safetensors"
    save_file({"other": torch.zeros(1)}, shard)
    assert "lacks layers.1.weight" in refusal(tmp_path)
    shard.unlink()
    assert f"names {shard.name}, which is not in" in refusal(tmp_path)


def test_an_index_that_names_what_no_file_system_could_have(tmp_path: Path) -> None:
    index = sharded(tmp_path) / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["layers.0.weight"] = "model.safetensors" * 100
    index.write_text(json.dumps(content))
    said = refusal(tmp_path)
    assert "which is not in" in said and len(said) < 500


def test_two_files_with_a_tensor_of_one_name(tmp_path: Path) -> None:
    save_file(tensors(2), tmp_path / "a.safetensors")
    save_file(tensors(1), tmp_path / "b.safetensors")
    assert "a.safetensors and in b.safetensors" in refusal(tmp_path)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds neither"):
        weight_files(tmp_path, "here")


class Runs:
    """What a pickle may hold: a call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("form", ["torch", "bare", "inside"])
def test_nothing_is_unpickled_but_tensors(tmp_path: Path, form: str) -> None:
    file, trace = tmp_path / "some.pth", tmp_path / "trace"
    match form:
        case "torch":
            torch.save(Runs(trace), file)
        case "inside":
            torch.save({**tensors(), "x": Runs(trace)}, file)
        case "bare":
            file.write_bytes(pickle.dumps(Runs(trace)))
    assert "cannot be read as tensors alone" in (said := refusal(file))
    assert "weights_only" not in said  # PyTorch's advice to run it all the same
    assert not trace.exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, torch.zeros(2)])
def test_a_pickle_without_tensors_by_name(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "some.pt")
    refusal(tmp_path / "some.pt")


def test_a_zip_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "some.pt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("hello.txt", "hello")
    refusal(file)
    file.write_bytes(b"PK\x03\x04" + b"\0" * 40 + b"PK\x05\x06" + b"\xff" * 18)
    refusal(file)


def test_a_pickle_that_holds_itself(tmp_path: Path) -> None:
    held: dict[str, Any] = {"weight": torch.zeros(2)}
    held["state_dict"] = held
    torch.save(held, tmp_path / "a.pt")
    assert list(read_tensors(tmp_path / "a.pt", "it")) == ["weight"]


def test_a_zip_whose_names_are_no_text(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    entry = content.rindex(b"PK\x01\x02")  # of the last file in the directory at the end: flags, 38 bytes on its name
    broken = bytearray(content)
    broken[entry + 8 : entry + 10], broken[entry + 46 : entry + 48] = b"\x00\x08", b"\xff\xfe"  # "the name is UTF-8"
    (tmp_path / "a.pt").write_bytes(broken)
    with pytest.raises(WeightsError):
        read_tensors(tmp_path / "a.pt", "it")
