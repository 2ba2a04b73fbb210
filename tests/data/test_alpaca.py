"""Alpaca's instructions: the published prompt to the letter, the response alone supervised, faults located."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from triptych.conversation import assistant, document, user
from triptych.data.alpaca import AlpacaSource
from triptych.data.config import AlpacaConfig
from triptych.data.sources import build
from triptych.errors import DataError

RECORDS = [
    {"instruction": "Name a colour.", "input": "", "output": "Red."},
    {"instruction": "Translate.", "input": "Hund", "output": "dog"},
    {"instruction": "", "output": "dog"},
    {"instruction": "Say something.", "output": ["a"]},
    {"instruction": "Say something.", "input": 3, "output": "a"},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "alpaca.json"
    path.write_text("[\n" + ",\n".join(map(json.dumps, RECORDS)) + "\n]")
    return path


def test_the_prompt_is_the_published_one(path: Path) -> None:
    source = AlpacaSource(path)
    assert source[0].messages == (
        document(
            "Below is an instruction that describes a task. Write a response that appropriately completes the "
            "request.\n\n### Instruction:\nName a colour.\n\n### Response:",
            supervised=False,
        ),
        document("Red."),
    )
    assert source[1].messages[0].text == (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n### Instruction:\nTranslate.\n\n### Input:\nHund\n\n"
        "### Response:"
    )


def test_turns_take_the_models_own_template(path: Path) -> None:
    source = build(AlpacaConfig(path=Path(path.name), form="turns"), path.parent)
    assert source[0].messages == (user("Name a colour."), assistant("Red."))
    assert source[1].messages == (user("Translate.\n\nHund"), assistant("dog"))


@pytest.mark.parametrize(("index", "what"), [(2, "'instruction'"), (3, "'output'"), (4, "'input'")])
def test_bad_records_are_named_by_file_and_line(path: Path, index: int, what: str) -> None:
    with pytest.raises(DataError, match=rf"alpaca.json:{index + 2}: expected {what}"):
        AlpacaSource(path)[index]


def test_braces_in_what_is_asked_are_only_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"instruction": "Explain {input} and {0}", "output": "{}"}))
    assert "Explain {input} and {0}\n" in AlpacaSource(path)[0].messages[0].text
