"""The benchmarks of 2024 and after: what is asked, how answers are read, what a score is made of."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.task import BenchmarkTask, answer_metric, filled
from triptych.evaluate.metrics.contains import contains, contains_script
from triptych.evaluate.metrics.math import equal_numbers
from triptych.evaluate.parsers.quantities import numbers_in, read_numbers
from triptych.evaluate.scoring.rule import OURS
from triptych.evaluate.tasks.question import Record


def record(said: str, truth: str | list[str], **facts: Any) -> Record:
    return Record("1", facts.pop("kind", "k"), "q", truth, said, "stop", 1, 0.0, 0, facts=facts)


def right(task: str, rule: str, made: Record) -> bool:
    return bool(answer_metric(catalogue.load(task)).rules[rule].judge(made).correct)


class TestPrompts:
    def test_mmmu_pro_shows_no_options_where_they_stand_in_the_picture(self, data: Path) -> None:
        file = catalogue.load("mmmu-pro")
        questions = BenchmarkTask(file, read(file, data)).reading.questions
        text = {question.kind: question.text for question in questions}
        assert set(text) == {"standard", "vision"}
        assert "J. " in text["standard"] and "red" not in text["vision"]
        assert all(len(question.facts["options"]) == 10 for question in questions)

    def test_blink_shows_all_pictures(self, data: Path) -> None:
        file = catalogue.load("blink")
        shown = {len(question.media) for question in BenchmarkTask(file, read(file, data)).reading.questions}
        assert shown == {1, 2}

    def test_mathvista_asks_for_what_the_answer_is(self, data: Path) -> None:
        file = catalogue.load("mathvista")
        questions = BenchmarkTask(file, read(file, data)).reading.questions
        text = {question.kind: question.text for question in questions}
        assert "A. red" in text["text"] and "integer" in text["integer"] and "(Unit: cm)" in text["integer"]
        assert "{" not in "".join(text.values())

    def test_realworldqa_asks_in_two_ways(self, data: Path) -> None:
        file = catalogue.load("realworldqa")
        for question in BenchmarkTask(file, read(file, data)).reading.questions:
            assert ("A. left" in question.text) == ("options" in question.facts) == ("letter" in question.text)

    def test_braces_in_a_question_are_no_fields(self) -> None:
        assert (
            filled("{question}\n{options}", "What is {options}?", "A. {question}")
            == "What is {options}?\nA. {question}"
        )


class TestMathVista:
    @pytest.mark.parametrize(
        ("answer", "truth", "kind", "places", "is_right"),
        [
            ("14", "14", "integer", "", True),
            ("The number missing is 14.", "14", "integer", "", True),
            ("There are 3 rows of 4, so the answer is 12.", "12", "integer", "", True),
            ("<think>13? 15?</think>\\boxed{14}", "14", "integer", "", True),
            ("14.7", "14", "integer", "", False),  # the script cuts it to 14
            ("fourteen", "14", "integer", "", True),
            ("13 or 14", "14", "integer", "", False),
            ("$1,450", "1450", "integer", "", True),
            ("-3", "3", "integer", "", False),
            ("", "0", "integer", "", False),
            ("0.6", "0.6", "float", "1.0", True),
            ("0.62", "0.6", "float", "1.0", True),
            ("3/5", "0.6", "float", "1.0", True),
            ("$13.00", "13.0", "float", "2", True),
            ("0.66", "0.6", "float", "1.0", False),
            ("[2007, 2008]", "[2007, 2008]", "list", "", True),
            ("Between 2007 and 2008", "[2007, 2008]", "list", "", True),
            ("2008, 2007", "[2007, 2008]", "list", "", False),
        ],
    )
    def test_numbers(self, answer: str, truth: str, kind: str, places: str, is_right: bool) -> None:
        made = record(answer, truth, answer_type=kind, precision=places, answer=truth)
        assert right("mathvista", OURS, made) is is_right

    def test_options(self) -> None:
        facts = {"answer_type": "text", "precision": "", "answer": "a fish", "options": ["heron", "a fish"]}
        assert right("mathvista", OURS, record("The correct answer is (B) a fish.", "B", **facts))
        assert right("mathvista", "script", record("(B)", "B", **facts))
        # The script takes silence for the shortest option; ours for nothing.
        short = {**facts, "answer": "heron"}
        assert right("mathvista", "script", record("", "A", **short))
        assert not right("mathvista", OURS, record("", "A", **short))

    @given(st.one_of(st.text(), st.text("-−+eE0123456789.,/^_ x")))
    @example("E0")
    def test_no_text_makes_it_raise(self, text: str) -> None:
        numbers_in(text)
        for several in (False, True):
            if (parsed := read_numbers(text, several)) is not None:
                assert equal_numbers(parsed, parsed, 0)

    @given(
        st.floats(-1e6, 1e6).map(lambda x: round(x, 2)),
        st.sampled_from(["{}", "It is {} cm.", "The answer is {}.", "\\boxed{{{}}}", "= {}"]),
    )
    def test_any_number_in_any_phrasing(self, number: float, template: str) -> None:
        parsed = read_numbers(template.format(number))
        assert parsed is not None and equal_numbers(parsed, str(number), 2)


class TestOCRBench:
    @pytest.mark.parametrize(
        ("answer", "truth", "formula", "ours", "script"),
        [
            ("CENTRE", "centre", False, True, True),
            ("The text in the picture is 'Centre'.", "CENTRE", False, True, True),
            ("ＣＥＮＴＲＥ", "centre", False, True, False),
            ("1234", "12", False, False, True),
            ("centre " + "word " * 60, "centre", False, False, True),
            ("图中的文字是你好", "你好", False, True, True),
            ("\\frac{1}{x}", "\\frac { 1 } { x }", True, True, True),
            ("$$\\frac{1}{x}$$", "\\frac { 1 } { x }", True, True, True),
            ("X+1", "x + 1", True, False, False),
            ("", "", False, False, True),
            ("anything", "", False, False, True),
        ],
    )
    def test_what_holds_the_text(self, answer: str, truth: str, formula: bool, ours: bool, script: bool) -> None:
        assert (contains(answer, truth, formula), contains_script(answer, truth, formula)) == (ours, script)


class TestRealWorldQA:
    def test_options_words_and_numbers(self) -> None:
        assert right("realworldqa", OURS, record("The answer is (B).", "B", options=["left", "right"]))
        assert not right("realworldqa", "exact", record("The answer is (B).", "B", options=["left", "right"]))
        assert right("realworldqa", OURS, record("Yes, there is.", "Yes"))
        assert right("realworldqa", OURS, record("There are two.", "2"))
        assert right("realworldqa", OURS, record("downhill", "Downhill"))
        assert not right("realworldqa", OURS, record("", "Downhill"))


class TestCountBench:
    def test_numbers(self) -> None:
        assert right("countbench", OURS, record("There are five dogs.", "5"))
        assert not right("countbench", "lmms_eval", record("There are five dogs.", "5"))
        assert not right("countbench", OURS, record("5 or 6", "5"))


def test_the_mean_of_kinds_counts_each_the_same() -> None:
    rule = answer_metric(catalogue.load("blink")).rules[OURS]
    made = [("a", "A", "A")] * 9 + [("b", "A", "B")]
    records = [
        rule.judge(
            Record(str(n), kind, "q", truth, said, "stop", 1, 0.0, n, facts={"options": ["x", "y"], "picture": str(n)})
        )
        for n, (kind, truth, said) in enumerate(made)
    ]
    tally = rule.tally(records)
    scores = tally.score(tally.sums.sum(axis=0))
    assert float(scores["accuracy"]) == pytest.approx(0.9) and float(scores["mean_of_kinds"]) == pytest.approx(0.5)


ANSWERED = [name for name in catalogue.names() if catalogue.load(name).metric not in ("retrieval", "images", "judged")]


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_thought_aloud_counts_for_nothing(name: str, people: ModuleType, data: Path) -> None:
    """The same scores with a think block that names other things; nothing where it is not closed."""
    file = catalogue.load(name)
    task = BenchmarkTask(file, read(file, data))
    oracle = people.Oracle(task)
    said = [oracle.respond([question.conversation], file.generation)[0].text for question in task.reading.questions]

    def scores(answers: list[str]) -> dict[str, float]:
        records = [
            Record(q.id, q.kind, q.text, q.truth, answer, "stop", 1, 0.0, q.sample, facts=dict(q.facts))
            for q, answer in zip(task.reading.questions, answers, strict=True)
        ]
        tally = task.metric.tally(task.judge(records))
        return {key: float(value) for key, value in tally.score(tally.sums.sum(axis=0)).items()}

    thought = "<think>\nA dog, a cat and a clock? Yes, A. I'm sorry, no: B, 7, [0, 0, 1, 1].\n</think>\n\n"
    assert scores([thought + answer for answer in said]) == pytest.approx(scores(said), nan_ok=True)
    unfinished = scores([thought.replace("</think>", "") + answer for answer in said])
    assert unfinished == pytest.approx(scores([""] * len(said)), nan_ok=True)
