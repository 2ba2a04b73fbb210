"""Documents with pictures between their words, in three forms; pictures stay in their folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from triptych.conversation import Image
from triptych.data.config import InterleavedConfig
from triptych.data.interleaved import InterleavedSource
from triptych.data.sources import build
from triptych.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for name in ("a", "b"):
        Pillow.new("RGB", (4, 4)).save(tmp_path / "pictures" / f"{name}.png")
    Pillow.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    return tmp_path


def source(folder: Path, *records: Any) -> InterleavedSource:
    (folder / "documents.jsonl").write_text("\n".join(map(json.dumps, records)))
    return InterleavedSource(folder / "documents.jsonl", folder / "pictures")


def said(source: InterleavedSource, index: int = 0) -> list[list[str]]:
    """The stretches, pictures by name."""
    messages = source[index].messages
    assert {message.role for message in messages} == {"document"}
    return [
        [f"<{Path(str(part)).stem}>" if isinstance(part, Image) else part for part in message.parts]
        for message in messages
    ]


def test_parts_in_order(folder: Path) -> None:
    parts = [{"text": "A:"}, {"image": "a.png"}, {"text": " and b: "}, {"image": "b.png"}, {"text": "."}]
    assert said(source(folder, {"parts": parts})) == [["A:"], ["<a>", " and b: "], ["<b>", "."]]


def test_obelics(folder: Path) -> None:
    record = {"texts": ["One.", "Two.", None, None, "Three."], "images": [None, None, "a.png", "b.png", None]}
    assert said(source(folder, record)) == [["One.", "\n\nTwo."], ["<a>", "<b>", "Three."]]


def test_mmc4_puts_a_picture_in_front_of_its_sentence(folder: Path) -> None:
    info = [
        {"image_name": "b.png", "matched_text_index": 1, "raw_url": "https://…"},
        {"image_name": "a.png", "matched_text_index": 0},
    ]
    assert said(source(folder, {"text_list": ["One.", "Two."], "image_info": info})) == [
        ["<a>", " One."],
        ["<b>", " Two."],
    ]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"parts": [{"image": "../secret.png"}, {"text": "x"}]}, "leads out of the images folder"),
    ({"parts": [{"image": "no.png"}, {"text": "x"}]}, "no such file"),
    ({"parts": [{"image": "a.png"}]}, "has no text"),
    ({"parts": [{"sound": "a.wav"}]}, "expected a part"),
    ({"parts": "text"}, "expected 'parts' to be a list"),
    ({"texts": ["x"], "images": []}, "lists of one length"),
    ({"texts": ["x"], "images": ["a.png"]}, "place 0: expected a text or an image"),
    ({"texts": [None], "images": [None]}, "place 0"),
    ({"text_list": ["x"], "image_info": [{"image_name": "a.png", "matched_text_index": 1}]}, "place in 'text_list'"),
    ({"text_list": [3], "image_info": []}, "'text_list' to hold texts"),
    ({"caption": "x"}, "expected 'parts', 'texts' and 'images', or"),
]


@pytest.mark.parametrize(("record", "message"), BAD)
def test_what_is_wrong_is_named_by_file_and_line(folder: Path, record: dict[str, Any], message: str) -> None:
    documents = source(folder, {"parts": [{"text": "good"}]}, record)
    assert said(documents) == [["good"]]
    with pytest.raises(DataError, match=rf"documents.jsonl:2: .*{message}"):
        documents[1]


def test_a_recipe_names_it(folder: Path) -> None:
    source(folder, {"id": "x", "parts": [{"text": "good"}]})
    config = InterleavedConfig(path=Path("documents.jsonl"), images=Path("pictures"))
    assert build(config, folder)[0].id == "0:x"
    with pytest.raises(DataError, match=r"images folder of .* does not exist"):
        build(InterleavedConfig(path=Path("documents.jsonl"), images=Path("nowhere")), folder)
