from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.evaluate.scoring.detection import detection_counts, detection_scores

answers = st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None])), min_size=1)


def scores(pairs: list[tuple[bool, bool | None]]) -> dict[str, float]:
    counts = np.sum([detection_counts(truth, answer) for truth, answer in pairs], axis=0)
    return {name: float(value) for name, value in detection_scores(counts).items()}


@given(answers)
def test_scores_are_the_textbook_definitions(pairs: list[tuple[bool, bool | None]]) -> None:
    found = scores(pairs)
    said_yes = [truth for truth, answer in pairs if answer is True]
    is_yes = [answer for truth, answer in pairs if truth]
    assert found["accuracy"] == pytest.approx(np.mean([truth is answer for truth, answer in pairs]))
    assert found["yes_ratio"] == pytest.approx(len(said_yes) / len(pairs))
    assert found["precision"] == pytest.approx(np.mean(said_yes) if said_yes else 0.0)
    if is_yes:
        assert found["recall"] == pytest.approx(np.mean([answer is True for answer in is_yes]))
    else:
        assert np.isnan(found["recall"])
    if is_yes and found["precision"] + found["recall"] > 0:
        harmonic = 2 * found["precision"] * found["recall"] / (found["precision"] + found["recall"])
        assert found["f1"] == pytest.approx(harmonic)


def test_an_unparsed_answer_is_wrong_and_is_not_no() -> None:
    half = [(True, True), (True, True), (False, False), (False, False)]
    unparsed = scores([*half, (True, None), (False, None)])
    said_no = scores([*half, (True, False), (False, False)])
    assert unparsed["accuracy"] == pytest.approx(4 / 6)
    assert said_no["accuracy"] == pytest.approx(5 / 6)
    assert unparsed["recall"] == said_no["recall"] == pytest.approx(2 / 3)
    assert unparsed["precision"] == 1.0


def test_always_yes_and_never_answering() -> None:
    always_yes = scores([(True, True), (False, True)])
    assert always_yes == {
        "accuracy": 0.5,
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "yes_ratio": 1.0,
    }
    silent = scores([(True, None), (False, None)])
    assert silent == {"accuracy": 0.0, "precision": 0.0, "recall": 0.0, "f1": 0.0, "yes_ratio": 0.0}


def test_no_question_has_no_score() -> None:
    assert all(np.isnan(value) for value in detection_scores(np.zeros(6)).values())
