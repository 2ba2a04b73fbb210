"""What the report computes before it draws: curves, scores, mistakes, the gallery, the ledger."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import fake_run
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.report.accounts import accounts
from triptych.report.charts import Series, line_chart, nice_step, smooth, thin_out
from triptych.report.folder import read_run
from triptych.report.gallery import gallery, picture_key
from triptych.report.mistakes import UNPARSED, is_right, mistakes_by_kind
from triptych.report.numbers import count, duration, gibibytes, score_name
from triptych.report.scores import task_scores
from triptych.report.training import stage_views

CURVES = st.lists(st.floats(0, 100), min_size=1, max_size=300).map(lambda ys: [(float(i), y) for i, y in enumerate(ys)])


@given(CURVES)
def test_smoothing_stays_within_the_curve_and_keeps_its_steps(points: list[tuple[float, float]]) -> None:
    smoothed = smooth(points)
    assert [x for x, _ in smoothed] == [x for x, _ in points]
    lowest, highest = min(y for _, y in points), max(y for _, y in points)
    assert all(lowest - 1e-6 <= y <= highest + 1e-6 for _, y in smoothed)


def test_smoothing_does_not_lag() -> None:
    line = [(float(i), 3.0 * i) for i in range(200)]
    assert smooth(line)[100] == pytest.approx((100.0, 300.0))


@given(CURVES, st.integers(4, 50))
def test_thinning_keeps_the_extremes_and_the_order(points: list[tuple[float, float]], limit: int) -> None:
    thin = thin_out(points, limit)
    assert len(thin) <= max(limit, 4) + 2 or len(thin) == len(points)
    assert set(thin) <= set(points) and thin == sorted(thin)
    assert min(y for _, y in thin) == min(y for _, y in points)
    assert max(y for _, y in thin) == max(y for _, y in points)


@given(st.floats(1e-6, 1e9), st.integers(1, 10))
def test_steps_of_an_axis_are_round_and_few(span: float, parts: int) -> None:
    step = nice_step(span, parts)
    assert f"{step:.6e}"[0] in "125" and f"{step:.6e}"[2:8] in ("000000",)
    assert parts / 2.5 - 0.01 <= span / step <= parts * 1.01


def test_a_chart_of_nothing_is_nothing_and_of_one_point_is_something() -> None:
    assert line_chart("Loss", [Series("loss", [], "main")]) == ""
    assert "dots" in line_chart("Loss", [Series("loss", [(1.0, 0.5)], "main")])


def test_curves_are_those_of_the_metrics_and_repeated_steps_count_once(tmp_path: Path) -> None:
    run = fake_run.write_run(tmp_path / "run")
    again = [{**line, "loss": 0.0} for line in fake_run.metrics() if line["stage"] == "align" and line["step"] == 7]
    fake_run.write_lines(run / "metrics.jsonl", [*fake_run.metrics(), *again])
    lines = [line for line in read_run(run).metrics if line["stage"] == "align" and "loss" in line]
    assert len(lines) == 400
    assert [line["loss"] for line in lines if line["step"] == 7] == [0.0]


def test_speed_is_measured_between_steps_not_since_the_start(tmp_path: Path) -> None:
    """The metrics count from the start of the stage, so a slow first step must not drag the curve down for ever."""
    times = [10.0, 11.0, 12.0, 13.0]
    lines = [{"stage": "s", "step": i + 1, "tokens": 100 * (i + 1), "seconds": t} for i, t in enumerate(times)]
    (tmp_path / "recipe.yaml").write_text("name: x")
    fake_run.write_lines(tmp_path / "metrics.jsonl", lines)
    (stage,) = stage_views(read_run(tmp_path))
    assert "last value 100" in stage.charts[0]
    assert dict(stage.figures)["tokens"] == "400" and dict(stage.figures)["time"] == "13 s"


def test_scores_stand_where_their_value_is() -> None:
    scenes, captions = task_scores(fake_run.results(skill=0.9))
    (group,) = scenes.groups
    first = group.rows[0]
    assert group.place(first.score.value) == f"{100 * first.score.value:.2f}%"
    assert float(group.span(first.score)[:-1]) == pytest.approx(100 * (first.score.high - first.score.low), abs=0.01)
    assert first.chance == 0.5 and first.control is not None and first.control.value == pytest.approx(0.52)

    shares, cider = captions.groups
    assert shares.top == 1 and {row.name for row in shares.rows if not row.baseline} == {"BLEU-4", "ROUGE-L"}
    assert cider.top >= 1.55 and [row.name for row in cider.rows] == [
        "CIDEr-D",
        "baseline: central",
        "baseline: nearest",
    ]


def test_scores_of_one_kind_stand_together_and_the_mean_comes_first() -> None:
    names = ["naming_accuracy", "existence_accuracy", "place_accuracy", "existence_f1", "macro_accuracy"]
    (task,) = task_scores({"tasks": {"t": {"metrics": {name: {"value": 0.5} for name in names}}}})
    assert [row.name for row in task.groups[0].rows] == [
        "macro accuracy",
        "naming accuracy",
        "existence accuracy",
        "existence F1",
        "place accuracy",
    ]


def test_mistakes_are_counted_as_by_hand() -> None:
    records = fake_run.records()
    for kind in mistakes_by_kind(records):
        mine = [record for record in records if record["kind"] == kind.kind]
        assert kind.total == len(mine) and kind.right == sum(record["correct"] for record in mine)
        wrong = Counter(
            (r["truth"], UNPARSED if r["parsed"] is None else r["parsed"]) for r in mine if not r["correct"]
        )
        assert {(truth, answer): times for truth, answer, times in kind.pairs}.items() <= wrong.items()
        if kind.matrix:
            assert sum(cell.number for _, cells in kind.matrix for cell in cells) == len(mine)
            assert sum(cell.number for _, cells in kind.matrix for cell in cells if not cell.right) == wrong.total()


def test_counting_is_ordered_by_number_and_unparsed_comes_last() -> None:
    def record(truth: str, parsed: str | None) -> dict[str, object]:
        return {"kind": "counting", "truth": truth, "parsed": parsed, "correct": truth == parsed}

    (kind,) = mistakes_by_kind([record("10", "10"), record("2", None), record("9", "2")])
    assert kind.columns == ["2", "9", "10", UNPARSED]


def test_an_unparsed_answer_is_neither_yes_nor_no() -> None:
    (kind,) = mistakes_by_kind(
        [
            {"kind": "existence", "truth": "no", "answer": "I see.", "parsed": None, "correct": False},
            {"kind": "existence", "truth": "yes", "answer": "Yes", "parsed": "yes", "correct": True},
        ]
    )
    assert kind.pairs == [("no", UNPARSED, 1)]


def test_the_gallery_shows_mistakes_and_successes_alike() -> None:
    records = fake_run.records(pictures=200, skill=0.9)
    cards = gallery(records, fake_run.open_picture, most=24)
    assert len(cards) == 24 and sum(card.mistakes > 0 for card in cards) == 12
    assert all(len(card.answers) == 4 for card in cards)


@pytest.mark.parametrize("skill", [0.0, 1.0])
def test_the_gallery_is_full_when_everything_is_right_or_wrong(skill: float) -> None:
    assert len(gallery(fake_run.records(pictures=30, skill=skill), fake_run.open_picture, most=12)) == 12


def test_a_picture_with_many_questions_shows_its_mistakes_first() -> None:
    records = [
        {"id": i, "question": str(i), "truth": "a", "answer": "b", "correct": i != 19, "dataset": "d", "index": 0}
        for i in range(20)
    ]
    (card,) = gallery(records, lambda record: None, questions=6)
    assert [answer.question for answer in card.answers] == ["0", "1", "2", "3", "4", "19"] and card.hidden == 14
    assert card.mistakes == 1


def test_records_name_their_picture_by_dataset_or_by_path() -> None:
    assert picture_key({"image": {"dataset": "d", "index": 3}}) == picture_key({"dataset": "d", "index": 3}) == "d/3"
    assert picture_key({"image": "photos/a.jpg"}) == "photos/a.jpg"


def test_captions_are_graded_not_right_or_wrong() -> None:
    cards = gallery(fake_run.captions(), fake_run.open_picture, most=6)
    assert {answer.state for card in cards for answer in card.answers} == {"graded"}
    scores = [float(card.answers[0].score) for card in cards]
    assert scores == sorted(scores, reverse=True)
    assert mistakes_by_kind(fake_run.captions()) == []
    assert len(cards[0].answers[0].truths) == 2


def test_partial_credit_counts_as_right_from_a_half() -> None:
    assert is_right({"correct": 0.6}) and not is_right({"correct": 0.3}) and not is_right({"correct": None})


def test_the_ledger_counts_by_reason() -> None:
    largest, smallest = accounts(fake_run.ledger())
    assert (largest.number, largest.outcome, largest.reason) == (
        12,
        "shortened",
        "… tokens do not fit into …: the oldest … turns were left out",
    )
    assert (smallest.number, smallest.reason) == (3, "unreadable picture")
    assert "00017.jpg" in smallest.examples[0][1]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (count(9412), "9,412"),
        (count(6_738_415_616), "6.74 B"),
        (count(134_515_008), "134.5 M"),
        (duration(48.2), "48 s"),
        (duration(59.7), "1 min 00 s"),
        (duration(3599.9), "1 h 00 min"),
        (duration(12 * 3600 + 59), "12 h 01 min"),
        (duration(53 * 3600), "2 d 5 h"),
        (gibibytes(2.5 * 2**30), "2.50 GiB"),
        (gibibytes(740 * 2**20), "740 MiB"),
        (score_name("existence_f1"), "existence F1"),
        (score_name("existence_yes_ratio"), "existence yes ratio"),
        (score_name("cider_d"), "CIDEr-D"),
        (score_name("acc_50"), "Acc@0.5"),
        (score_name("caption_miou"), "caption mIoU"),
    ],
)
def test_numbers_are_written_for_people(written: str, expected: str) -> None:
    assert written == expected
