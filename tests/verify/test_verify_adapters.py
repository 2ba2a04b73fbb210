"""Our adapters and transformers' compute the same numbers, and the comparison notices when they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import triptych.adapters.attention
from parity import Check, adapters

FUNCTIONS: list[tuple[Callable[[], Iterator[Check]], str, int]] = [
    (adapters.qformer, "qformer", 10),
    (adapters.instructblip_qformer, "qformer", 6),
    (adapters.perceiver, "perceiver", 4),
    (adapters.connector, "connector", 2),
]


@pytest.mark.parametrize(("function", "module", "count"), FUNCTIONS)
def test_the_numbers_are_transformers_own(function: Callable[[], Iterator[Check]], module: str, count: int) -> None:
    checks = list(function())
    assert len(checks) == count
    assert max(check.difference for check in checks) <= 1e-5, checks


@pytest.mark.parametrize(("function", "module", "count"), FUNCTIONS)
def test_a_mistake_is_noticed(
    function: Callable[[], Iterator[Check]], module: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = triptych.adapters.attention.attend

    def wrong(query: Any, *others: Any) -> Any:
        return right(query * 1.1, *others)

    monkeypatch.setattr(f"triptych.adapters.{module}.attend", wrong)
    assert not any(check.equal for check in function())
