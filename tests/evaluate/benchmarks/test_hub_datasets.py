"""Hub datasets, read by the package `datasets` where the files are absent; a stand-in for it here."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from triptych.errors import DataError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.readers import read

PICTURE = Pillow.new("RGB", (4, 4))
ROWS: dict[str, list[dict[str, Any]]] = {
    "textvqa": [{"question_id": 1, "question": "What?", "answers": ["a"] * 10, "image": PICTURE}],
    "scienceqa": [{"question": "Q", "hint": "", "choices": ["x", "y"], "answer": 1, "image": PICTURE, "subject": "s"}],
    "seed-bench": [
        {"question_id": 1, "question": "Q", "data_type": "image", "question_type_id": 1, "answer": "B", "image": [PICTURE, PICTURE],
         **{f"choice_{c}": c for c in "abcd"}}
    ],
    "mmmu": [{"id": "m", "question": "Q", "options": "['x', 'y']", "answer": "A", "question_type": "multiple-choice", "image_1": PICTURE,
              **{f"image_{n}": None for n in range(2, 8)}}],
    "ai2d": [{"question": "Q", "options": ["x", "y"], "answer": "1", "image": PICTURE}],
    "mmstar": [{"index": 3, "question": "Which?\nOptions: A: red, B: None, C: blue, D: green", "image": PICTURE, "answer": "B",
                "category": "math", "l2_category": "x", "meta_info": {}}],
    "realworldqa": [{"question": "Where?\n\nA. left\nB. right\nPlease answer directly with only the letter.", "answer": "B", "image": PICTURE,
                     "image_path": "0.webp"}],
    "mathvista": [{"pid": "1", "question": "How long?", "image": "images/1.jpg", "decoded_image": PICTURE, "choices": [], "unit": "cm",
                   "precision": 1.0, "answer": "1.5", "question_type": "free_form", "answer_type": "float", "metadata": {}, "query": "x"}],
    "ocrbench": [{"dataset": "HME100k", "question": "Formula?", "question_type": "k", "answer": ["x ^ 2"], "image": PICTURE}],
    "blink": [{"idx": "val_Jigsaw_1", "question": "Q", "sub_task": "Jigsaw", "image_1": PICTURE, "image_2": PICTURE, "image_3": None, "image_4": None,
               "choices": ["the first", "the second"], "answer": "(B)", "prompt": "Q\n(A) the first\n(B) the second"}],
    "infographicvqa": [{"questionId": "5", "question": "Q", "answers": ["a", "b"], "image": PICTURE}],
    "mmmu-pro": [{"id": "t", "options": "['x', 'y']", "answer": "B", "image": PICTURE, "subject": "s"}],
    "countbench": [{"image": PICTURE, "text": "x", "question": "How many?", "number": 4}],
    "pope-official": [{"question_id": "1", "question": "Is it?", "answer": "yes", "category": "random", "image": PICTURE}],
}  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None, str]]:
    asked: list[tuple[str, str | None, str]] = []
    by_path, names = {}, {}
    for name, rows in ROWS.items():
        source = catalogue.load(name).source
        assert source.kind == "records" and source.hub is not None
        key = source.hub.path
        by_path[key], names[key] = rows, source.hub.names or (source.hub.name,)

    def load_dataset(path: str, name: str | None, split: str) -> list[dict[str, Any]]:
        asked.append((path, name, split))
        return by_path[path] if name in (None, *names[path][-1:]) else []

    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


@pytest.mark.parametrize("name", sorted(ROWS))
def test_rows_become_questions(name: str, hub: list[tuple[str, str | None, str]], tmp_path: Path) -> None:
    file = catalogue.load(name)
    (item,) = read(file, tmp_path)
    assert file.source.kind == "records" and file.source.hub is not None
    assert len(hub) == max(1, len(file.source.hub.names))
    assert item.question or name == "mmmu-pro"  # there it stands in the picture
    assert [medium.open().size for medium in item.images] == [(4, 4)] * (2 if name in ("seed-bench", "blink") else 1)
    truths = {
        "textvqa": ["a"] * 10,
        "scienceqa": "B",
        "seed-bench": "B",
        "mmmu": "A",
        "ai2d": "B",
        "pope-official": "yes",
        "mmstar": "B",
        "realworldqa": "B",
        "mathvista": "1.5",
        "ocrbench": ["x ^ 2"],
        "blink": "B",
        "infographicvqa": ["a", "b"],
        "mmmu-pro": "B",
        "countbench": "4",
    }
    assert item.truth == truths[name]
    choices = {
        "mmstar": {"A": "red", "B": "None", "C": "blue", "D": "green"},
        "realworldqa": {"A": "left", "B": "right"},
    }
    if name in choices:
        assert item.choices == choices[name] and "left" not in item.question and "red" not in item.question
    if name == "mathvista":
        assert item.question == "How long? (Unit: cm)"


def test_without_the_package_the_files_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="Get: "):
        read(catalogue.load("textvqa"), tmp_path)
