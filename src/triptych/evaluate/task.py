"""What the engine needs to know of a task, and tasks whose questions are asked one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from triptych.errors import EvaluationError
from triptych.evaluate.asking import Asking, control_questions
from triptych.evaluate.records import write_records
from triptych.evaluate.results import TaskResult, Unparsed
from triptych.evaluate.scoring.metric import Metric, check_inputs
from triptych.evaluate.scoring.rule import Rule
from triptych.evaluate.shares import rank
from triptych.evaluate.tasks.question import Question, Reading, Record

if TYPE_CHECKING:
    from triptych.generate.config import GenerationSettings

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """Where the answers of one evaluation lie.

    Args:
        folder: `evaluation` in the run folder.
        name: The task's name.
        progress: Show how far it is.
    """

    folder: Path
    name: str
    progress: bool = True

    @property
    def records(self) -> Path:
        """The records of the questions as they are."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def control(self) -> Path:
        """The records of the same questions about other pictures."""
        return self.folder / f"{self.name}.control.jsonl"

    @property
    def settings(self) -> Path:
        """What the records depend on."""
        return self.folder / f"{self.name}.settings.json"

    def save(self, path: Path, records: Sequence[Record]) -> None:
        """Replace what a file of records holds; of several processes the first does it."""
        if rank() == 0:
            write_records(path, records)


class Task(ABC):
    """Items that a model answers in some way, and the metrics of its answers.

    Attributes:
        kind: The word for it in recipes.
        needs: What a model has to be able to do: `answers`, `embeds`, `grounds` or `draws`.
        keeps_records: Whether answers are written to a file.
        keeps_control: Whether those of the control are.
        dataset: What it is about, for messages and results.
        prompt: What is said to the model.
        parsers: Kind of question → the form its answers are read as.
        generation: How answers are decoded; empty where nothing is.
        seed: Of the control's pairing and of the bootstrap.
        faults: Why samples cannot be used, and how many for each reason.
        metrics: Each scores the records that it takes.
        further: Metrics that the recipe names beside these; their scores are called `METRIC_SCORE`.
        rules: Further readings of the same answers, ours among them; none for most tasks.
        official: Which of the rules is the official one.
    """

    kind: ClassVar[str]
    needs: ClassVar[str] = "answers"
    keeps_records: ClassVar[bool] = True
    keeps_control: ClassVar[bool] = False
    dataset: str
    seed: int = 0
    prompt: str = ""
    parsers: Mapping[str, str] = {}
    generation: Mapping[str, Any] = {}
    faults: Mapping[str, int] = {}
    metrics: Sequence[Metric]
    further: Sequence[Metric] = ()
    rules: Mapping[str, Rule] = {}
    official: str | None = None

    @classmethod
    def metric_of(cls, result: TaskResult) -> Metric | None:  # noqa: ARG003 - of none by default
        """The metric that scores records of such a task again; `None` where records do not hold what it takes."""
        return None

    def settings(self) -> dict[str, Any] | None:
        """What answers depend on, beside the model; `None` for tasks that answer everything anew."""
        return None

    def prepare(self, model: Any) -> None:  # noqa: B027 - nothing by default
        """Read what depends on what the model can do, before anything is asked."""

    @abstractmethod
    def answer(self, model: Any, store: Store) -> list[Record]:
        """Records of all items in order: those already on the disk, and those answered now."""

    def control(self, model: Any, store: Store, records: Sequence[Record]) -> list[Record]:  # noqa: ARG002
        """The same items with other samples' media; empty for a task without a control."""
        return []

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """The records with `parsed` and `correct` filled in."""
        return list(records)

    def review(self, records: list[Record], save: Callable[[Sequence[Record]], None]) -> list[Record]:  # noqa: ARG002
        """Judged records after others have looked at them, too; `save` keeps what they say as it comes."""
        return records

    def baselines(self, model: Any, records: Sequence[Record]) -> dict[str, list[Record]]:  # noqa: ARG002
        """Judged records of what the model has to beat, of the same items in the same order."""
        return {}

    def chance(self, records: Sequence[Record]) -> dict[str, float]:
        """What answering without looking scores, by the name of the score."""
        return self.of_metrics(records, lambda metric, taken: metric.chance(taken))

    def of_metrics(
        self, records: Sequence[Record], scores: Callable[[Metric, Sequence[Record]], Mapping[str, T]]
    ) -> dict[str, T]:
        """Something of every metric by the name of the score, each of the records that it takes.

        Raises:
            EvaluationError: A record lacks what a further metric reads.
        """
        values: dict[str, T] = {}
        for metric in (*self.metrics, *self.further):
            taken = [record for record in records if metric.takes(record)]
            if metric in self.further:
                check_inputs(metric, taken, self.dataset)
            prefix = f"{metric.name}_" if metric in self.further else ""
            values |= {f"{prefix}{name}": value for name, value in (scores(metric, taken) if taken else {}).items()}
        return values

    def samples(self, records: Sequence[Record]) -> int:
        """How many samples the records are about."""
        return len({record.sample for record in records})

    def unparsed(self, records: Sequence[Record]) -> Unparsed:
        """How many answers say nothing that can be read."""
        return unparsed_of(records)

    def failed(self, records: Sequence[Record]) -> dict[str, int]:
        """Why records cannot be read or questions not be asked, and how many for each reason."""
        return dict(Counter(self.faults) + errors_of(records))

    def facts(self, records: Sequence[Record]) -> dict[str, Any]:  # noqa: ARG002 - none by default
        """What a result says beside its scores."""
        return {}


