"""The examples of docs/extending/adapter.md and dataset.md, run as they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiny_world import World
from triptych.api import load
from triptych.conversation import Image
from triptych.errors import RecipeError

DOCS = Path(__file__).parents[1] / "docs" / "extending"
Train = Callable[..., Path]


def block(page: str, language: str) -> str:
    """The first block of code of a page in a language."""
    found = re.search(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The examples as files on the import path."""
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "halves.py").write_text(block("adapter.md", "python"), encoding="utf-8")
    (folder / "colours.py").write_text(block("dataset.md", "python"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    yield folder


@pytest.mark.usefixtures("modules")
def test_the_adapter_trains_and_answers(world: World, train_tiny: Train) -> None:
    said: Any = yaml.safe_load(block("adapter.md", "yaml"))["model"]["adapters"]["image"]
    model = load(train_tiny({"model.adapters.image": said}))
    adapter = model.model.adapter("image")
    assert type(adapter).__name__ == "Halves" and adapter.gain == 2.0
    picture = Image(next((world.folder / "pictures").glob("*.png")))
    assert model.model.media_tokens(picture) == (model.model.encoder("image").tokens(picture) + 1) // 2
    assert isinstance(model.ask(picture, "What colour?"), str)


@pytest.mark.usefixtures("modules")
def test_wrong_options_of_the_adapter_are_said(train_tiny: Train) -> None:
    with pytest.raises(RecipeError, match=r"unexpected keyword argument 'gian'.*it takes .*gain"):
        train_tiny({"model.adapters.image": {"kind": "halves:Halves", "gian": 2}})


@pytest.mark.usefixtures("modules")
def test_the_dataset_trains_and_a_spoilt_record_is_counted(world: World, train_tiny: Train) -> None:
    said: Any = yaml.safe_load(block("dataset.md", "yaml"))["data"]["mine"]
    changes = {
        "data.colours": {**said, "count": 12, "spoilt": 3},
        "loading.refused_share": 0.5,
        "stages.0.steps": 3,
    }
    run = train_tiny(changes)
    refused = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    assert any("picture 3 is spoilt" in json.dumps(event) for event in refused)
    assert load(run).recipe.data["colours"].kind == "colours:Colours"
