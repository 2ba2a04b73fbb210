"""Few-shot episodes: the same question after no named picture, two, four, …

    0 shots                    picture of a cup: ?          nothing tells the word
    2 shots   dog: "dovax" · cup: "mibug" · another cup: ?  the pictures do

Accuracy at each number of shots, and the gain from the fewest to the most, over the same episodes. The control keeps every word
where it is and shuffles the pictures among them: `support` puts each beside a wrong word, so that whoever goes by the
pictures gives the wrong word, and `episodes` takes another episode's, so that nothing tells which word it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from triptych.conversation import Conversation, Medium
from triptych.errors import EvaluationError
from triptych.evaluate.metrics.episodes import Episodes
from triptych.evaluate.parsers import parser_of
from triptych.evaluate.results import TaskResult
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.tasks.question import Question, Reading, Record, readable
from triptych.evaluate.tasks.recipe import RecipeTask
from triptych.scenes.episodes import Episode

if TYPE_CHECKING:
    from triptych.data.sources import Source
    from triptych.evaluate.config import EpisodesTaskConfig


@dataclass(frozen=True)
class EpisodeQuestion(Question):
    """A question that stands behind its episode's named pictures."""

    episode: Episode = field(kw_only=True)

    @property
    def conversation(self) -> Conversation:
        """The episode up to where its answer begins."""
        return Conversation(self.episode.prompt(), id=self.id, whole=True)


class EpisodesTask(RecipeTask):
    """Every episode of a source, asked after each number of shots.

    Args:
        config: What the recipe says.
        source: Conversations whose `annotations["episode"]` is an `Episode`.
        given: See `RecipeTask`.

    Raises:
        EvaluationError: The source has no episodes, or none has as many named pictures as are asked for.
    """

    kind = "episodes"
    config: EpisodesTaskConfig

    def __init__(self, config: EpisodesTaskConfig, source: Source, **given: Any) -> None:
        super().__init__(config, source, **given)
        self._episodes, faults = _read(source, config.data)
        questions = [question for index in self._episodes for question in self._questions(index)]
        most = max((len(episode.support) for episode, _ in self._episodes.values()), default=0)
        if self._episodes and config.shots is not None and (missing := [n for n in config.shots if n > most]):
            raise EvaluationError(
                f"{config.data}: no episode has {missing[0]} named pictures, the most is {most}; raise `shots` of the "
                "dataset or lower those of the task"
            )
        # A word of this dataset is read as one whether or not this episode has it: a wrong word is no unparsed one.
        self._parse = parser_of(
            "name", {word: None for episode, _ in self._episodes.values() for word in episode.words}
        )
        media: dict[int, tuple[Medium, ...]] = {index: episode.media for index, (episode, _) in self._episodes.items()}
        self.reading = Reading(list(questions[: config.limit]), media, faults)
        self._asked = {question.id: question.episode for question in questions}
        texts = {question.text for question in questions}
        self.prompt = texts.pop() if len(texts) == 1 else "{question}"
        self.parsers = {question.kind: "name" for question in self.reading.questions}
        self.metrics = [Episodes(self._guess)]
        self.check_reading()

    @classmethod
    def metric_of(cls, result: TaskResult) -> Metric:  # noqa: ARG003 - the same for all
        return Episodes()

    def _questions(self, index: int) -> list[EpisodeQuestion]:
        whole, name = self._episodes[index]
        has = len(whole.support)
        numbers = [has] if self.config.shots is None else [n for n in self.config.shots if n <= has]
        return [
            EpisodeQuestion(
                id=f"{name}/{shots}",
                kind=kind_of(shots),
                text=whole.question if whole.form != "document" else whole.prompt()[-1].text.strip(),
                truth=whole.query.word,
                media=whole.first(shots).media,
                sample=index,
                shown=index,
                episode=whole.first(shots),
            )
            for shots in dict.fromkeys(numbers)
        ]

    def control_questions(self) -> list[Question]:
        """The same questions with the pictures of the support shuffled; see `EpisodesTaskConfig.shuffle`.

        Raises:
            EvaluationError: There is no other episode.
        """
        others = self._others() if self.config.shuffle == "episodes" else {}
        questions: list[Question] = []
        for question in self.reading.questions:
            assert isinstance(question, EpisodeQuestion)
            if self.config.shuffle == "support":
                shown, episode = question.sample, question.episode.shifted()
            else:
                shown = others[question.sample]
                other = self._episodes[shown][0]
                episode = question.episode.with_pictures_of(other) if other.support else question.episode
            questions.append(replace(question, episode=episode, media=episode.media, shown=shown))
        return questions

    def _others(self) -> dict[int, int]:
        """For each episode another one, in a single seeded cycle, so that none keeps its own pictures."""
        if len(self._episodes) < 2:
            raise EvaluationError("the control needs the pictures of two episodes at least; set `control: false`")
        order = np.random.default_rng(self.config.seed).permutation(list(self._episodes)).tolist()
        return dict(zip(order, [*order[1:], order[0]], strict=True))

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """Answers read as one of the dataset's words, and compared with the true one."""
        judged = []
        for record in records:
            parsed = self._parse(record.answer)
            judged.append(replace(record, parsed=parsed, correct=parsed == record.truth))
        return judged

    def _guess(self, record: Record) -> float:
        """How often one of the words that were named or offered is right."""
        episode = self._asked[record.id]
        return 1 / len(episode.words) if episode.support or episode.choices else 0.0


def kind_of(shots: int) -> str:
    """The kind of the questions after so many named pictures: `4_shots`."""
    return f"{shots}_shots"


def _read(source: Source, dataset: str) -> tuple[dict[int, tuple[Episode, str]], Counter[str]]:
    """The episodes of a source with their names, by index, and what could not be read."""
    episodes: dict[int, tuple[Episode, str]] = {}
    faults: Counter[str] = Counter()
    for index, conversation in readable(source, faults):
        episode = conversation.annotations.get("episode")
        if not isinstance(episode, Episode):
            raise EvaluationError(
                f"{dataset}: {conversation.id or f'sample {index}'} has no `episode` among its annotations; a task of "
                "`kind: episodes` needs a dataset of `kind: episodes`, or one that annotates its conversations alike"
            )
        episodes[index] = episode, conversation.id or str(index)
    return episodes, faults
