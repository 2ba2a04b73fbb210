"""The held-out pictures of the report: which ones to show, with what was asked and answered, and as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from triptych.errors import TriptychError
from triptych.report.folder import Record
from triptych.report.mistakes import is_graded, is_right, is_unparsed, show
from triptych.report.numbers import number

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

OpenPicture: TypeAlias = "Callable[[Record], PILImage | None]"
"""Gives the picture of a per-sample record again, or None when it cannot."""

EDGE = 360
"""The longest edge of an embedded picture in pixels."""

DRAWN_EDGE = 640
"""The same of a picture on which regions are drawn: their labels are to be read."""

POINTED = 3
"""Most questions drawn on one picture."""

LONGEST = 300
"""Characters of an answer that are shown; one that goes round in circles would fill the page."""

REFERENCES = 2
"""References shown beside a graded answer."""


@dataclass(frozen=True)
class Answer:
    """One question about a picture with its answer.

    Args:
        state: `right`, `wrong`, or `graded` where the answer is measured against references.
        truths: The true answer, or some of the references.
        score: Where it is not just right or wrong.
    """

    question: str
    truths: list[str]
    answer: str
    state: Literal["right", "wrong", "graded"]
    unparsed: bool
    cut: bool
    score: str


@dataclass(frozen=True)
class Card:
    """A picture with its questions: `source` is a data URI, or empty when the picture could not be opened."""

    title: str
    source: str
    answers: list[Answer]
    hidden: int

    @property
    def mistakes(self) -> int:
        """How many of the answers shown are wrong."""
        return sum(answer.state == "wrong" for answer in self.answers)


def gallery(records: Sequence[Record], open_picture: OpenPicture, most: int = 24, questions: int = 8) -> list[Card]:
    """Cards for at most `most` pictures, about half of them with a mistake where there are as many.

    The choice is a pure function of the records: pictures are taken at even distances in the order of the file;
    where answers are graded, from the best to the worst.
    """
    pictures = _by_picture(records)
    if any(map(is_graded, records)):
        ranked = sorted(pictures, key=lambda group: -max(number(record.get("correct")) or 0.0 for record in group))
        return [_card(group, open_picture, questions) for group in _evenly(ranked, min(most, len(ranked)))]
    wrong = [group for group in pictures if not all(is_right(record) for record in group)]
    right = [group for group in pictures if all(is_right(record) for record in group)]
    from_wrong = min(len(wrong), max(most // 2, most - len(right)))
    chosen = _evenly(wrong, from_wrong) + _evenly(right, min(len(right), most - from_wrong))
    order = {id(group): place for place, group in enumerate(pictures)}
    return [_card(group, open_picture, questions) for group in sorted(chosen, key=lambda group: order[id(group)])]


def picture_key(record: Record) -> str:
    """What tells the pictures of records apart: the dataset's record or the picture's path."""
    dataset, index = reference(record)
    return f"{dataset}/{index}" if dataset is not None else str(record.get("image") or record.get("id"))


def reference(record: Record) -> tuple[str | None, int | None]:
    """The dataset and index that a record's picture comes from, where the record says so."""
    held = record.get("image")
    place: Any = held if isinstance(held, dict) else record
    dataset, index = place.get("dataset"), place.get("index")
    return (str(dataset), index) if dataset is not None and isinstance(index, int) else (None, None)


def data_uri(picture: PILImage, edge: int = EDGE) -> str:
    """A picture, its longest side at most `edge` pixels, as a data URI."""
    from PIL import Image as Pillow
    from PIL import features

    picture = picture.convert("RGB")
    picture.thumbnail((edge, edge), Pillow.Resampling.LANCZOS)
    kind, options = ("WEBP", {"quality": 86}) if features.check("webp") else ("JPEG", {"quality": 88})
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def with_regions(picture: PILImage, records: Sequence[Record]) -> PILImage:
    """What records say of a picture, drawn on it: the true boxes dark and without words, each answer in its colour.

    Answers are labelled with what was asked for; regions that cannot be read are left out. Only the answers' masks are tinted: two
    on top of each other would hide what they show.
    """
    from triptych.grounding.draw import COLOURS, TRUTH, draw_regions
    from triptych.grounding.serial import region_of

    regions, labels, colours = [], [], []
    for place, record in enumerate(records):
        held = record.get("regions") or {}
        for key, label, colour in (
            ("truth", "", TRUTH),
            ("found", str(record.get("question") or ""), COLOURS[place % len(COLOURS)]),
        ):
            for values in held.get(key) or ():
                try:
                    region = region_of(values)
                except (KeyError, TypeError, ValueError, AttributeError):
                    continue
                regions.append(replace(region, mask=None) if key == "truth" else region)
                named = key == "found" and str(record.get("kind")) == "caption"
                labels.append(regions[-1].name if named else label)
                colours.append(colour)
    return draw_regions(picture, regions, labels=labels, colours=colours)


def _by_picture(records: Iterable[Record]) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(picture_key(record), []).append(record)
    return list(groups.values())


def _evenly(groups: Sequence[list[Record]], most: int) -> list[list[Record]]:
    return [groups[i * len(groups) // most] for i in range(most)]


def _card(records: list[Record], open_picture: OpenPicture, questions: int) -> Card:
    pointing = any(record.get("regions") for record in records)
    questions = min(questions, POINTED) if pointing else questions
    # Mistakes first in line for the places, then in the order in which they were asked.
    shown = sorted(sorted(range(len(records)), key=lambda i: is_right(records[i]))[:questions])
    try:
        picture = open_picture(records[0])
    except (TriptychError, OSError):
        picture = None
    if picture is not None and pointing:
        picture = with_regions(picture, [records[i] for i in shown])
    return Card(
        title=str(records[0].get("id") or picture_key(records[0])),
        source="" if picture is None else data_uri(picture, DRAWN_EDGE if pointing else EDGE),
        answers=[_answer(records[i]) for i in shown],
        hidden=len(records) - len(shown),
    )


def _answer(record: Record) -> Answer:
    truth, graded = record.get("truth", ""), is_graded(record)
    score = number(record.get("correct"))
    return Answer(
        question=str(record.get("question") or ""),
        truths=[show(reference) for reference in truth[:REFERENCES]] if graded else [show(truth)],
        answer=_shown(str(record.get("answer") or "")),
        state="graded" if graded else "right" if is_right(record) else "wrong",
        unparsed=is_unparsed(record),
        cut=record.get("finish") == "length",
        score=f"{score:.2f}" if score is not None and (graded or score not in (0.0, 1.0)) else "",
    )


def _shown(answer: str) -> str:
    return answer if len(answer) <= LONGEST else f"{answer[:LONGEST].rstrip()} …"
