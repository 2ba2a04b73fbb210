"""The real lmms-eval through the plug-in: written and by likelihood, one process and several."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from prove.environments import LMMS, run

pytestmark = pytest.mark.slow


def test_scores_and_answers_equal_those_of_triptych_evaluate(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "parity.official.lmms_eval",
        "--python",
        LMMS.python(),
        "--output",
        tmp_path / "page.md",
    ]
    said = run(command, OMP_NUM_THREADS="1")  # it fails where one score or answer differs
    assert said.count("5 of 5") == 5
    assert "likelihood, two processes" in (tmp_path / "page.md").read_text()
