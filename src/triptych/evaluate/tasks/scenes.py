"""Questions about scenes: existence, naming, place, counting, comparison, relation, and kinds that a source adds.

Each question of a conversation is asked on its own, so that no earlier turn gives its answer away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import Conversation
from triptych.errors import EvaluationError
from triptych.evaluate.metrics import classification
from triptych.evaluate.metrics.bootstrap import Tally
from triptych.evaluate.parsers import Form, Parser, form_of, parse_yes_no, parser_of
from triptych.evaluate.tasks.question import Question, Reading, Record, readable

if TYPE_CHECKING:
    from triptych.data.sources import Source
    from triptych.evaluate.config import ScenesTaskConfig

_FORMS: Mapping[str, Form] = {"existence": "yes_no", "naming": "name", "place": "place", "counting": "count"}
"""Kinds whose answers have one form; that of other questions is read off their true answer."""

_DESCRIPTIONS = frozenset({"caption", "names"})
"""Turns of scenes that describe the whole picture: matter for a captions task, not for this one."""

DETECTION = "existence"
"""The kind that is scored as detection, too: precision, recall, F1, yes-ratio."""


class ScenesTask:
    """The questions of a scene source, with the parser of each.

    Args:
        config: What the recipe says.
        source: Conversations whose `annotations["questions"]` list kind, question and answer of each assistant's turn.

    Raises:
        EvaluationError: The source has no such questions, or a true answer does not fit its kind.
    """

    prompt = "{question}"

    def __init__(self, config: ScenesTaskConfig, source: Source) -> None:
        questions, names, faults = _read(source, config.data)
        self._forms = {question.id: _form(question) for question in questions}
        names |= {str(question.truth): None for question in questions if self._forms[question.id] == "name"}
        self._parsers = {form: parser_of(form, names) for form in set(self._forms.values())}
        for question in questions:
            if self._parser(question.id)(str(question.truth)) is None:
                raise EvaluationError(
                    f"{config.data}: {question.id}: the true answer {question.truth!r} to a question of kind "
                    f"{question.kind!r} cannot be read as {self._forms[question.id]!r}"
                )
        # All samples, not only those within the limit: the control's pairing must not change with it.
        media = {question.sample: question.media for question in questions}
        self.reading = Reading(questions[: config.limit], media, faults)
        found: dict[str, set[str]] = defaultdict(set)
        for question in self.reading.questions:
            found[question.kind].add(self._forms[question.id])
        self.parsers = {kind: " or ".join(sorted(found[kind])) for kind in found}

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """Answers parsed, and compared with the true answer in canonical form."""
        judged = []
        for record in records:
            parse = self._parser(record.id)
            parsed = parse(record.answer)
            judged.append(replace(record, parsed=parsed, correct=parsed == parse(str(record.truth))))
        return judged

    def _parser(self, question: str) -> Parser:
        return self._parsers[self._forms[question]]

    def tally(self, records: Sequence[Record]) -> Tally:
        """See `tally`."""
        return tally(records)

    def chance(self, records: Sequence[Record]) -> dict[str, float]:
        """Accuracy of the most frequent true answer to each form of question, per kind; F1 of always "yes"."""
        truths: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for record in records:
            truth = self._parser(record.id)(str(record.truth)) or ""
            truths[record.kind][self._forms[record.id]][truth] += 1
        chance = {
            f"{kind}_accuracy": sum(max(c.values()) for c in forms.values()) / sum(c.total() for c in forms.values())
            for kind, forms in truths.items()
        }
        if len(chance) > 1:
            chance["macro_accuracy"] = sum(chance.values()) / len(chance)
        if DETECTION in truths:
            answers = truths[DETECTION]["yes_no"]
            chance[f"{DETECTION}_f1"] = 2 * answers["yes"] / (answers["yes"] + answers.total())
        return chance


def tally(records: Sequence[Record]) -> Tally:
    """Judged records as counts per picture: accuracy per kind, detection scores of existence, and the macro average.

    Scores: `KIND_accuracy`; `existence_precision`, `existence_recall`, `existence_f1`, `existence_yes_ratio`; and, of
    several kinds, `macro_accuracy`, the mean of the kinds' accuracies.
    """
    kinds = list(dict.fromkeys(record.kind for record in records))
    pictures = list(dict.fromkeys(record.sample for record in records))
    rows = {picture: row for row, picture in enumerate(pictures)}
    detection = 2 * len(kinds)
    sums = np.zeros((len(pictures), detection + classification.COLUMNS))
    for record in records:
        row, column = rows[record.sample], 2 * kinds.index(record.kind)
        sums[row, column : column + 2] += 1, bool(record.correct)
        if record.kind == DETECTION:
            answer = None if record.parsed is None else record.parsed == "yes"
            truth = parse_yes_no(str(record.truth)) == "yes"
            sums[row, detection:] += classification.detection_counts(truth, answer)

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        accuracies = {
            f"{kind}_accuracy": classification.ratio(sums[..., 2 * i + 1], sums[..., 2 * i])
            for i, kind in enumerate(kinds)
        }
        found = dict(accuracies)
        if DETECTION in kinds:
            scores = classification.detection_scores(sums[..., detection:])
            found |= {f"{DETECTION}_{name}": value for name, value in scores.items() if name != "accuracy"}
        if len(kinds) > 1:
            found["macro_accuracy"] = np.mean(list(accuracies.values()), axis=0)
        return found

    asked = Counter(record.kind for record in records)
    counts = {f"{kind}_accuracy": asked[kind] for kind in kinds} | {"macro_accuracy": len(records)}
    counts |= {f"{DETECTION}_{name}": asked[DETECTION] for name in ("precision", "recall", "f1", "yes_ratio")}
    return Tally(pictures, sums, score, counts)


def _form(question: Question) -> Form:
    return _FORMS.get(question.kind) or form_of(str(question.truth))


def _read(source: Source, dataset: str) -> tuple[list[Question], dict[str, None], Counter[str]]:
    """The questions of a source in order, the names of everything in its scenes, and what could not be read."""
    questions: list[Question] = []
    names: dict[str, None] = {}
    faults: Counter[str] = Counter()
    for index, conversation in readable(source, faults):
        for turn, asked in enumerate(_questions_of(conversation, dataset, index)):
            if asked["kind"] in _DESCRIPTIONS:
                continue
            questions.append(
                Question(
                    id=f"{conversation.id or index}/{turn}",
                    kind=asked["kind"],
                    text=asked["question"],
                    truth=asked["answer"],
                    media=tuple(conversation.media),
                    sample=index,
                    shown=index,
                    parts=tuple(asked.get("parts", ())),
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