class AskedTask(Task):
    """Questions that are asked one by one; each answer is on the disk before the next batch is asked.

    Attributes:
        reading: The questions, and the pictures that the control may show.
        decoding: How answers are decoded, and how many questions are asked at once.
        failed_share: If more of the questions cannot be asked, the evaluation stops.
        has_control: Ask the same questions about other samples' pictures, too.
        same_question: Every picture is asked the same, so that what would be said of another has been said already.
    """

    keeps_control = True
    reading: Reading
    decoding: GenerationSettings
    failed_share: float
    has_control: bool = True
    same_question: bool = False

    @property
    def generation(self) -> dict[str, Any]:  # type: ignore[override]
        """How answers are decoded."""
        return self.decoding.model_dump()

    @property
    def faults(self) -> Mapping[str, int]:  # type: ignore[override]
        """Of the source."""
        return self.reading.faults

    def asking(self, model: Any, progress: bool) -> Asking:
        """How the questions are put."""
        return Asking(model, self.decoding, self.dataset, self.failed_share, progress)

    def answer(self, model: Any, store: Store) -> list[Record]:
        return self.asking(model, store.progress).ask(self.reading.questions, store.records, store.name)

    def control_questions(self) -> list[Question]:
        """The same questions, each about the picture of another sample."""
        return control_questions(self.reading.questions, self.reading.media, self.seed)

    def control(self, model: Any, store: Store, records: Sequence[Record]) -> list[Record]:
        if not self.has_control:
            return []
        questions = self.control_questions()
        if self.same_question:
            return _answers_of_others(questions, records)
        return self.asking(model, store.progress).ask(questions, store.control, f"{store.name}, control")


def _answers_of_others(questions: Sequence[Question], records: Sequence[Record]) -> list[Record]:
    """The records of questions about other pictures, all of which were asked the same."""
    own, others = {record.id: record for record in records}, {record.sample: record for record in records}
    copied = ("answer", "finish", "tokens", "error", "image")
    return [replace(own[q.id], **{name: getattr(others[q.shown], name) for name in copied}) for q in questions]


def check_questions(questions: Sequence[Question], dataset: str, empty: str = "there is nothing to ask") -> None:
    """Raise EvaluationError if there are no questions, or two with one id."""
    if not questions:
        raise EvaluationError(f"{dataset}: {empty}")
    repeated = [id_ for id_, count in Counter(question.id for question in questions).items() if count > 1]
    if repeated:
        raise EvaluationError(f"{dataset}: two samples have the id {repeated[0]!r}; ids must be unique in a dataset")


def check_faults(faults: Mapping[str, int], records: int, dataset: str, failed_share: float) -> None:
    """Raise EvaluationError if more than a share of a dataset's records cannot be read."""
    if faults and sum(faults.values()) > failed_share * records:
        raise EvaluationError(
            f"{dataset}: {sum(faults.values())} of {records} records cannot be read, more than the allowed "
            f"share of {failed_share:g}; the first reason: {next(iter(faults))}"
        )


def errors_of(records: Sequence[Record]) -> Counter[str]:
    """Why questions could not be asked, and how many for each reason."""
    return Counter(record.error for record in records if record.error is not None)


def unparsed_of(records: Sequence[Record], nothing: Sequence[str | None] = (None,)) -> Unparsed:
    """How many answers say nothing that can be read, their share per kind, and why.

    Args:
        records: Judged.
        nothing: What `parsed` is of an answer that says nothing.
    """
    totals = Counter(record.kind for record in records)
    unread = [record for record in records if record.parsed in nothing]
    count = Counter(record.kind for record in unread)
    return Unparsed(
        count=len(unread),
        share=len(unread) / max(1, len(records)),
        by_kind={kind: count[kind] / totals[kind] for kind in totals},
        reasons=dict(Counter(record.reason for record in unread if record.reason).most_common()),
    )
