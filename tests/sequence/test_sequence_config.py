from __future__ import annotations

import pytest
from pydantic import ValidationError

from triptych.sequence.config import SequenceConfig


def test_rows_must_hold_the_longest_conversation() -> None:
    assert SequenceConfig(max_tokens=64, row_tokens=64).row_tokens == 64
    with pytest.raises(ValidationError, match=r"`row_tokens` \(63\) must hold the longest conversation"):
        SequenceConfig(max_tokens=64, row_tokens=63)
