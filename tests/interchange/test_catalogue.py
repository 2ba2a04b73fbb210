"""A format or a system is one file: it is found by its place, and nothing else names it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import triptych.formats
import triptych.interchange.catalogue as catalogue
import triptych.interchange.systems as systems

SYSTEM = """
from triptych.interchange.format import Format, System

FORMATS = (Format("dreamt-up", "a folder of dreams", lambda run: iter(()), lambda run, folder, shard: "dream()"),)
SYSTEMS = (System("dream", "Dream", lambda folder, work, precision: None),)
"""


def test_a_system_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dreams.py").write_text(SYSTEM)
    before = {known.name for known in catalogue.FORMATS}
    with monkeypatch.context() as patch:
        patch.setattr(systems, "__path__", [*systems.__path__, str(tmp_path)])
        found = importlib.reload(catalogue)
        assert {known.name for known in found.FORMATS} == {*before, "dreamt-up"}
        assert found.format_called("dreamt-up").what == "a folder of dreams" and "dream" in found.SYSTEMS
    sys.modules.pop("triptych.interchange.systems.dreams")
    importlib.reload(catalogue)
    assert {known.name for known in catalogue.FORMATS} == before


def test_names_are_unique_and_every_table_is_found() -> None:
    assert len({known.name for known in catalogue.FORMATS}) == len(catalogue.FORMATS) == 8
    files = {path.stem for path in Path(triptych.formats.__file__).parent.glob("*.py")}
    tables = [sys.modules[f"triptych.formats.{name}"] for name in files - {"__init__", "recognise"}]
    named = {known.name for table in tables for known in getattr(table, "FORMATS", ())}
    assert named == {known.name for known in triptych.formats.FORMATS}


@pytest.mark.parametrize("module", ["triptych.formats", "triptych.interchange"])
def test_nothing_heavy_is_imported_to_read_names(module: str) -> None:
    code = f"import sys, {module}; print([name for name in ('torch', 'transformers', 'safetensors') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
