"""Running a grounding task: ask for expressions, record regions, score them beside baseline and control.

source ─► expressions ─► grounder ── Grounding ──► records (JSONL) ─► tally ─► scores, intervals
                 └ about another sample's picture ─► control    mean box ─► baseline
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from triptych.conversation import Region
from triptych.conversation.region import NORMALISED
from triptych.data.reading import read_record
from triptych.errors import DataError, EvaluationError
from triptych.evaluate.asking import Asking, control_questions
from triptych.evaluate.config import GroundingTaskConfig
from triptych.evaluate.grounding.reading import Asked, read, told
from triptych.evaluate.grounding.scores import CAPTION, caption_tally, is_right, regions_of, tally
from triptych.evaluate.metrics.bootstrap import differences, intervals
from triptych.evaluate.records import check_settings, write_records
from triptych.evaluate.results import Baseline, Interval, TaskResult, Unparsed
from triptych.evaluate.shares import forget
from triptych.evaluate.tasks.question import Question, Record
from triptych.generate.config import GenerationSettings, Reply
from triptych.grounding.grounding import Describer, Grounder, Grounding
from triptych.grounding.serial import region_values

if TYPE_CHECKING:
    from triptych.data.sources import Source

_WITHOUT_EFFECT = ("limit", "control", "failed_share", "captions", "masks", "train_data")
MEAN_BOX = "mean_box"
VERDICTS = ("valid", "repaired", "invalid")


@dataclass(frozen=True)
class _Pointing(Asking):
    """Puts expressions to a grounder; its answers, regions and all, are kept until they are recorded."""

    given: dict[str, Grounding] = field(default_factory=dict, init=False, repr=False)

    def _put(self, questions: Sequence[Question]) -> Sequence[Reply]:
        grounder: Any = self.responder
        captions = [question for question in questions if question.kind == CAPTION]
        phrases = [question for question in questions if question.kind != CAPTION]
        found: list[Grounding] = []
        if phrases:
            found += grounder.ground_many([(question.media[0], question.text) for question in phrases])
        if captions:
            found += grounder.describe_many([question.media[0] for question in captions])
        if len(found) != len(questions):
            raise EvaluationError(f"the grounder gave {len(found)} answers to {len(questions)} questions")
        self.given.update({q.id: each for q, each in zip([*phrases, *captions], found, strict=True)})
        return [Reply(self.given[question.id].text, 0, "stop") for question in questions]

    def _record(self, question: Question, reply: Reply | str, seconds: float) -> Record:
        assert isinstance(question, Asked)
        given = self.given.pop(question.id, None)
        record = super()._record(question, reply, seconds)
        return replace(record, **_answered(question, given if record.error is None else None, _size(question)))


def evaluate_grounding(
    grounder: Grounder,
    source: Source,
    task: GroundingTaskConfig,
    output: Path,
    *,
    name: str | None = None,
    train_source: Source | None = None,
    fingerprint: str = "",
    fresh: bool = False,
    progress: bool = True,
) -> TaskResult:
    """Ask a grounder for a source's expressions, keep a record of each answer, and score them with intervals.

    An evaluation that was stopped goes on where it was, as those of answers in words do.

    Args:
        grounder: Finds expressions in pictures; a `Describer` is asked for grounded captions, too.
        source: Conversations with `annotations["grounding"]` (and `["grounded_caption"]`): `Expression`s.
        task: What the recipe says; its `generation` is what the grounder was made with, and how many it is asked at once.
        output: The run folder; records go to `output/evaluation/NAME.jsonl` and `NAME.control.jsonl`.
        name: The task's name in the recipe; that of its dataset by default.
        train_source: The dataset whose mean box is the baseline; by default the mean of the true boxes asked for.
        fingerprint: Of the model; records of another model are never taken for this one's.
        fresh: Discard records of earlier evaluations instead of going on from them.
        progress: Show a progress bar.

    Raises:
        EvaluationError: The source has no expressions, its records were made with other settings, or more than
            `task.failed_share` of the questions cannot be asked.
    """
    name = name or task.data
    folder = output / "evaluation"
    paths = {kind: folder / f"{name}{kind}" for kind in (".jsonl", ".control.jsonl", ".settings.json")}
    reading = read(source, task, isinstance(grounder, Describer))
    if fresh:
        forget(paths.values())
    settings = task.model_dump(mode="json", exclude=set(_WITHOUT_EFFECT))
    generation = task.generation or GenerationSettings()
    settings["generation"] = generation.model_dump(mode="json", exclude={"batch_size"})
    check_settings(paths[".settings.json"], {**settings, "fingerprint": fingerprint})
    # The grounder has its own settings of generation; here they say how many expressions it gets at once.
    asking = _Pointing(grounder, generation, task.data, task.failed_share, progress)  # type: ignore[arg-type]
    records = _judge(asking.ask(reading.questions, paths[".jsonl"], name))
    write_records(paths[".jsonl"], records)
    control: list[Record] = []
    if task.control:
        shuffled = control_questions(reading.questions, reading.media, task.seed)
        control = _judge(asking.ask(shuffled, paths[".control.jsonl"], f"{name}, control"))
        write_records(paths[".control.jsonl"], control)
    seconds = sum(record.seconds for record in records)
    unread = [record for record in records if record.parsed is None or record.parsed == "invalid"]
    asked = Counter(record.kind for record in records)
    wrong = Counter(record.kind for record in unread)
    return TaskResult(
        kind=task.kind,
        dataset=task.data,
        samples=len({record.sample for record in records}),
        questions=len(records),
        prompt="\n".join(_prompts(grounder, asked)),
        parser=dict.fromkeys(asked, "regions"),
        generation=generation.model_dump(),
        seconds=seconds,
        questions_per_second=len(records) / seconds if seconds > 0 else 0.0,
        metrics=_scores(records, task),
        control=_scores(control, task) if control else {},
        unparsed=Unparsed(
            count=len(unread),
            share=len(unread) / len(records),
            by_kind={kind: wrong[kind] / asked[kind] for kind in asked},
        ),
        chance=_chance(records),
        baselines=_baselines(records, task, train_source),
        failed=dict(reading.faults + Counter(record.error for record in records if record.error is not None)),
        fingerprint=fingerprint,
    )


def _scores(records: Sequence[Record], task: GroundingTaskConfig) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    if any(record.kind != CAPTION for record in records):
        found |= intervals(tally(records, task.masks), seed=task.seed)
    if any(record.kind == CAPTION for record in records):
        found |= intervals(caption_tally(records, task.masks), seed=task.seed, resamples=200)
    return found


def _size(question: Question) -> list[int] | None:
    """Width and height of the picture shown; None where it cannot be read."""
    try:
        frame = question.media[0].frame
    except DataError:
        return None
    return [round(frame.width), round(frame.height)]


def _prompts(grounder: Grounder, kinds: Collection[str]) -> Iterator[str]:
    """What is said: around expressions, and for captions."""
    if any(kind != CAPTION for kind in kinds):
        yield grounder.prompt
    if CAPTION in kinds and isinstance(grounder, Describer):
        yield grounder.caption_prompt


def _judge(records: Sequence[Record]) -> list[Record]:
    return [record if record.kind == CAPTION else replace(record, correct=is_right(record)) for record in records]


def _answered(question: Asked, given: Grounding | None, size: list[int] | None) -> dict[str, Any]:
    """What a record says about regions, and the verdict as `parsed`."""
    regions: dict[str, Any] = {"truth": [region_values(region) for region in question.regions], "found": []}
    if size is not None:
        regions["size"] = size
    if given is None:
        return {"regions": regions, "parsed": None}
    regions["found"] = [region_values(region, score) for region, score in zip(given.regions, given.scores, strict=True)]
    verdict = given.verdict if given.regions or given.verdict == "invalid" else "none"
    reason = given.reason or None if verdict == "invalid" else None
    return {"regions": regions, "parsed": verdict, "answer": given.text or told(given.regions), "reason": reason}


def _chance(records: Sequence[Record]) -> dict[str, float]:
    """What always saying "none" scores."""
    phrases = [record for record in records if record.kind != CAPTION]
    empty = sum(not (record.regions or {}).get("truth") for record in phrases)
    return {"none_precision": empty / len(phrases), "none_f1": 2 * empty / (empty + len(phrases))} if empty else {}


def _baselines(
    records: Sequence[Record], task: GroundingTaskConfig, train_source: Source | None
) -> dict[str, Baseline]:
    """The mean box of the training set, given to every expression."""
    records = [record for record in records if record.kind != CAPTION]
    truths = _training_boxes(train_source) if train_source is not None else _true_boxes(records)
    boxes = np.array([region.normalised for region in truths], np.float64)
    if not records or not len(boxes):
        return {}
    left, top, right, bottom = boxes.mean(axis=0).tolist()
    given = [region_values(Region((left, top, right, bottom), NORMALISED))]
    given[0]["box"] = [left, top, right, bottom]  # all digits: they are shares of the picture
    answers = [
        replace(record, regions={**(record.regions or {}), "found": given}, parsed="valid", error=None)
        for record in records
    ]
    ours, theirs = tally(records, task.masks), tally(_judge(answers), task.masks)
    both = intervals(theirs, seed=task.seed), differences(ours, theirs, seed=task.seed)
    # A box that nobody wrote is neither valid nor repaired.
    scores, above = ({name: value for name, value in found.items() if name not in VERDICTS} for found in both)
    return {MEAN_BOX: Baseline(metrics=scores, difference=above)}


def _true_boxes(records: Sequence[Record]) -> Iterator[Region]:
    for record in records:
        yield from regions_of(record)[0]


def _training_boxes(source: Source, most: int = 2000) -> Iterator[Region]:
    for index in range(min(len(source), most)):
        try:
            expressions = read_record(source, index).annotations.get("grounding") or ()
        except DataError:
            continue
        for expression in expressions:
            yield from expression.regions
