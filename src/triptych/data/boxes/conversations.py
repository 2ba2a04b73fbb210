"""One form of conversation for every dataset of boxes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from triptych.conversation import Conversation, Frame, Image, Message, Region, assistant, user
from triptych.conversation.conversation import Part
from triptych.conversation.expression import DESCRIBE, NONE, Expression
from triptych.conversation.mask import Mask
from triptych.data.boxes.check import annotated_frame, check_region
from triptych.data.boxes.config import BoxesConfig
from triptych.data.files import inside
from triptych.errors import DataError, quoted

T = TypeVar("T")

LARGEST = 1e9
"""Pixels along one side; whoever says that there are more, or writes 400 digits, is not believed."""


def found(
    image: Image, expressions: Sequence[Expression], name: str, config: BoxesConfig, **facts: Any
) -> Conversation:
    """Expressions asked for one after another, as the recipe words it; `annotations["grounding"]` holds them."""
    messages: list[Message] = []
    expressions = [_named(each) for each in expressions]
    for number, each in enumerate(expressions):
        question = each.asked(config.wordings[spread("wording", name, number) % len(config.wordings)])
        messages.append(user(question) if messages else user(image, question))
        phrase = (each.regions[0].name,) if config.answer == "phrase" and each.regions else ()
        messages.append(assistant(*phrase, *each.regions) if each.regions else assistant(NONE))
    return Conversation(tuple(messages), name, {"grounding": tuple(expressions), **facts})


def described(image: Image, pieces: Sequence[str | Expression], name: str, **facts: Any) -> Conversation:
    """A caption with regions: text, and phrases with their regions behind them; also `annotations["grounded_caption"]`."""
    parts: list[Part] = []
    for piece in pieces:
        parts += [piece] if isinstance(piece, str) else [piece.text, *_named(piece).regions]
    caption = "".join(part for part in parts if isinstance(part, str))
    phrases = tuple(_named(piece) for piece in pieces if isinstance(piece, Expression) and piece.regions)
    return Conversation(
        (user(image, DESCRIBE), assistant(*parts)),
        name,
        {"grounded_caption": phrases, "caption": caption, "grounding": phrases, **facts},
    )


def _named(expression: Expression) -> Expression:
    """Regions without a name of their own are named by the expression."""
    regions = tuple(replace(region, name=region.name or expression.text) for region in expression.regions)
    return replace(expression, regions=regions)


def picture(folder: Path, name: Any) -> Image:
    """A picture of a folder by its name.

    Raises:
        DataError: There is no such file in it, or the name leads out of it.
    """
    if not isinstance(name, str) or not name:
        raise DataError(f"expected the name of a picture's file, got {quoted(name)}")
    return Image(inside(folder, name))


def frame_of(entry: Mapping[str, Any], image: Image) -> Frame:
    """The size of a picture in pixels, which `width` and `height` of its annotations have to agree with.

    Raises:
        DataError: As `annotated_frame`.
    """
    width, height = entry.get("width"), entry.get("height")
    return annotated_frame(image, (width, height) if _is_size(width) and _is_size(height) else None)  # type: ignore[arg-type]


def box_of(values: Any, frame: Frame, form: Literal["xywh", "xyxy"] = "xywh") -> Region:
    """A region of four numbers in pixels, clipped to the picture.

    Raises:
        DataError: They are no box, or none that this picture can have (`check_region`).
    """
    hint = "corners are `boxes: xyxy`" if form == "xywh" else "COCO's left, top, width, height are `boxes: xywh`"
    try:
        numbers = [float(value) for value in values]
        if len(numbers) != 4:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"expected a box of four numbers ({form}), got {quoted(values)}") from None
    if not all(map(math.isfinite, numbers)):
        raise DataError(f"expected a box of four finite numbers ({form}), got {quoted(values)}")
    said = f"{numbers} ({form})"
    if form == "xyxy" and (numbers[2] < numbers[0] or numbers[3] < numbers[1]):
        raise DataError(f"the box {said} has its corners in the wrong order; {hint}")
    if form == "xywh" and min(numbers[2:]) < 0:
        raise DataError(f"the box {said} has a side below zero; {hint}")
    if max(map(abs, numbers)) <= 1 < min(frame.width, frame.height):
        raise DataError(f"the box {said} is smaller than a pixel: expected pixels, not shares of the picture")
    region = (Region.from_xywh if form == "xywh" else Region.from_corners)(numbers, frame)
    return check_region(region, said=said, hint=hint)


def with_mask(region: Region, segmentation: Any) -> Region:
    """A region with the mask of a COCO annotation, if it has one.

    Raises:
        DataError: It is none of COCO's forms, or of a picture of another size.
    """
    if not segmentation:
        return region
    try:
        height, width = round(region.frame.height), round(region.frame.width)
        mask = Mask.from_coco(segmentation, height, width)
        if (mask.height, mask.width) != (height, width):
            raise ValueError(
                f"run lengths of the size [{mask.height}, {mask.width}] for a picture whose [height, width] are "
                f"[{height}, {width}]"
            )
        return replace(region, mask=mask)
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise DataError(f"not a mask ({error})") from error


def entries(values: Sequence[Any], path: Path, part: str, *keys: str) -> list[dict[str, Any]]:
    """The objects of one of COCO's lists, `part`.

    Raises:
        DataError: Nothing stands under one of the keys, or what is no number or name, so that nothing could be found by it.
    """
    found = [(number, each) for number, each in enumerate(values) if isinstance(each, dict)]
    for number, each in found:
        for key in keys:
            if not isinstance(each.get(key), int | float | str):
                got = str(each[key])[:80] if key in each else "nothing"
                raise DataError(f"{path}: expected a number or a name as {key!r} of {part}[{number}], got {got}")
    return [each for _, each in found]


def in_turns(items: Sequence[T], turns: int) -> Iterator[Sequence[T]]:
    """Pieces of at most so many."""
    for start in range(0, len(items), turns):
        yield items[start : start + turns]


def spread(*key: object) -> int:
    """A number that depends on the key alone, spread evenly."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=6).digest())


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < LARGEST
