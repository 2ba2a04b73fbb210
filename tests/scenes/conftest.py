from __future__ import annotations

from pathlib import Path

import pytest

from triptych.errors import WeightsError
from triptych.scenes import Glyphs
from triptych.weights import OPENMOJI_FONT, fetch


@pytest.fixture(scope="session")
def font() -> Path:
    try:
        return fetch(OPENMOJI_FONT)
    except WeightsError as error:
        pytest.skip(f"the font of the scenes cannot be had: {error}")


@pytest.fixture(scope="session")
def glyphs(font: Path) -> Glyphs:
    return Glyphs(font)
