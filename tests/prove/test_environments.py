"""The package from `pip install`, in environments of its own: newest versions, oldest that pyproject allows, between."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image as Pillow

from prove.environments import BESIDE_GPU, NEWEST, OLDEST, Environment, run

pytestmark = pytest.mark.slow

ENVIRONMENTS = pytest.mark.parametrize("environment", [NEWEST, OLDEST, BESIDE_GPU], ids=lambda each: each.name)


@ENVIRONMENTS
def test_the_first_steps_of_the_quickstart(environment: Environment, tmp_path: Path) -> None:
    triptych = [environment.python(), "-m", "triptych"]
    assert "train" in run([*triptych, "--help"])
    assert "all is well" in (said := run([*triptych, "doctor"])) or "to know" in said
    run([*triptych, "weights", "fetch"])
    few = ["stages.0.steps=3", "stages.1.steps=3", "stages.1.validate_every=3", "data.validation.count=8"]
    run([*triptych, "train", "recipes/quickstart.yaml", *few, "--output", tmp_path / "run"])
    Pillow.new("RGB", (64, 64), (200, 30, 30)).save(tmp_path / "picture.png")
    asked = [*triptych, "ask", tmp_path / "run", "--image", tmp_path / "picture.png", "What is at the top left?"]
    assert run(asked) == run(asked)


@ENVIRONMENTS
def test_the_fast_tests(environment: Environment) -> None:
    said = run([environment.test_python(), "-m", "pytest", "-n", "2", "-p", "no:cacheprovider"])
    assert re.search(r"^\d+ passed", said.splitlines()[-1])  # pytest's exit status has said already that none failed
