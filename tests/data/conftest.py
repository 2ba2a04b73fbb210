"""A folder of good and bad pictures, and files of records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from encoded_pictures import jpeg, png_header


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with good.jpg, other.jpg and pictures that are bad, each in its own way."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "good.jpg").write_bytes(jpeg(0))
    (folder / "other.jpg").write_bytes(jpeg(1))
    (folder / "truncated.jpg").write_bytes(jpeg(2)[:400])
    (folder / "bomb.png").write_bytes(png_header(60_000, 60_000))
    (folder / "huge.png").write_bytes(png_header(9_000, 9_000))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("<html>404</html>")
    (tmp_path / "secret.jpg").write_bytes(jpeg(3))
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "folder.jpg").mkdir()
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Write a file: text as it is, a list to `*.jsonl` as lines, everything else as JSON."""

    def write(name: str, content: Any) -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif name.endswith(".jsonl"):
            path.write_text("".join(json.dumps(record) + "\n" for record in content), encoding="utf-8")
        else:
            path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        return path

    return write
