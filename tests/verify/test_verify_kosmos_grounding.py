"""Kosmos-2's grounded generation and grid, and Shikra's coordinates: equal to the references, and noticed where they are not."""

from __future__ import annotations

import pytest

from parity import kosmos_grounding, shikra
from triptych.conversation.region import Box
from triptych.grounding.formats import kosmos2
from triptych.grounding.formats.shikra import Shikra


def test_grounded_answers_have_the_tokens_and_regions_of_the_reference() -> None:
    checks = list(kosmos_grounding.kosmos2_generation())
    assert [check.difference for check in checks] == [0, 0, 0]
    assert "locations" in checks[0].what and "boxes" in checks[2].what


def test_the_grid_is_that_of_the_reference() -> None:
    checks = list(kosmos_grounding.kosmos2_grid(500))
    assert len(checks) == 3 and all(check.equal for check in checks)


def test_cells_that_are_half_a_cell_off_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = kosmos2.box_of

    def shifted(first: int, last: int, bins: int) -> Box:
        left, top, end, bottom = right(first, last, bins)
        return max(0.0, left - 0.5 / bins), top, end, bottom

    monkeypatch.setattr(kosmos_grounding, "box_of", shifted)
    monkeypatch.setattr(kosmos2, "box_of", shifted)
    assert [check.equal for check in kosmos_grounding.kosmos2_grid(50)] == [True, False, False]


def test_coordinates_are_those_that_json_reads() -> None:
    checks = list(shikra.coordinates(300))
    assert len(checks) == 4 and all(check.equal for check in checks)


def test_coordinates_with_too_few_digits_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shikra, "Shikra", lambda: Shikra(2))
    assert not all(check.equal for check in shikra.coordinates(50))
