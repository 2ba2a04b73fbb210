from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from triptych.scenes import ScenesConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "count"),
        ({"objekts": (1, 3)}, "objekts"),
        ({"split": "training"}, "'train', 'validation', 'test' or 'pairs'"),
        ({"things": ("dog", "elefant")}, "did you mean 'elephant'"),
        ({"things": 1}, "from 2 to"),
        ({"objects": (3, 1)}, "fewest ≤ most"),
        ({"objects": (1, 10)}, "nine places"),
        ({"kinds": ()}, "at least 1 item"),
        ({"kinds": ("naming", "naming")}, "comes twice"),
        ({"kinds": ("colour",)}, "'existence', 'naming'"),
        ({"split": "pairs", "objects": (1, 1)}, "two objects"),
        ({"split": "pairs", "things": ("dog", "cat")}, "choose more things"),
        ({"kinds": ("relation",), "objects": (1, 1)}, "two objects"),
        ({"size": 8}, "size"),
    ],
)
def test_a_mistake_is_answered_with_what_is_allowed(settings: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        ScenesConfig(**{"count": 10, **settings})


def test_the_configuration_is_light_to_import():
    script = "import sys, triptych.scenes; print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
