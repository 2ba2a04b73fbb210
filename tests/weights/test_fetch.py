"""`file:` and `run:` paths, hashes, and where the cache is."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from triptych.errors import WeightsError
from triptych.weights import cache_folder, fetch, file_sha256
from triptych.weights.cache import verified_sha256, written_atomically


def test_a_relative_path_starts_at_the_recipe_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tower").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert fetch("file:tower", base=tmp_path / "recipes") == tmp_path / "recipes" / "tower"
    assert fetch("file:here") == tmp_path / "here"
    assert fetch(f"file:{tmp_path}/here", base=tmp_path / "recipes") == tmp_path / "here"


def test_a_missing_path_is_answered_with_near_ones(tmp_path: Path) -> None:
    (tmp_path / "tower-large").touch()
    with pytest.raises(WeightsError, match="near it: tower-large"):
        fetch("file:tower-larg", base=tmp_path)


def test_a_local_file_with_the_wrong_hash_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"data")
    right = hashlib.sha256(b"data").hexdigest()
    assert fetch(f"file:model.safetensors#sha256={right}", base=tmp_path) == path
    with pytest.raises(WeightsError, match=right):
        fetch("file:model.safetensors", sha256="1" * 64, base=tmp_path)
    assert path.exists()
    with pytest.raises(WeightsError, match="not the one in the URI"):
        fetch(f"file:model.safetensors#sha256={right}", sha256="1" * 64, base=tmp_path)


def test_a_folder_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="single files"):
        fetch(f"file:{tmp_path}", sha256="1" * 64)


def test_a_run_has_a_recipe_and_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(WeightsError, match=r"no recipe\.yaml"):
        fetch("run:run", base=tmp_path)
    (run / "recipe.yaml").write_text("name: run\n")
    with pytest.raises(WeightsError, match="no checkpoint"):
        fetch("run:run", base=tmp_path)
    (run / "checkpoints" / "last").mkdir(parents=True)
    (run / "checkpoints" / "last" / "weights.safetensors").touch()
    assert fetch("run:run", base=tmp_path) == run


def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.weights.cache.SETTLED_SECONDS", 0.0)
    path = tmp_path / "file"
    path.write_bytes(b"first")
    assert file_sha256(path) == hashlib.sha256(b"first").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
        assert file_sha256(path) == hashlib.sha256(b"first").hexdigest()
    path.write_bytes(b"other")  # as long as before
    os.utime(path, ns=(1, 1))
    assert file_sha256(path) == hashlib.sha256(b"other").hexdigest()


def test_a_hash_needs_no_writable_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blocked").touch()
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "blocked"))  # a file where a folder should be
    path = tmp_path / "file"
    path.write_bytes(b"data")
    assert file_sha256(path) == hashlib.sha256(b"data").hexdigest()


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("TRIPTYCH_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "triptych"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "triptych"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(RuntimeError), written_atomically(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("remembered", [file_sha256, verified_sha256])
@pytest.mark.parametrize("settled", [0.0, 2.0])
def test_content_behind_an_old_time_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: Callable[[Path], str], settled: float
) -> None:
    monkeypatch.setattr("triptych.weights.cache.SETTLED_SECONDS", settled)
    path = tmp_path / "file"
    path.write_bytes(b"first")
    before = path.stat()
    assert remembered(path) == hashlib.sha256(b"first").hexdigest()
    time.sleep(0.02)  # longer than the clock of files stands still
    with path.open("r+b") as stream:  # the same file, of the same length
        stream.write(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert remembered(path) == hashlib.sha256(b"other").hexdigest()


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first", b"other", b"third"):  # at once, so that they may well have one time
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))
        assert file_sha256(path) == verified_sha256(path) == hashlib.sha256(content).hexdigest()


def test_a_hash_in_a_uri_is_checked_against_the_content_by_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record on the disk, which anyone may have written, vouches for nothing."""
    monkeypatch.setattr("triptych.weights.cache.SETTLED_SECONDS", 0.0)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"right")
    right = hashlib.sha256(b"right").hexdigest()
    file_sha256(path)
    fetch(f"file:{path}#sha256={right}")
    path.write_bytes(b"wrong")
    file_sha256(path)
    (record,) = (cache_folder() / "hashes").iterdir()
    record.write_text(record.read_text().replace(hashlib.sha256(b"wrong").hexdigest(), right))
    assert file_sha256(path) == right  # the forged record
    with pytest.raises(WeightsError, match="not what was expected"):
        fetch(f"file:{path}#sha256={right}")
