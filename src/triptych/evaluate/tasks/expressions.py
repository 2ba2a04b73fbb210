"""What a grounding task asks of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from triptych.conversation import Conversation, Medium, Region
from triptych.conversation.expression import DESCRIBE, NONE, Expression
from triptych.evaluate.config import GroundingTaskConfig
from triptych.evaluate.scoring.regions import CAPTION
from triptych.evaluate.task import check_faults, check_questions
from triptych.evaluate.tasks.question import Question, Reading, readable

if TYPE_CHECKING:
    from triptych.data.sources import Source


@dataclass(frozen=True)
class ExpressionQuestion(Question):
    """An expression to find, with its true regions; of a caption, its phrases' regions."""

    regions: tuple[Region, ...] = ()


def in_words(regions: Sequence[Region]) -> str:
    """Boxes in words: what a record shows where the grounder says nothing."""
    return "; ".join(f"({', '.join(f'{value:.0f}' for value in region.box)})" for region in regions) or NONE


def read(source: Source, task: GroundingTaskConfig, describes: bool) -> Reading:
    """What to ask of a source.

    Args:
        source: Conversations with `annotations["grounding"]` (and `["grounded_caption"]`): `Expression`s.
        task: What the recipe says.
        describes: The model can be asked for grounded captions, too.

    Raises:
        EvaluationError: There is nothing to ask, or too much that cannot be read.
    """
    questions: list[ExpressionQuestion] = []
    media: dict[int, tuple[Medium, ...]] = {}
    faults: Counter[str] = Counter()
    for index, conversation in readable(source, faults):
        pictures = tuple(conversation.images)
        entries = list(_questions(conversation, task, index, describes))
        if not entries or not pictures:
            continue
        media[index] = pictures[:1]
        questions += [replace(question, media=pictures[:1]) for question in entries]
    check_faults(faults, len(source), task.data, task.failed_share)
    check_questions(
        questions,
        task.data,
        "there is nothing to point at; a task of `kind: grounding` needs a dataset of `kind: referring`, "
        "one of boxes, or one that annotates its conversations alike (`grounding`: expressions with their regions)",
    )
    return Reading(list(questions[: task.limit]), media, faults)


def _questions(
    conversation: Conversation, task: GroundingTaskConfig, index: int, describes: bool
) -> Iterator[ExpressionQuestion]:
    facts: Mapping[str, Any] = conversation.annotations
    name = conversation.id or str(index)
    expressions: Sequence[Expression] = facts.get("grounding") or ()
    for number, each in enumerate(expressions):
        truth = in_words(each.regions)
        yield ExpressionQuestion(
            f"{name}/{number}", each.kind, each.text, truth, (), index, index, regions=each.regions
        )
    if task.captions and describes and (phrases := facts.get("grounded_caption")):
        regions = tuple(replace(region, name=each.text) for each in phrases for region in each.regions)
        truth = str(facts.get("caption") or "")
        yield ExpressionQuestion(f"{name}/{CAPTION}", CAPTION, DESCRIBE, truth, (), index, index, regions=regions)
