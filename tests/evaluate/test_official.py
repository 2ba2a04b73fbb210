"""Our readings of official scripts give the numbers that the scripts themselves gave (`python -m parity.official`)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parity.official.__main__ import KEPT as FILE
from parity.official.ours import OURS
from parity.official.predictions import digest
from triptych.evaluate.metrics.anls import anls, anls_script
from triptych.evaluate.metrics.chair import chair_words
from triptych.evaluate.metrics.relaxed import relaxed_accuracy, relaxed_script
from triptych.evaluate.metrics.vqa import evalai, vqa_accuracy, vqa_script
from triptych.evaluate.parsers import official, parse_yes_no
from triptych.evaluate.parsers.options import parse_option
from triptych.evaluate.scoring.chair_script import script_words

KEPT: dict[str, Any] = json.loads(FILE.read_text())


@pytest.mark.parametrize("name", sorted(KEPT))
def test_the_official_numbers(name: str) -> None:
    make, score = OURS[name]
    cases = make()
    pictures = sum(int(truth[0]) for _, truth in cases) if name == "fid" else len(cases)
    assert pictures >= 1000
    assert digest(cases) == KEPT[name]["cases_sha256"]
    found, kept = score(cases), KEPT[name]["values"]
    if isinstance(kept[0], float):
        assert found == pytest.approx(kept, abs=1e-6)
    else:
        assert found == kept


def test_every_rule_with_a_script_at_hand_was_compared() -> None:
    assert set(KEPT) == set(OURS)


class TestWhereTheScriptIsWrong:
    """Ours and theirs side by side, as the docs tell it."""

    def test_vqa_scores_a_number_word_as_wrong_where_everyone_agrees(self) -> None:
        assert (vqa_script("two", ["two"] * 10), vqa_accuracy("two", ["two"] * 10)) == (0.0, 1.0)

    def test_vqa_keeps_full_stops_beyond_the_thirty_second(self) -> None:
        assert (evalai("yes" + "." * 40, ["yes"] * 10), vqa_accuracy("yes" + "." * 40, ["yes"] * 10)) == (0.0, 1.0)

    @pytest.mark.parametrize("answer", ["", "There is a dog.", "NO", "nope"])
    def test_pope_takes_whatever_denies_nothing_for_a_yes(self, answer: str) -> None:
        assert official.pope_script(answer) == "yes"
        assert parse_yes_no(answer) in (None, "no")

    def test_lmms_eval_scores_an_answer_with_a_full_stop_as_wrong(self) -> None:
        assert official.exact_yes_no("Yes.") != "yes"
        assert parse_yes_no("Yes.") == "yes"

    def test_the_first_four_characters_of_know_are_a_no(self) -> None:
        assert official.prefix_yes_no("Know what? Yes.") == "no"

    def test_anls_likes_trailing_spaces(self) -> None:
        assert anls_script("dig" + " " * 7, ["dog"]) > anls_script("dig", ["dog"]) == anls("dig" + " " * 7, ["dog"])

    def test_relaxed_accuracy_reads_no_thousands(self) -> None:
        assert (relaxed_script("1,000", "1000"), relaxed_accuracy("1,000", "1000")) == (False, True)

    def test_chair_never_sees_a_bus(self) -> None:
        assert script_words("a school bus") == []
        assert chair_words("a school bus") == [("bus", "bus")]

    def test_chair_sees_a_train_in_train_tracks(self) -> None:
        assert script_words("train tracks") == [("train", "train")]
        assert chair_words("train tracks") == []

    def test_seed_takes_an_article_for_an_option(self) -> None:
        options = {"A": "a cat", "B": "a bird"}
        assert official.first_character("A dog, probably.") == "A"
        assert parse_option("A dog, probably.", options) is None

    def test_mmbench_takes_a_letter_for_an_article(self) -> None:
        options = {"A": "red", "B": "blue"}
        assert official.mmbench_letter("The answer is A", options) is None
        assert parse_option("The answer is A", options) == "A"


OPTIONS = {"A": "a dog", "B": "a cat", "C": "3", "D": "none of the above"}


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"), ("(b)", "B"), ("B.", "B"), ("B) a cat", "B"), ("The answer is B.", "B"), ("Answer: C", "C"),
        ("I think the answer is (C).", "C"), ("A cat.", "B"), ("It is a cat", "B"), ("D. None of the above", "D"),
        ("**B**", "B"), ("C\nbecause there are three", "C"), ("Ａ", "A"),
        ("A dog", "A"), ("A bird", None), ("A or B", None), ("A, B", None), ("not A", None), ("", None), ("...", None),
        ("Both B and C", None), ("B. a dog", None), ("E", None), ("I do not know", None), ("D because A is wrong", None),
    ],
)  # fmt: skip
def test_options_are_read_and_never_guessed(answer: str, letter: str | None) -> None:
    assert parse_option(answer, OPTIONS) == letter
