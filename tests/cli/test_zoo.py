"""`triptych zoo`: every preset in a table, every recipe to read."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parity.systems import COMPONENTS
from parity.systems import SYSTEMS as VERIFIED
from triptych import cli
from triptych.cli.commands.zoo import short
from triptych.errors import RecipeError
from triptych.recipe import preset_names
from triptych.zoo import SYSTEMS


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["zoo", *arguments], env={"COLUMNS": "200", "TRIPTYCH_OFFLINE": "1"})
    if result.exception:
        raise result.exception
    return re.sub(r"\x1b\[[0-9;]*m", "", result.output)


def test_every_preset_belongs_to_one_system_and_every_system_can_be_verified() -> None:
    presets = [preset for system in SYSTEMS for preset in (*system.presets, system.mini)]
    assert sorted(presets) == preset_names()
    assert [system.name for system in SYSTEMS] == [name for name in VERIFIED if name not in COMPONENTS]


def test_every_preset_has_a_place_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "systems.md").read_text(encoding="utf-8")
    assert [preset for preset in preset_names() if f"`{preset}`" not in page] == []


def test_the_table_comes_in_seconds_and_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.process_time()
    text = shown()
    assert time.process_time() - began < 20
    for preset in preset_names():
        assert preset in text
    assert "6.74 B" in text and "2304.08485" in text


def test_a_preset_shows_its_parts_what_learns_and_its_recipe() -> None:
    text = shown("llava")
    assert "4,198,400" in text
    assert "chat_template: llava-plain" in text
    line = next(line for line in text.splitlines() if "adapters.image" in line)
    assert line.count("trained") == 2
    assert "frozen" in next(line for line in text.splitlines() if "encoders.image" in line)


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"did you mean 'kosmos-[12]'"):
        shown("kosmos-3")


@pytest.mark.parametrize(
    ("count", "text"), [(6_738_415_616, "6.74 B"), (4_198_400, "4.2 M"), (960, "960"), (4096, "4.1 k")]
)
def test_counts_are_short(count: int, text: str) -> None:
    assert short(count) == text
