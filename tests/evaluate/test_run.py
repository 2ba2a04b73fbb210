"""Interruptions, resumption, and things that cannot be asked."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.evaluate.fakes import Fake, FakeScenes, noisy, seer

from triptych.conversation import Conversation
from triptych.errors import DataError, EvaluationError, GenerationError
from triptych.evaluate.asking import control_questions
from triptych.evaluate.config import CaptionsTaskConfig, ScenesTaskConfig
from triptych.evaluate.run import evaluate
from triptych.evaluate.tasks.scenes import ScenesTask
from triptych.generate.config import GenerationSettings, Reply, Responder

SOURCE = FakeScenes(20)
TASK = ScenesTaskConfig(data="worlds", generation=GenerationSettings(batch_size=8))
FILES = ("worlds.jsonl", "worlds.control.jsonl")


class Dies:
    """Answers some batches, then is interrupted."""

    def __init__(self, inner: Responder, batches: int) -> None:
        self.inner, self.left = inner, batches

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return self.inner.respond(conversations, settings)


def records(folder: Path) -> list[list[dict[str, object]]]:
    """The records of both files, without what time took."""
    found = []
    for name in FILES:
        lines = [json.loads(line) for line in (folder / "evaluation" / name).read_text(encoding="utf-8").splitlines()]
        found.append([{key: value for key, value in line.items() if key != "seconds"} for line in lines])
    return found


@pytest.mark.parametrize("batches", [0, 1, 7, 14, 15, 22, 29])
def test_a_killed_evaluation_goes_on_and_asks_nothing_twice(tmp_path: Path, batches: int) -> None:
    whole = evaluate(noisy(SOURCE, 0.7), SOURCE, TASK, tmp_path / "whole", progress=False)
    responder = noisy(SOURCE, 0.7)
    with pytest.raises(KeyboardInterrupt):
        evaluate(Dies(responder, batches), SOURCE, TASK, tmp_path / "cut", progress=False)
    again = evaluate(responder, SOURCE, TASK, tmp_path / "cut", progress=False)
    assert len(responder.asked) == 2 * 120
    assert (again.metrics, again.control, again.unparsed) == (whole.metrics, whole.control, whole.unparsed)
    assert records(tmp_path / "cut") == records(tmp_path / "whole")


def test_a_torn_last_line_is_asked_again(tmp_path: Path) -> None:
    whole = evaluate(noisy(SOURCE, 0.7), SOURCE, TASK, tmp_path / "whole", progress=False)
    chance = random.Random(0)
    for trial in range(5):
        folder = tmp_path / str(trial)
        with pytest.raises(KeyboardInterrupt):
            evaluate(Dies(noisy(SOURCE, 0.7), 6), SOURCE, TASK, folder, progress=False)
        path = folder / "evaluation" / "worlds.jsonl"
        path.write_bytes(path.read_bytes()[: -chance.randint(1, 900)])
        with pytest.raises(KeyboardInterrupt):  # and interrupted once more
            evaluate(Dies(noisy(SOURCE, 0.7), 2), SOURCE, TASK, folder, progress=False)
        again = evaluate(noisy(SOURCE, 0.7), SOURCE, TASK, folder, progress=False)
        assert again.metrics == whole.metrics
        assert records(folder) == records(tmp_path / "whole")


def test_a_finished_evaluation_asks_nothing(tmp_path: Path) -> None:
    first = evaluate(noisy(SOURCE, 0.7), SOURCE, TASK, tmp_path, progress=False)
    silent = Fake(lambda *_: "")
    second = evaluate(silent, SOURCE, TASK, tmp_path, progress=False)
    assert silent.asked == []
    assert second == first


def test_more_questions_and_other_batches_go_on_from_those_answered(tmp_path: Path) -> None:
    evaluate(seer(SOURCE), SOURCE, TASK.model_copy(update={"limit": 45}), tmp_path, progress=False)
    other = seer(SOURCE)
    task = ScenesTaskConfig(data="worlds", limit=100, generation=GenerationSettings(batch_size=32))
    result = evaluate(other, SOURCE, task, tmp_path, progress=False)
    assert result.questions == 100
    assert len(other.asked) == 2 * (100 - 45)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "b"}, r"fingerprint: 'a' → 'b'"),
        ({"task": TASK.model_copy(update={"generation": GenerationSettings(max_new_tokens=3)})}, r"max_new_tokens': 3"),
        ({"source": FakeScenes(20, seed=1)}, r"worlds/0/0 is about another question"),
    ],
)
def test_records_of_something_else_are_not_taken_for_ours(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    settings = {"source": SOURCE, "task": TASK, "fingerprint": "a"}
    evaluate(seer(SOURCE), **settings, output=tmp_path, progress=False)  # type: ignore[arg-type]
    changed = settings | change
    with pytest.raises(EvaluationError, match=message):
        evaluate(seer(SOURCE), **changed, output=tmp_path, progress=False)  # type: ignore[arg-type]
    responder = seer(changed["source"])  # type: ignore[arg-type]
    result = evaluate(responder, **changed, output=tmp_path, progress=False, fresh=True)  # type: ignore[arg-type]
    assert len(responder.asked) == 240
    assert result.metrics["macro_accuracy"].value == 1


def test_a_malformed_record_is_named(tmp_path: Path) -> None:
    evaluate(seer(SOURCE), SOURCE, TASK, tmp_path, progress=False)
    path = tmp_path / "evaluation" / "worlds.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:4], "{broken\n", *lines[5:]]))
    with pytest.raises(EvaluationError, match=r"worlds\.jsonl:5: not a record"):
        evaluate(seer(SOURCE), SOURCE, TASK, tmp_path, progress=False)


class Picky:
    """Cannot read some pictures, and fails with the whole batch."""

    def __init__(self, inner: Fake, broken: set[str], error: type[Exception] = DataError) -> None:
        self.inner, self.broken, self.error = inner, broken, error

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        for conversation in conversations:
            (picture,) = conversation.media
            if picture.key in self.broken:
                raise self.error(f"{picture}: truncated")
        return self.inner.respond(conversations, settings)


@pytest.mark.parametrize("error", [DataError, GenerationError])
def test_what_cannot_be_asked_is_counted_and_takes_nothing_along(tmp_path: Path, error: type[Exception]) -> None:
    task = TASK.model_copy(update={"failed_share": 0.1, "control": False})
    result = evaluate(Picky(seer(SOURCE), {"world/0/3"}, error), SOURCE, task, tmp_path, progress=False)
    assert result.failed == {"world 3: truncated": 6}
    assert result.unparsed.count == 6
    assert result.metrics["macro_accuracy"].value == pytest.approx(19 / 20)
    mended = seer(SOURCE)
    again = evaluate(mended, SOURCE, task, tmp_path, progress=False)
    assert len(mended.asked) == 6
    assert again.metrics["macro_accuracy"].value == 1
    assert again.failed == {}


def test_too_much_that_cannot_be_asked_stops(tmp_path: Path) -> None:
    broken = {f"world/0/{i}" for i in range(5, 20)}
    with pytest.raises(
        EvaluationError, match=r"of 120 questions cannot be asked.*the last reason: world \d+: truncated"
    ):
        evaluate(Picky(seer(SOURCE), broken), SOURCE, TASK, tmp_path, progress=False)


def test_records_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    task = TASK.model_copy(update={"failed_share": 0.1})
    result = evaluate(seer(SOURCE), FakeScenes(20, broken=[4]), task, tmp_path, progress=False)
    assert result.samples == 19
    assert result.failed == {"worlds.json:5: malformed": 1}
    with pytest.raises(EvaluationError, match=r"worlds: 3 of 20 records cannot be read.*worlds\.json:2: malformed"):
        evaluate(seer(SOURCE), FakeScenes(20, broken=[1, 2, 3]), task, tmp_path / "b", progress=False)


def test_a_responder_that_loses_answers_is_found_out(tmp_path: Path) -> None:
    class Loses:
        def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
            return [Reply("yes", 1, "stop")] * (len(conversations) - 1)

    with pytest.raises(EvaluationError, match="7 replies to 8 conversations"):
        evaluate(Loses(), SOURCE, TASK, tmp_path, progress=False)


@pytest.mark.parametrize("seed", range(20))
def test_the_control_never_shows_the_own_picture(seed: int) -> None:
    reading = ScenesTask(TASK, FakeScenes(2 + seed)).reading
    shuffled = control_questions(reading.questions, reading.media, seed)
    assert all(question.shown != question.sample for question in shuffled)
    assert len({question.shown for question in shuffled}) == 2 + seed
    assert shuffled == control_questions(reading.questions, reading.media, seed)


def test_one_picture_has_no_control(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="two samples"):
        evaluate(seer(SOURCE), FakeScenes(1), TASK, tmp_path, progress=False)


def test_any_text_survives_the_records(tmp_path: Path) -> None:
    odd = 'null \x00 \u2028 "quoted"\r\n\ud800 日本語 😀'
    task = TASK.model_copy(update={"control": False})
    evaluate(Fake(lambda *_: odd), SOURCE, task, tmp_path, progress=False)
    lines = (tmp_path / "evaluation" / "worlds.jsonl").read_bytes().split(b"\n")
    assert {json.loads(line)["answer"] for line in lines[:-1]} == {odd}
    silent = Fake(lambda *_: "")
    evaluate(silent, SOURCE, task, tmp_path, progress=False)
    assert silent.asked == []


def test_mistakes_in_a_recipe_are_told() -> None:
    with pytest.raises(ValidationError, match="train_data"):
        CaptionsTaskConfig(data="photos", baselines=("central",))
    with pytest.raises(ValidationError, match="limit"):
        ScenesTaskConfig(data="worlds", limit=0)
    with pytest.raises(ValidationError, match="controll"):
        ScenesTaskConfig(data="worlds", controll=False)  # type: ignore[call-arg]


def test_configs_and_results_import_without_numpy_and_torch() -> None:
    script = (
        "import sys\n"
        "import triptych.environment, triptych.evaluate.config, triptych.evaluate.results, triptych.generate.config\n"
        "sys.exit(', '.join({'torch', 'numpy', 'transformers', 'rich'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
