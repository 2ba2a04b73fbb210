"""Flickr30k Entities (Plummer et al. 2015): captions whose phrases have boxes.

    Sentences/36979.txt      [/EN#1/people A group of friends] playing [/EN#2/other cards] .
    Annotations/36979.xml    <object><name>1</name><bndbox><xmin>…</xmin>…</bndbox></object>

Boxes count pixels from 1, both ends included; here they are edges, from 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from triptych.conversation import Conversation, Frame, Image, Region
from triptych.conversation.expression import Expression
from triptych.data.boxes.config import Flickr30kConfig
from triptych.data.boxes.conversations import box_of, described, found, frame_of
from triptych.data.files import inside, read_text
from triptych.errors import DataError

_PHRASE = re.compile(r"\[/EN#(\d+)((?:/[^\s/\]]+)+)\s+([^\]]*)\]")
_NO_OBJECT = "0"  # the number of phrases that name nothing in the picture


class Flickr30kSource:
    """Conversations, one for each caption: its phrases asked for, or the caption itself with regions.

    An expression's `kind` is the type of its entity (`people`, `clothing`, `scene`, …). Phrases without a box ("outside", or
    what the picture does not show) are not asked for.

    Args:
        path: The folder that holds `Annotations` and `Sentences`.
        images: The folder of the pictures, `NUMBER.jpg`.
        config: What the recipe says.
        split: A file of picture numbers.

    Raises:
        DataError: A folder or the split is missing, or has nothing in it.
    """

    def __init__(self, path: Path, images: Path, config: Flickr30kConfig, split: Path | None = None) -> None:
        self.sentences, self.annotations, self.images = path / "Sentences", path / "Annotations", images
        for folder in (self.sentences, self.annotations, images):
            if not folder.is_dir():
                raise DataError(f"{folder}: no such folder; Flickr30k Entities has Annotations and Sentences")
        self.config = config
        numbers = (
            read_text(split).split() if split is not None else sorted(p.stem for p in self.sentences.glob("*.txt"))
        )
        self._places: list[tuple[str, int]] = []  # picture, which of its captions
        for number in numbers:
            try:
                count = len(self._lines(number))
            except DataError:
                count = 1  # raised again when the record is asked for, so that the ledger counts it
            self._places += [(number, line) for line in range(count)]
            if config.limit is not None and len(self._places) >= config.limit:
                del self._places[config.limit :]
                break
        if not self._places:
            raise DataError(f"{self.sentences}: holds no captions")

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`, named `PICTURE/CAPTION`; DataError, with the file, when it cannot be used."""
        number, line = self._places[index]
        lines = self._lines(number)
        image = Image(inside(self.images, f"{number}.jpg"))
        boxes = self._boxes(number, image)
        pieces = _pieces(lines[line], boxes)
        phrases = [piece for piece in pieces if isinstance(piece, Expression) and piece.regions]
        if not phrases:
            raise DataError(f"{self.sentences / number}.txt:{line + 1}: no phrase of the caption has a box")
        if self.config.style == "captions":
            return described(image, pieces, f"{number}/{line}", image_id=number)
        return found(image, phrases[: self.config.turns], f"{number}/{line}", self.config.answer, image_id=number)

    def _lines(self, number: str) -> list[str]:
        return [line for line in read_text(inside(self.sentences, f"{number}.txt")).splitlines() if line.strip()]

    def _boxes(self, number: str, image: Image) -> dict[str, list[Region]]:
        """The boxes of each entity of a picture."""
        path = inside(self.annotations, f"{number}.xml")
        text = read_text(path)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities that expand without end
            raise DataError(f"{path}: declares a document type, which annotations have no use for; it is not read")
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise DataError(f"{path}: malformed XML ({error})") from error
        size = {key: _number(root.findtext(f"size/{key}")) for key in ("width", "height")}
        frame = frame_of(size, image)
        boxes: dict[str, list[Region]] = {}
        for entry in root.findall("object"):
            for box in entry.findall("bndbox"):
                try:
                    region = _box(box, frame)
                except DataError as error:
                    raise DataError(f"{path}: {error}") from error
                for name in entry.findall("name"):
                    boxes.setdefault((name.text or "").strip(), []).append(region)
        return boxes


def _pieces(line: str, boxes: dict[str, list[Region]]) -> Sequence[str | Expression]:
    """A caption in text and phrases; " cards ." becomes " cards."."""
    pieces: list[str | Expression] = []
    seen = 0
    for match in _PHRASE.finditer(line):
        if between := line[seen : match.start()]:
            pieces.append(between)
        entity, kinds, phrase = match.groups()
        regions = tuple(boxes.get(entity, ())) if entity != _NO_OBJECT else ()
        expression = Expression(" ".join(phrase.split()), regions, kinds.strip("/").split("/")[0])
        pieces.append(expression if regions else expression.text)
        seen = match.end()
    if rest := re.sub(r"\s+([.,;!?])", r"\1", line[seen:].rstrip()):
        pieces.append(rest)
    return pieces


def _box(box: ElementTree.Element, frame: Frame) -> Region:
    corners = [_number(box.findtext(key)) for key in ("xmin", "ymin", "xmax", "ymax")]
    if any(corner is None for corner in corners):
        raise DataError("a box lacks xmin, ymin, xmax or ymax")
    left, top, right, bottom = (float(corner) for corner in corners if corner is not None)
    return box_of((left - 1, top - 1, right, bottom), frame, "xyxy")


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
