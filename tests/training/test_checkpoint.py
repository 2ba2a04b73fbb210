"""Checkpoints are complete or not there, the newest ones are kept, and nothing in them is executed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from triptych.errors import TrainingError
from triptych.training import checkpoint
from triptych.training.checkpoint import Progress


def save(folder: Path, step: int, keep: int = 2) -> Path:
    tensors = {"w": torch.full((3,), float(step))}
    return checkpoint.save(folder, Progress(1, step, step, 1.5, 2, 3, 4), tensors, {"exp_avg/w": tensors["w"]}, keep)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    weights = {"a": torch.randn(3, 2).bfloat16(), "b": torch.tensor(7), "t": torch.randn(4, 3).T}
    progress = Progress(1, 20, 250, 1.5, 2, 3, 4)
    torch.manual_seed(5)
    checkpoint.save(tmp_path, progress, weights, {})
    drawn = torch.rand(4)
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.progress == progress
    assert found.weights.keys() == weights.keys()
    assert all(torch.equal(found.weights[name], weights[name]) for name in weights)
    assert torch.equal(torch.rand(4), drawn)  # random numbers go on where they were


def test_none_is_there_at_first(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path) is None
    assert checkpoint.latest(tmp_path / "nowhere") is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 999_999, 1_000_000):
        save(tmp_path, step)
    assert names(tmp_path) == ["1000000", "999999"]
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.progress.step == 1_000_000


def test_the_same_step_can_be_saved_again(tmp_path: Path) -> None:
    save(tmp_path, 4)
    save(tmp_path, 4)
    assert names(tmp_path) == ["000004"]


@pytest.mark.parametrize(
    "fails_at", ["weights.safetensors", "optimiser.safetensors", "random.safetensors", "state.json", "replace"]
)
def test_a_half_written_checkpoint_is_never_picked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    """Wherever writing stops, the one before is the newest; and what was left behind is cleared away."""
    save(tmp_path, 1)

    class Killed(BaseException):
        pass

    original_save, original_text, original_replace = checkpoint._save, Path.write_text, Path.replace

    def stop_at(name: str) -> None:
        if name == fails_at:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_save", lambda path, tensors: (stop_at(path.name), original_save(path, tensors)))
        patch.setattr(Path, "write_text", lambda path, *a, **k: (stop_at(path.name), original_text(path, *a, **k)))
        patch.setattr(Path, "replace", lambda path, target: (stop_at("replace"), original_replace(path, target)))
        with pytest.raises(Killed):
            save(tmp_path, 2)
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.progress.step == 1
    save(tmp_path, 3)
    assert names(tmp_path) == ["000001", "000003"]


def test_one_without_state_does_not_count(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (save(tmp_path, 2) / "state.json").unlink()
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.progress.step == 1


@pytest.mark.parametrize("broken", ["weights.safetensors", "random.safetensors", "state.json"])
def test_a_damaged_one_is_an_error_that_says_what_to_do(tmp_path: Path, broken: str) -> None:
    path = save(tmp_path, 2)
    (path / broken).write_bytes(b"{")
    with pytest.raises(TrainingError, match=r"000002: the checkpoint cannot be read.*remove the folder"):
        checkpoint.latest(tmp_path)


def test_another_format_is_an_error(tmp_path: Path) -> None:
    path = save(tmp_path, 2)
    (path / "state.json").write_text(json.dumps({"from": "the future"}))
    with pytest.raises(TrainingError, match="cannot be read"):
        checkpoint.latest(tmp_path)


def test_nothing_is_pickled(tmp_path: Path) -> None:
    path = save(tmp_path, 2)
    assert {file.suffix for file in path.iterdir()} == {".safetensors", ".json"}
