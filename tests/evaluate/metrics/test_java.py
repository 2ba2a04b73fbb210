"""Caption scores through pycocoevalcap's Java programs, where they are at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from triptych.errors import EvaluationError
from triptych.evaluate.scoring import java
from triptych.evaluate.scoring.cider import Cider
from triptych.evaluate.scoring.tokenizer import tokenize
from triptych.evaluate.tasks.question import Record

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


def test_spice_is_asked_for_where_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs are replaced: what they are asked for is what counts here."""
    asked = []

    def scores(answers: list[str], references: list[list[str]], spice: bool = False) -> dict[str, Any]:
        asked.append(spice)
        return {"meteor": np.ones(1), "tokens": ([["a"]], [[["a"]]])} | ({"spice": np.ones(1)} if spice else {})

    record = Record("1", "caption", "", ["a"], "a", "stop", 1, 0.0, 0)
    monkeypatch.setattr(java, "caption_scores", scores)
    for ready in (False, True):
        monkeypatch.setattr(java, "spice_ready", lambda ready=ready: ready)
        assert ("spice" in java.java_tally([record]).counts) is ready
    assert asked == [False, True]
