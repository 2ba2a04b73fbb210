"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from triptych.files import write_atomically, written_atomically


def test_a_failure_leaves_the_old_file_and_no_remains(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_atomically(path, "old")
    with pytest.raises(RuntimeError), written_atomically(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_text_that_is_no_valid_unicode_is_escaped(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", "caf\ud800é")
    assert (tmp_path / "a").read_bytes() == "caf\\ud800é".encode()
