"""Runs over data with bad records among the good: they end as they would without those, and the ledger says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiny_world import World
from triptych.errors import DataError

Train = Callable[..., Path]
SHORT = {"stages.1.steps": 1, "stages.0.steps": 8, "stages.0.batch_size": 4, "loading.refused_share": 1.0}
STRICT = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)  # as Gemma's and Mistral's do
CASES = Path(__file__).parents[2].parent / "shared" / "cases" / "records"


def entries(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]


def talk(*turns: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"image": "00.png", "conversations": [{"from": who, "value": text} for who, text in turns], **more}


ASKED = ("human", "<image>\nWhat colour is this?")
SYSTEM = talk(("system", "You are red."), ASKED, ("gpt", "It is red."), id="system")
TWICE = talk(("human", "<image>"), ("human", "What colour is this?"), ("gpt", "It is red."), id="twice")
HALF = '{"id": "half", "image": "00.png", "conversations": [{"from": "human", "value": "<image>\\nWhat?"}, {"from": "gpt", "value": "\\ud83d"}]}'


def data_of(world: World, folder: Path, *bad: dict[str, Any] | str) -> dict[str, Any]:
    """The tiny data as JSON lines, and bad records behind it."""
    good = [json.dumps(record) for record in json.loads((world.folder / "data.json").read_text())]
    lines = [*good, *(record if isinstance(record, str) else json.dumps(record) for record in bad)]
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    return {"kind": "llava", "path": str(folder / "data.jsonl"), "images": str(world.folder / "pictures")}


def test_turns_that_the_template_refuses_are_refused_alone(world: World, train_tiny: Train, tmp_path: Path) -> None:
    data = data_of(world, tmp_path, SYSTEM, TWICE, HALF, {"videos": ["a.mp4"], "conversations": []})
    run = train_tiny({**SHORT, "data.colours": data, "model.language.chat_template": STRICT})
    refused = {e["record"]: e for e in entries(run) if e["outcome"] == "refused" and e["stage"] == "align"}
    assert len(refused) == 4
    system, twice = refused["12:system"], refused["13:twice"]
    assert (system["kind"], twice["kind"]) == ("chat template", "chat template")
    assert "System role not supported" in system["reason"] and "roles must alternate" in twice["reason"]
    assert system["where"].endswith("data.jsonl:13") and twice["where"].endswith("data.jsonl:14")
    assert "no valid Unicode, character 1" in refused["14"]["reason"] and refused["14"]["where"].endswith(
        "data.jsonl:15"
    )
    assert "has 'videos'" in refused["15"]["reason"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["loss"] > 0


@pytest.mark.parametrize("name", ["system-turn", "two-user-turns", "lone-surrogate"])
def test_the_cases_train_to_their_end(world: World, train_tiny: Train, name: str) -> None:
    if not CASES.is_dir():
        pytest.skip("../shared/cases is not here")
    data = {"kind": "llava", "path": str(CASES / f"{name}.json"), "images": str(world.folder / "pictures")}
    run = train_tiny({**SHORT, "data.colours": data, "model.language.chat_template": STRICT})
    (bad,) = {e["record"]: e for e in entries(run) if e["outcome"] == "refused"}.values()
    assert f"{name}.json:1" in bad["where"]


def test_a_dataset_that_is_refused_whole_stops_with_reasons_and_places(
    world: World, train_tiny: Train, tmp_path: Path
) -> None:
    (tmp_path / "data.jsonl").write_text("".join(json.dumps({**SYSTEM, "id": i}) + "\n" for i in range(300)))
    data = {"kind": "llava", "path": str(tmp_path / "data.jsonl"), "images": str(world.folder / "pictures")}
    changes = {**SHORT, "data.colours": data, "model.language.chat_template": STRICT}
    with pytest.raises(
        DataError, match=r"(?s)4 × colours: chat template.*data\.jsonl:\d+: .*System role not supported"
    ):
        train_tiny({**changes, "stages.0.steps": 1})
    with pytest.raises(
        DataError, match=r"(?s)records seen so far were refused.*chat template, for example.*data\.jsonl:\d"
    ):
        train_tiny({**changes, "loading.refused_share": 0.1}, "second")


def test_a_defect_of_every_record_stops_the_run_and_says_its_type(
    world: World, train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: Any) -> Any:
        raise AttributeError("'NoneType' object has no attribute 'parts'")

    monkeypatch.setattr("triptych.data.llava.messages_of", defect)
    with pytest.raises(DataError, match=r"(?s)refused.*unexpected AttributeError.*test_bad_records\.py:\d+, defect"):
        train_tiny({**SHORT, "data.colours": data_of(world, tmp_path), "loading.refused_share": 0.1})
