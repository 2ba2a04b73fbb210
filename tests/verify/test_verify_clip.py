"""Our towers and the references compute the same numbers, and the comparison notices when they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import triptych.encoders.blocks
from parity import Check, clip, eva

FUNCTIONS: list[tuple[Callable[[], Iterator[Check]], int]] = [
    (clip.clip, 42),
    (clip.siglip, 14),
    (eva.eva01, 4),
    (eva.eva01_plain, 4),
    (eva.eva02, 8 if eva.timm_eva() is None else 14),
]


@pytest.mark.parametrize(("function", "count"), FUNCTIONS)
def test_the_numbers_are_the_references(function: Callable[[], Iterator[Check]], count: int) -> None:
    checks = list(function())
    assert len(checks) == count
    assert max(check.difference for check in checks) <= 1e-5, checks


@pytest.mark.parametrize(("function", "count"), FUNCTIONS)
def test_a_mistake_is_noticed(
    function: Callable[[], Iterator[Check]], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = triptych.encoders.blocks.attend

    def wrong(query: Any, *others: Any, **more: Any) -> Any:
        return right(query * 1.1, *others, **more)

    monkeypatch.setattr(triptych.encoders.blocks, "attend", wrong)
    assert not any(check.equal for check in function() if "loss" not in check.what)


def test_a_wrong_turn_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = triptych.encoders.blocks.rotate
    monkeypatch.setattr(triptych.encoders.blocks, "rotate", lambda x, turns: right(x, (turns[0], -turns[1])))
    assert all(check.equal for check in eva.eva01())
    # Turned the other way on both sides, scores would be the same by displacement alone: half of the pairs are mirrored.
    monkeypatch.setattr(
        triptych.encoders.blocks, "rotate", lambda x, turns: right(x, (turns[0].flip(-1), turns[1].flip(-1)))
    )
    assert not any(check.equal for check in eva.eva02())


@pytest.mark.skipif(eva.timm_eva() is not None, reason="timm can be imported")
def test_without_timm_the_reference_says_so() -> None:
    assert list(eva.eva02_timm()) == []
    assert all("timm cannot be imported here" in check.reference for check in eva.eva02())
