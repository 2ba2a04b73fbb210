"""Caption scores through pycocoevalcap's Java programs, where they are at hand."""

from __future__ import annotations

import pytest

from triptych.errors import EvaluationError
from triptych.evaluate.metrics import java
from triptych.evaluate.metrics.cider import Cider
from triptych.evaluate.metrics.tokenizer import tokenize

ANSWERS = ["A dog runs.", "Two men on a bench", "", "a red bus in the street!"]
REFERENCES = [
    ["A dog runs.", "The dog is running on grass"],
    ["Two men sit on a bench.", "People resting"],
    ["A cat sleeps", "A sleeping cat."],
    ["A bus drives down the street", "A red bus is in traffic"],
]


@pytest.mark.skipif(not java.available(), reason="needs pycocoevalcap and a Java runtime")
def test_the_same_cider_and_a_meteor() -> None:
    found = java.caption_scores(ANSWERS, REFERENCES)
    ours = Cider([[tokenize(text) for text in texts] for texts in REFERENCES]).scores(
        [tokenize(text) for text in ANSWERS]
    )
    assert found["cider_d"] == pytest.approx(ours, abs=1e-6)
    assert found["meteor"][0] == pytest.approx(1.0, abs=1e-6) and found["meteor"][2] == 0.0
    assert found["meteor"][0] > found["meteor"][3] > 0


def test_without_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java.shutil, "which", lambda _: None)
    with pytest.raises(EvaluationError, match="triptych\\[captions\\]"):
        java.caption_scores(ANSWERS, REFERENCES)
