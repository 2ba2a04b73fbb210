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
    "pope-official": [{"question_id": "1", "question": "Is it?", "answer": "yes", "category": "random", "image": PICTURE}],
}  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None, str]]:
    asked: list[tuple[str, str | None, str]] = []
    by_path = {}
    for name, rows in ROWS.items():
        source = catalogue.load(name).source
        assert source.kind == "records" and source.hub is not None
        by_path[source.hub.path] = rows

    def load_dataset(path: str, name: str | None, split: str) -> list[dict[str, Any]]:
        asked.append((path, name, split))
        return by_path[path]

    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


@pytest.mark.parametrize("name", sorted(ROWS))
def test_rows_become_questions(name: str, hub: list[tuple[str, str | None, str]], tmp_path: Path) -> None:
    (item,) = read(catalogue.load(name), tmp_path)
    assert len(hub) == 1 and item.question
    assert [medium.open().size for medium in item.images] == [(4, 4)] * (2 if name == "seed-bench" else 1)
    truths = {
        "textvqa": ["a"] * 10,
        "scienceqa": "B",
        "seed-bench": "B",
        "mmmu": "A",
        "ai2d": "B",
        "pope-official": "yes",
    }
    assert item.truth == truths[name]


def test_without_the_package_the_files_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="Get: "):
        read(catalogue.load("textvqa"), tmp_path)
