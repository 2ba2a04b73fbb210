"""A cache of its own for every test, and a package index that is a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder; no network is forbidden or reached."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TRIPTYCH_CACHE", str(folder))
    monkeypatch.delenv("TRIPTYCH_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return folder


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make wheels in a folder that pip, configured by its own variables, takes for the index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def add(name: str, version: str, files: Mapping[str, bytes], requires_python: str = "") -> Path:
        wheel = folder / f"{name}-{version}-py3-none-any.whl"
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        if requires_python:
            about += f"Requires-Python: {requires_python}\n"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}-{version}.dist-info/METADATA", about)
            archive.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            archive.writestr(f"{name}-{version}.dist-info/RECORD", "")
            for path, content in files.items():
                archive.writestr(path, content)
        return wheel

    return add
