"""`triptych verify sam`: equal with the same weights, and not with others."""

from __future__ import annotations

import pytest

from parity import sam
from parity.check import BOUND
from triptych.decoders.masks import MaskDecoder


def test_the_mask_decoder_equals_that_of_transformers() -> None:
    checks = list(sam.sam_masks())
    assert len(checks) == 18
    assert all(check.difference <= BOUND for check in checks)


def test_the_check_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that forgets where cells are is found out."""

    def forgetful(self: MaskDecoder, *arguments, **options):  # type: ignore[no-untyped-def]
        self.positions.directions.data.zero_()
        return whole(self, *arguments, **options)

    whole = MaskDecoder.all_masks
    monkeypatch.setattr(MaskDecoder, "all_masks", forgetful)
    assert any(check.difference > BOUND for check in sam.sam_masks())
