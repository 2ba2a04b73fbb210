"""Questions about scenes: existence, naming, place, counting, comparison, relation, and kinds that a source adds.

Each question of a conversation is asked on its own, so that no earlier turn gives its answer away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from triptych.conversation import Conversation
from triptych.errors import EvaluationError
from triptych.evaluate.metrics.scenes import Scenes, answer_form
from triptych.evaluate.parsers import Parser, parser_of
from triptych.evaluate.results import TaskResult
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.tasks.question import Question, Reading, Record, readable
from triptych.evaluate.tasks.recipe import RecipeTask

if TYPE_CHECKING:
    from triptych.data.sources import Source
    from triptych.evaluate.config import ScenesTaskConfig

_DESCRIPTIONS = frozenset({"caption", "names"})
"""Turns of scenes that describe the whole picture: matter for a captions task, not for this one."""


class ScenesTask(RecipeTask):
    """The questions of a scene source, with the parser of each.

    Args:
        config: What the recipe says.
        source: Conversations whose `annotations["questions"]` list kind, question and answer of each assistant's turn.
        given: See `RecipeTask`.

    Raises:
        EvaluationError: The source has no such questions, or a true answer does not fit its kind.
    """

    kind = "scenes"
    prompt = "{question}"

    def __init__(self, config: ScenesTaskConfig, source: Source, **given: Any) -> None:
        super().__init__(config, source, **given)
        questions, names, faults = _read(source, config.data)
        forms = {question.id: answer_form(question.kind, str(question.truth)) for question in questions}
        names |= {str(question.truth): None for question in questions if forms[question.id] == "name"}
        self._parsers = {form: parser_of(form, names) for form in set(forms.values())}
        for question in questions:
            if self._parsers[forms[question.id]](str(question.truth)) is None:
                raise EvaluationError(
                    f"{config.data}: {question.id}: the true answer {question.truth!r} to a question of kind "
                    f"{question.kind!r} cannot be read as {forms[question.id]!r}"
                )
        # All samples, not only those within the limit: the control's pairing must not change with it.
        media = {question.sample: question.media for question in questions}
        self.reading = Reading(questions[: config.limit], media, faults)
        by_kind: dict[str, set[str]] = defaultdict(set)
        for question in self.reading.questions:
            by_kind[question.kind].add(forms[question.id])
        self.parsers = {kind: " or ".join(sorted(by_kind[kind])) for kind in by_kind}
        self.metrics = [Scenes(lambda record: self._parser(record)(str(record.truth)) or "")]
        self.check_reading()

    @classmethod
    def metric_of(cls, result: TaskResult) -> Metric:  # noqa: ARG003 - the same for all
        return Scenes()

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """Answers parsed, and compared with the true answer in canonical form."""
        judged = []
        for record in records:
            parse = self._parser(record)
            parsed = parse(record.answer)
            judged.append(replace(record, parsed=parsed, correct=parsed == parse(str(record.truth))))
        return judged

    def _parser(self, record: Record) -> Parser:
        return self._parsers[answer_form(record.kind, str(record.truth))]


def _read(source: Source, dataset: str) -> tuple[list[Question], dict[str, None], Counter[str]]:
    """The questions of a source in order, the names of everything in its scenes, and what could not be read."""
    questions: list[Question] = []
    names: dict[str, None] = {}
    faults: Counter[str] = Counter()
    for index, conversation in readable(source, faults):
        for turn, entry in enumerate(_questions_of(conversation, dataset, index)):
            if entry["kind"] in _DESCRIPTIONS:
                continue
            questions.append(
                Question(
                    id=f"{conversation.id or index}/{turn}",
                    kind=entry["kind"],
                    text=entry["question"],
                    truth=entry["answer"],
                    media=tuple(conversation.media),
                    sample=index,
                    shown=index,
                    parts=tuple(entry.get("parts", ())),
                )
            )
        facts = conversation.annotations.get("scene") or {}
        names |= {item["name"]: None for item in facts.get("objects", ())}
    return questions, names, faults


def _questions_of(conversation: Conversation, dataset: str, index: int) -> Sequence[Mapping[str, Any]]:
    questions = conversation.annotations.get("questions")
    if questions is None:
        raise EvaluationError(
            f"{dataset}: {conversation.id or f'sample {index}'} lists no `questions` among its annotations; "
            "a task of `kind: scenes` needs a dataset of `kind: scenes`, or one that annotates its conversations alike"
        )
    return list(questions)
