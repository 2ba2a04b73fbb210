"""What the episodes task says about responders who go by the pictures, by the words, or by nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image as Pillow

from triptych.conversation import Conversation, Image
from triptych.errors import EvaluationError
from triptych.evaluate.compare import compare
from triptych.evaluate.config import EpisodesTaskConfig
from triptych.evaluate.results import TaskResult, record_results
from triptych.evaluate.run import evaluate
from triptych.generate.config import GenerationSettings, Reply, Responder
from triptych.scenes.episodes import Episode, Shot

WORDS = ("dovax", "mibug", "ponib", "lusip")
THINGS = ("dog", "cup", "key", "sun")


class FakeEpisodes:
    """Episodes of two things in pictures whose keys say what they show."""

    def __init__(self, count: int = 60, form: str = "turns") -> None:
        self.count, self.form = count, form

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Conversation:
        words = (WORDS[index % 4], WORDS[(index + 1) % 4])
        things = (THINGS[index * 7 % 4], THINGS[(index * 7 + 2) % 4])

        def shot(which: int, number: int) -> Shot:
            key = f"{things[which]}/{index}/{number}"
            return Shot(Image(Pillow.new("RGB", (4, 4)), key=key), words[which])

        support = tuple(shot((i + index // 2) % 2, i) for i in range(4))
        episode = Episode(words, support, shot(index // 4 % 2, 9), self.form)  # type: ignore[arg-type]
        return Conversation(episode.messages(), f"fake/{index}", {"episode": episode, "asked_about": 4})


class Reader:
    """Reads a prompt as words beside pictures; `looks` decides by what the pictures show."""

    def __init__(self, looks: bool = True, wording: str = "{}") -> None:
        self.looks, self.wording = looks, wording

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        return [Reply(self.wording.format(self._answer(c)), 1, "stop") for c in conversations]

    def _answer(self, conversation: Conversation) -> str:
        *support, query = conversation.media
        text = " ".join(message.text for message in conversation.messages)
        said = sorted((place, word) for word in WORDS for place in _places(text, word))
        words = [word for _, word in said]
        assert len(words) == len(support)
        if not self.looks:
            return words[-1] if words else WORDS[0]
        thing = str(query.key).split("/")[0]
        named = [w for w, picture in zip(words, support, strict=True) if str(picture.key).startswith(thing)]
        return named[0] if named else "I do not know."


def _places(text: str, word: str) -> list[int]:
    return [i for i in range(len(text)) if text.startswith(word, i)]


def run(responder: Responder, folder: Path, source: FakeEpisodes | None = None, **options: object) -> TaskResult:
    task = EpisodesTaskConfig(**{"data": "few", "shots": [0, 2, 4], **options})  # type: ignore[arg-type]
    return evaluate(responder, source or FakeEpisodes(), task, folder, name="few", progress=False)


@pytest.mark.parametrize("form", ["turns", "message", "document"])
def test_who_goes_by_the_pictures_needs_shots_and_is_misled_by_shuffled_ones(form: str, tmp_path: Path) -> None:
    result = run(Reader(), tmp_path, FakeEpisodes(form=form))
    values = {name: score.value for name, score in result.metrics.items()}
    assert values == {"0_shots_accuracy": 0, "2_shots_accuracy": 1, "4_shots_accuracy": 1, "gain_0_to_4_shots": 1}
    assert result.control["2_shots_accuracy"].value == result.control["4_shots_accuracy"].value == 0
    assert result.unparsed.by_kind == {"0_shots": 1, "2_shots": 0, "4_shots": 0}
    assert (result.samples, result.questions) == (60, 180)
    assert result.metrics["2_shots_accuracy"].n == 60
    assert result.chance["2_shots_accuracy"] == 0.5
    assert result.chance["0_shots_accuracy"] < 0.4


def test_who_goes_by_the_words_alone_is_at_chance_whatever_the_pictures(tmp_path: Path) -> None:
    result = run(Reader(looks=False), tmp_path)
    for shots in (2, 4):
        score, control = result.metrics[f"{shots}_shots_accuracy"], result.control[f"{shots}_shots_accuracy"]
        assert score.low <= 0.5 <= score.high
        assert score == control
    assert result.unparsed.count == 0


def test_pictures_of_other_episodes_leave_nothing_to_go_by(tmp_path: Path) -> None:
    result = run(Reader(), tmp_path, shuffle="episodes")
    assert result.metrics["4_shots_accuracy"].value == 1
    assert result.control["4_shots_accuracy"].value < 0.75  # the other episode may show the same thing
    lines = [json.loads(x) for x in (tmp_path / "evaluation" / "few.control.jsonl").read_text().splitlines()]
    assert all(line["image"]["index"] != line["sample"] for line in lines)


def test_wording_does_not_matter_and_other_answers_are_unparsed(tmp_path: Path) -> None:
    assert run(Reader(wording="This is a {}."), tmp_path / "a").metrics["4_shots_accuracy"].value == 1
    both = run(Reader(looks=False, wording="dovax or mibug, {}"), tmp_path / "b")
    assert both.unparsed.share == 1
    assert both.metrics["4_shots_accuracy"].value == 0


def test_records_keep_what_was_asked_and_go_on_where_they_were(tmp_path: Path) -> None:
    first = run(Reader(), tmp_path)
    lines = [json.loads(x) for x in (tmp_path / "evaluation" / "few.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines[:3]] == ["fake/0/0", "fake/0/2", "fake/0/4"]
    assert lines[1] | {"seconds": 0} == lines[1] | {
        "kind": "2_shots", "question": "What is this?", "correct": True, "sample": 0, "seconds": 0,
        "parsed": lines[1]["truth"], "image": {"dataset": "few", "index": 0},
    }  # fmt: skip

    class Silent:
        def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
            raise AssertionError("asked again")

    assert run(Silent(), tmp_path).metrics == first.metrics


def test_without_shots_of_its_own_the_task_asks_as_the_dataset_does(tmp_path: Path) -> None:
    result = run(Reader(), tmp_path, shots=None)
    assert list(result.metrics) == ["4_shots_accuracy"]


def test_more_shots_than_there_are_and_sources_without_episodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no episode has 6 named pictures, the most is 4"):
        run(Reader(), tmp_path, shots=[6])

    class Plain(FakeEpisodes):
        def __getitem__(self, index: int) -> Conversation:
            return Conversation(super().__getitem__(index).messages)

    with pytest.raises(EvaluationError, match="has no `episode` among its annotations"):
        run(Reader(), tmp_path, Plain())


def test_runs_are_compared_in_pairs_and_the_report_shows_control_and_chance(tmp_path: Path) -> None:
    from triptych.report.scores import task_scores

    for name, reader in (("sees", Reader()), ("guesses", Reader(looks=False))):
        result = run(reader, tmp_path / name)
        saved = record_results(tmp_path / name, {"few": result}, {"fingerprint": ""})
        (scores,) = task_scores(saved.model_dump())
        row = next(row for group in scores.groups for row in group.rows if row.name == "4 shots accuracy")
        assert row.control is not None
        assert row.chance == 0.5
    compared = compare([tmp_path / "sees", tmp_path / "guesses"])
    row_of = {row.metric: row for row in compared.rows}
    difference = row_of["4_shots_accuracy"].differences[1]
    assert difference is not None
    assert difference.high < 0
