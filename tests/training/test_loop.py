"""The loop: cached and live features, validation, loss that is not finite, bad data, text alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tiny_world import World
from triptych.errors import DataError, TrainingError
from triptych.families.composed import next_token

Train = Callable[..., Path]
SHORT = {"stages.0.steps": 2, "stages.1.steps": 2}


def rows(run: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / name).read_text().splitlines()]


def weights(run: Path) -> bytes:
    return (run / "weights" / "model.safetensors").read_bytes()


def test_the_loss_falls(train_tiny: Train) -> None:
    run = train_tiny({"stages.0.steps": 1, "stages.1.steps": 25, "stages.1.learning_rate": 5e-3})
    losses = [row["loss"] for row in rows(run)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_run_repeats_bitwise(train_tiny: Train) -> None:
    assert weights(train_tiny(SHORT, "one")) == weights(train_tiny(SHORT, "two"))
    assert weights(train_tiny({**SHORT, "seed": 1}, "other")) != weights(train_tiny(SHORT, "three"))


def test_worker_processes_change_nothing(train_tiny: Train) -> None:
    assert weights(train_tiny(SHORT, "none")) == weights(train_tiny({**SHORT, "loading.workers": 2}, "two"))


def test_cached_and_live_features_are_the_same_bits(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = train_tiny({**SHORT, "loading.cache_features": False}, "live")
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "empty"))
    writes = train_tiny(SHORT, "writes")
    reads = train_tiny(SHORT, "reads")
    assert weights(live) == weights(writes) == weights(reads)
    assert [r["loss"] for r in rows(live)] == [r["loss"] for r in rows(writes)] == [r["loss"] for r in rows(reads)]


def test_a_frozen_encoder_runs_once_per_picture(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triptych.encoders.huggingface import HuggingFaceEncoder

    seen: list[int] = []
    original = HuggingFaceEncoder.encode
    monkeypatch.setattr(HuggingFaceEncoder, "encode", lambda self, p: seen.append(len(p)) or original(self, p))
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "empty"))
    train_tiny({"stages.0.steps": 9, "stages.1.steps": 9}, "one")
    assert sum(seen) == 12
    train_tiny({"stages.0.steps": 9, "stages.1.steps": 9}, "two")
    assert sum(seen) == 12


def test_a_trained_encoder_is_never_read_from_the_cache(train_tiny: Train) -> None:
    encoders = {"stages.0.train": ["adapters", "encoders"], **SHORT}
    cached, live = train_tiny(encoders, "a"), train_tiny({**encoders, "loading.cache_features": False}, "b")
    assert weights(cached) == weights(live)


def test_metrics_count_what_was_trained(trained: Path) -> None:
    found = rows(trained)
    assert [row["total_step"] for row in found] == list(range(1, 9))
    assert [(row["stage"], row["step"]) for row in found] == [("align", i) for i in range(1, 5)] + [
        ("instruct", i) for i in range(1, 5)
    ]
    assert [row["samples"] for row in found[:4]] == [4, 8, 12, 16]
    facts = json.loads((trained / "run.json").read_text())
    assert [stage["steps"] for stage in facts["stages"]] == [4, 4]
    assert [stage["supervised_tokens"] for stage in facts["stages"]] == [
        row["supervised_tokens"] for row in found[3::4]
    ]
    assert facts["finished"] >= facts["started"]


def test_epochs_become_steps(train_tiny: Train) -> None:
    changes = {"stages.0.steps": None, "stages.0.epochs": 1.5, "stages.1.steps": 1}
    assert json.loads((train_tiny(changes) / "run.json").read_text())["stages"][0]["steps"] == 5  # 18 of 12 in fours


def test_validation_is_logged_and_changes_nothing(train_tiny: Train) -> None:
    changes = {**SHORT, "model.language.lora": {"rank": 2, "dropout": 0.3}, "stages.1.train": ["language.lora"]}
    plain = train_tiny(changes, "plain")
    validated = train_tiny({**changes, "validation": "colours", "stages.1.validate_every": 1}, "validated")
    assert weights(plain) == weights(validated)
    losses = [row["validation_loss"] for row in rows(validated) if "validation_loss" in row]
    assert len(losses) == 2
    assert all(loss > 0 for loss in losses)


def test_a_loss_that_is_not_finite_stops_with_the_batch_written_out(
    train_tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = next_token.cross_entropy

    def poisoned(language: Any, hidden: Any, targets: Any) -> torch.Tensor:
        calls.append(1)
        return original(language, hidden, targets) * (float("nan") if len(calls) > 6 else 1.0)

    monkeypatch.setattr(next_token, "cross_entropy", poisoned)
    with pytest.raises(
        TrainingError, match=r"stage (align|instruct), step \d: the loss is nan.*written to (\S+);"
    ) as error:
        train_tiny({"stages.0.micro_rows": 1})
    folder = Path(str(error.value).split("written to ")[1].split(";")[0])
    records = json.loads((folder / "records.json").read_text())
    assert len(records) == 4
    assert "What colour is this?" in records[0]["text"]
    assert records[0]["media"][0].endswith(".png")
    tensors = load_file(folder / "batch.safetensors")
    assert {"ids", "targets", "positions", "documents"} <= tensors.keys()


def test_a_gradient_that_is_not_finite_stops_before_it_is_applied(
    train_tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = next_token.cross_entropy
    monkeypatch.setattr(
        next_token,
        "cross_entropy",
        lambda language, hidden, targets: (
            original(language, hidden, targets) + (hidden.float() * 0).sum().sqrt() * 0
        ),  # zero, with an infinite derivative
    )
    with pytest.raises(TrainingError, match=r"step 1: the loss is \d.*norm of its gradient (nan|inf)"):
        train_tiny(SHORT)


def broken_world(world: World, folder: Path, broken: int) -> dict[str, Any]:
    """The tiny data, the first pictures of which cannot be read, in three ways."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for i in range(12):
        data = (world.folder / "pictures" / f"{i:02}.png").read_bytes()
        if i < broken:
            data = [data[: len(data) // 2], b"no picture", b""][i % 3]
        (pictures / f"{i:02}.png").write_bytes(data)
    return {"kind": "llava", "path": str(world.folder / "data.json"), "images": str(pictures)}


def test_pictures_that_cannot_be_read_are_in_the_ledger(world: World, train_tiny: Train, tmp_path: Path) -> None:
    data = broken_world(world, tmp_path, 3)
    run = train_tiny({**SHORT, "data.colours": data, "stages.0.steps": 6, "loading.refused_share": 0.5})
    refused = [row for row in rows(run, "ledger.jsonl") if row["outcome"] == "refused" and row["stage"] == "align"]
    assert sorted(row["record"] for row in refused) == ["0:r0", "1:r1", "2:r2"]  # once each, met twice
    assert all(".png" in row["reason"] for row in refused)
    assert rows(run)[5]["samples"] == 24 - 6


def test_too_many_of_them_stop_the_run_and_are_shown(world: World, train_tiny: Train, tmp_path: Path) -> None:
    data = broken_world(world, tmp_path, 6)
    with pytest.raises(
        DataError, match=r"(?s)'colours': \d+ of the \d+ records.*loading.refused_share.*\.png"
    ) as error:
        train_tiny({**SHORT, "data.colours": data, "stages.0.steps": 6, "loading.refused_share": 0.1})
    assert "r0" in str(error.value) or "r1" in str(error.value)


@pytest.mark.parametrize("steps", [1, 4])
def test_a_stage_without_any_usable_record_stops(world: World, train_tiny: Train, tmp_path: Path, steps: int) -> None:
    data = broken_world(world, tmp_path, 12)
    with pytest.raises(DataError, match=r"refused"):
        train_tiny({"data.colours": data, "stages.0.steps": steps, "loading.refused_share": 1.0})


def test_a_dataset_that_is_not_there_stops_before_training(train_tiny: Train) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json"):
        train_tiny({"data.colours": {"kind": "llava", "path": "nowhere.json"}})


TEXT = {
    "model.encoders": {"image": None},
    "model.adapters": {"image": None},
    "stages.0.train": ["language"],
    "stages.1.train": ["language"],
}


def test_a_model_of_text_alone_trains_on_text(train_tiny: Train) -> None:
    from triptych.api import load

    run = train_tiny({**SHORT, **TEXT, "data.colours": {"kind": "llava", "path": "text.json"}})
    assert [part["part"] for part in json.loads((run / "run.json").read_text())["stages"][0]["parts"]] == ["language"]
    assert isinstance(load(run).ask("What colour is this?"), str)


def test_pictures_for_a_model_of_text_alone_are_refused_with_the_reason(train_tiny: Train) -> None:
    with pytest.raises(DataError, match=r"the model takes no images.*model\.encoders\.image"):
        train_tiny({**TEXT, "stages.0.steps": 3})


def test_a_recipe_without_stages_has_nothing_to_train(train_tiny: Train) -> None:
    with pytest.raises(TrainingError, match="no stages"):
        train_tiny({"stages": []})


def test_shortened_conversations_are_in_the_ledger(trained: Path) -> None:
    shortened = [row for row in rows(trained, "ledger.jsonl") if row["outcome"] == "shortened"]
    assert shortened
    assert all("2 messages left out" in row["reason"] for row in shortened)


def test_media_of_both_kinds_meet_in_one_step(world: World, train_tiny: Train) -> None:
    """Also where only the adapter learns, and rows of text alone have nothing to teach it."""
    changes = {"data.words": {"kind": "llava", "path": "text.json"}, "stages.0.mixture": {"colours": 1, "words": 1}}
    run = train_tiny({**SHORT, **changes, "stages.0.micro_rows": 1})
    assert rows(run)[0]["samples"] == 4
    assert rows(run)[0]["gradient_norm"] > 0
