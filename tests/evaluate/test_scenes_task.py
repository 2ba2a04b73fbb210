"""What the scenes task says about responders whose abilities are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.evaluate.fakes import NAMES, PLACES, Fake, FakeScenes, noisy, seer

from triptych.conversation import Conversation, Image, assistant, user
from triptych.errors import EvaluationError, WeightsError
from triptych.evaluate.config import ScenesTaskConfig
from triptych.evaluate.results import TaskResult
from triptych.evaluate.run import evaluate
from triptych.evaluate.tasks.scenes import ScenesTask
from triptych.generate.config import Responder

KINDS = ("existence", "naming", "place", "counting", "comparison", "relation")
TASK = ScenesTaskConfig(data="worlds")

DEGENERATE: dict[str, Callable[[str, str], str]] = {
    "always yes": lambda *_: "yes",
    "always no": lambda *_: "no",
    "silent": lambda *_: "",
    "refuser": lambda *_: "I'm sorry, but I cannot see any picture.",
    "copier": lambda _, question: question,
    "longest": lambda *_: "Yes, no, " + ", ".join([*NAMES, *PLACES, "one", "two", "three", "four"]) + ".",
    "hedger": lambda *_: "It could be either yes or no.",
    "favourite": lambda *_: "A dog.",
    "always two": lambda *_: "2",
    "always top left": lambda *_: "At the top left.",
}
UNPARSED = {"silent": 1.0, "refuser": 1.0, "copier": 0.7, "longest": 1.0, "hedger": 1.0}


def run(
    responder: Responder, folder: Path, source: FakeScenes | None = None, task: ScenesTaskConfig = TASK
) -> TaskResult:
    return evaluate(responder, source or FakeScenes(), task, folder, progress=False)


def test_who_sees_everything_scores_one(tmp_path: Path) -> None:
    source = FakeScenes()
    result = run(seer(source), tmp_path, source)
    accuracies = {name: score.value for name, score in result.metrics.items() if name != "existence_yes_ratio"}
    assert set(accuracies.values()) == {1.0}
    assert {f"{kind}_accuracy" for kind in KINDS} | {"macro_accuracy", "existence_f1"} <= set(accuracies)
    assert 0.3 < result.metrics["existence_yes_ratio"].value < 0.7
    assert (result.samples, result.questions, result.unparsed.count) == (60, 360, 0)
    assert result.metrics["naming_accuracy"].n == 60
    assert result.metrics["macro_accuracy"].n == 360


@pytest.mark.parametrize(
    "wording", [str.upper, "The answer is {}.".format, " {} !\n".format, lambda answer: answer.replace("-", " ")]
)
def test_wording_does_not_matter(tmp_path: Path, wording: Callable[[str], str]) -> None:
    source = FakeScenes()
    assert run(seer(source, wording), tmp_path, source).metrics["macro_accuracy"].value == 1.0


def test_another_picture_takes_the_score_away(tmp_path: Path) -> None:
    """The control asks the same questions; for who sees, they are about a picture that has other answers."""
    source = FakeScenes(120)
    responder = seer(source)
    result = run(responder, tmp_path, source)
    for kind in KINDS:
        assert result.control[f"{kind}_accuracy"].high < 0.85
    assert result.control["naming_accuracy"].value < 0.35
    records = [json.loads(line) for line in (tmp_path / "evaluation/worlds.jsonl").read_text().splitlines()]
    control = [json.loads(line) for line in (tmp_path / "evaluation/worlds.control.jsonl").read_text().splitlines()]
    assert [(r["id"], r["question"], r["truth"]) for r in records] == [
        (r["id"], r["question"], r["truth"]) for r in control
    ]
    assert all(r["image"] == {"dataset": "worlds", "index": r["sample"]} for r in records)
    shown = {r["sample"]: r["image"]["index"] for r in control}
    assert all(own != other for own, other in shown.items())
    assert sorted(shown.values()) == sorted(shown)
    assert responder.asked[len(records) :] == [(f"world/0/{r['image']['index']}", r["question"]) for r in control]


def test_skill_shows_with_its_interval(tmp_path: Path) -> None:
    source = FakeScenes(150)
    result = run(noisy(source, 0.8), tmp_path, source)
    macro = result.metrics["macro_accuracy"]
    assert macro.low < 0.8 < macro.high
    assert 0.02 < macro.high - macro.low < 0.1


@pytest.mark.parametrize("kind", DEGENERATE)
def test_who_does_not_look_does_not_beat_chance(tmp_path: Path, kind: str) -> None:
    result = run(Fake(DEGENERATE[kind]), tmp_path)
    assert_no_better_than_chance(result)
    assert result.unparsed.share >= UNPARSED.get(kind, 0.0)
    assert result.unparsed.share == pytest.approx(sum(result.unparsed.by_kind.values()) / 6)


def assert_no_better_than_chance(result: TaskResult) -> None:
    levels = {name: level for name, level in result.chance.items() if name != "macro_accuracy"}
    assert set(levels) == {f"{kind}_accuracy" for kind in KINDS} | {"existence_f1"}
    for name, level in levels.items():
        assert result.metrics[name].value <= level + 1e-12, name


def test_the_best_constants_score_exactly_chance(tmp_path: Path) -> None:
    always_yes = run(Fake(lambda *_: "yes"), tmp_path / "yes")
    assert always_yes.metrics["existence_f1"].value == pytest.approx(always_yes.chance["existence_f1"])
    counts = [
        run(Fake(lambda *_, n=n: str(n)), tmp_path / str(n)).metrics["counting_accuracy"].value for n in (2, 3, 4)
    ]
    assert max(counts) == pytest.approx(always_yes.chance["counting_accuracy"])


def test_an_unparsed_answer_is_no_no(tmp_path: Path) -> None:
    silent, no = run(Fake(lambda *_: "?"), tmp_path / "a"), run(Fake(lambda *_: "no"), tmp_path / "b")
    assert silent.metrics["existence_accuracy"].value == 0
    assert no.metrics["existence_accuracy"].value > 0.3
    assert silent.metrics["existence_yes_ratio"].value == no.metrics["existence_yes_ratio"].value == 0
    assert silent.unparsed.by_kind["existence"] == 1
    assert no.unparsed.by_kind["existence"] == 0


def test_each_question_is_asked_alone_those_of_a_picture_side_by_side(tmp_path: Path) -> None:
    source = FakeScenes(8)
    responder = seer(source)  # the fake itself checks: one message, the picture, then the question
    run(responder, tmp_path, source, TASK.model_copy(update={"control": False}))
    assert [key for key, _ in responder.asked] == [f"world/0/{i}" for i in range(8) for _ in range(6)]


def test_a_kind_may_be_answered_in_two_forms(tmp_path: Path) -> None:
    result = run(seer(FakeScenes()), tmp_path)
    assert result.parser == {
        "existence": "yes_no",
        "naming": "name",
        "place": "place",
        "counting": "count",
        "comparison": "yes_no",
        "relation": "name or yes_no",
    }


def test_the_limit_is_in_questions(tmp_path: Path) -> None:
    source = FakeScenes()
    result = run(seer(source), tmp_path, source, TASK.model_copy(update={"limit": 20}))
    assert (result.questions, result.samples) == (20, 4)


def test_another_kind_of_dataset_is_told_apart() -> None:
    plain = Conversation((user(Image(b""), "Hi"), assistant("Ho")), id="x/1")
    with pytest.raises(EvaluationError, match=r"worlds: x/1 lists no `questions`"):
        ScenesTask(TASK, [plain])  # type: ignore[arg-type]


def test_a_truth_that_does_not_fit_its_kind_is_an_error() -> None:
    questions = [{"kind": "counting", "question": "How many?", "answer": "lots"}]
    sample = Conversation((user(Image(b""), "How many?"), assistant("lots")), "x/1", {"questions": questions})
    with pytest.raises(EvaluationError, match=r"x/1/0: the true answer 'lots' .* cannot be read as 'count'"):
        ScenesTask(TASK, [sample])  # type: ignore[arg-type]


def test_the_embedded_scenes_fit(tmp_path: Path) -> None:
    from triptych.scenes import Scenes, ScenesConfig

    try:
        source = Scenes(ScenesConfig(count=40, split="test"))
    except WeightsError as error:
        pytest.skip(f"the font of the scenes cannot be had: {error}")
    truths: dict[tuple[str, str], str] = {}
    for conversation in source:
        for turn in conversation.annotations["questions"]:
            truths[str(next(conversation.media).key), turn["question"]] = turn["answer"]
    told = evaluate(Fake(lambda *asked: truths.get(asked, "")), source, TASK, tmp_path / "told", progress=False)
    assert {told.metrics[f"{kind}_accuracy"].value for kind in KINDS} == {1.0}
    for name in ("always yes", "always no", "silent", "refuser", "copier"):
        result = evaluate(Fake(DEGENERATE[name]), source, TASK, tmp_path / name, progress=False)
        assert_no_better_than_chance(result)
