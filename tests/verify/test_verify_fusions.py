"""Fused models compute the references' logits, and the comparison notices when they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from parity import Check, fusions
from triptych.fusion import cross_attend, prompt
from triptych.fusion.memory import Memory

FUNCTIONS = [(fusions.gated_cross_attention, 4), (fusions.adaption_prompt, 6)]


@pytest.mark.parametrize(("function", "count"), FUNCTIONS)
def test_logits_are_the_references(function: Callable[[], Iterator[Check]], count: int) -> None:
    checks = list(function())
    assert len(checks) == count
    assert all(check.difference <= 1e-5 for check in checks), checks


def test_another_mask_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Memory.seen
    monkeypatch.setattr(
        Memory, "seen", lambda self, positions, documents, last: right(self, positions, documents, not last)
    )
    assert not any(check.equal for check in fusions.gated_cross_attention())


def test_another_gate_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = prompt.gated_attention

    def wrong(*tensors: Any) -> torch.Tensor:
        return right(*tensors) * 1.1

    monkeypatch.setattr(prompt, "gated_attention", wrong)
    checks = [check for check in fusions.adaption_prompt() if "silent" not in check.what]
    assert not any(check.equal for check in checks)


def test_blocks_that_stand_elsewhere_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = cross_attend.decoder_layers
    monkeypatch.setattr(cross_attend, "decoder_layers", lambda model: right(model)[::-1])
    assert not any(check.equal for check in fusions.gated_cross_attention())
