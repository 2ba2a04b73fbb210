"""What a grounding task asks of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from triptych.conversation import Conversation, Image, Region
from triptych.conversation.expression import DESCRIBE, NONE, Expression
from triptych.errors import EvaluationError
from triptych.evaluate.config import GroundingTaskConfig
from triptych.evaluate.grounding.scores import CAPTION
from triptych.evaluate.tasks.question import Question, readable

if TYPE_CHECKING:
    from triptych.data.sources import Source


@dataclass(frozen=True)
class Asked(Question):
    """An expression to find, with its true regions; of a caption, its phrases' regions."""

    regions: tuple[Region, ...] = ()


@dataclass(frozen=True)
class Reading:
    """The questions of a source, the picture of every sample, and what could not be read."""

    questions: list[Asked]
    media: dict[int, tuple[Image, ...]]
    faults: Counter[str]


def told(regions: Sequence[Region]) -> str:
    """Boxes in words: what a record shows where the grounder says nothing."""
    return "; ".join(f"({', '.join(f'{value:.0f}' for value in region.box)})" for region in regions) or NONE


def read(source: Source, task: GroundingTaskConfig, describes: bool) -> Reading:
    """What to ask of a source.

    Raises:
        EvaluationError: There is nothing to ask, or too much that cannot be read.
    """
    questions: list[Asked] = []
    media: dict[int, tuple[Image, ...]] = {}
    faults: Counter[str] = Counter()
    for index, conversation in readable(source, faults):
        pictures = tuple(conversation.media)
        found = list(_asked(conversation, task, index, describes))
        if not found or not pictures:
            continue
        media[index] = pictures[:1]
        questions += [replace(question, media=pictures[:1]) for question in found]
    if sum(faults.values()) > task.failed_share * len(source):
        raise EvaluationError(
            f"{task.data}: {sum(faults.values())} of {len(source)} records cannot be read, more than the allowed "
            f"share of {task.failed_share:g}; the first reason: {next(iter(faults))}"
        )
    if not questions:
        raise EvaluationError(
            f"{task.data}: there is nothing to point at; a task of `kind: grounding` needs a dataset of `kind: referring`, "
            "one of boxes, or one that annotates its conversations alike (`grounding`: expressions with their regions)"
        )
    repeated = [id_ for id_, count in Counter(question.id for question in questions).items() if count > 1]
    if repeated:
        raise EvaluationError(f"{task.data}: two samples have the id {repeated[0]!r}; ids must be unique in a dataset")
    return Reading(questions[: task.limit], media, faults)


def _asked(conversation: Conversation, task: GroundingTaskConfig, index: int, describes: bool) -> Iterator[Asked]:
    facts: Mapping[str, Any] = conversation.annotations
    name = conversation.id or str(index)
    expressions: Sequence[Expression] = facts.get("grounding") or ()
    for number, each in enumerate(expressions):
        truth = told(each.regions)
        yield Asked(f"{name}/{number}", each.kind, each.text, truth, (), index, index, regions=each.regions)
    if task.captions and describes and (phrases := facts.get("grounded_caption")):
        regions = tuple(replace(region, name=each.text) for each in phrases for region in each.regions)
        truth = str(facts.get("caption") or "")
        yield Asked(f"{name}/{CAPTION}", CAPTION, DESCRIBE, truth, (), index, index, regions=regions)
