from __future__ import annotations

import json
import platform
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from triptych import environment

ROOT = Path(environment.__file__).resolve().parents[2]


def test_the_stamp_is_plain_and_complete() -> None:
    stamp = environment.describe()
    assert json.loads(json.dumps(stamp)) == stamp
    assert set(stamp) == {"triptych", "python", "versions", "hardware", "commit", "date"}
    assert set(stamp["hardware"]) == {"cpu", "cores", "memory_gib", "device"}
    assert stamp["versions"]["python"] == stamp["python"] == platform.python_version()
    assert stamp["hardware"]["cores"] >= 1
    assert stamp["hardware"]["memory_gib"] > 0.1
    assert datetime.fromisoformat(stamp["date"]).utcoffset() is not None


def test_versions_are_those_that_import() -> None:
    import numpy
    import pydantic

    versions = environment.versions()
    assert versions["numpy"] == numpy.__version__
    assert versions["pydantic"] == pydantic.__version__
    assert "torch" in versions
    assert environment.package_version("no-such-package") is None


def test_the_commit_is_that_of_the_checkout() -> None:
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
    if done.returncode:
        assert environment.commit() is None
        pytest.skip("not in a git checkout with a commit")
    found = environment.commit()
    assert found is not None
    assert re.fullmatch(rf"{done.stdout.strip()}(\+changes)?", found)


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    environment.commit.cache_clear()
    try:
        assert environment.commit() is None
    finally:
        environment.commit.cache_clear()


def test_the_device_is_what_the_work_ran_on() -> None:
    assert environment.hardware("cpu")["device"] == "cpu"
