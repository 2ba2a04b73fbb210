"""`evaluate hf:` over every vision-language class that builds tiny, with torchvision and without."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from prove.environments import LMMS, run
from triptych.environment import torchvision_problem

pytestmark = pytest.mark.slow


def matrix(python: Path | str, folders: Path, output: Path) -> list[dict[str, Any]]:
    output.mkdir()
    run([python, "-m", "benchmarks.hf_matrix", "--folders", folders, "--output", output], OMP_NUM_THREADS="1")
    (page,) = output.glob("*.json")
    return list(json.loads(page.read_text())["rows"])


def test_answers_are_those_of_transformers(tmp_path: Path) -> None:
    rows = matrix(LMMS.python(), tmp_path / "folders", tmp_path / "with")
    assert {row["verdict"] for row in rows} <= {"equal", "refused"}
    assert len({row["model"] for row in rows}) >= 20
    assert len({row["model"] for row in rows if row["verdict"] == "equal"}) >= 18
    assert sum(row["pictures"] == "yes" for row in rows) >= 18

    if torchvision_problem() is None:
        return
    without = matrix(sys.executable, tmp_path / "folders", tmp_path / "without")
    answered = {row["name"] for row in rows if row["verdict"] == "equal"}
    assert {row["verdict"] for row in without} <= {"equal", "refused"}
    for row in without:
        if row["verdict"] == "refused" and row["name"] in answered:
            assert "needs torchvision, which" in row["detail"] and "triptych[vlm]" in row["detail"], row
