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
from triptych.data.boxes.conversations import box_of, described, found, frame_of, in_turns
from triptych.data.files import data_path, inside, read_text
from triptych.errors import DataError

_PHRASE = re.compile(r"\[/EN#(\d+)((?:/[^\s/\]]+)+)\s+([^\]]*)\]")
_NO_OBJECT = "0"  # the number of phrases that name nothing in the picture


class Flickr30kSource:
    """Conversations about captions: the phrases asked for, so many turns each, or the caption itself with regions.

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
        self._places: list[tuple[str, int, int]] = []  # picture, which of its captions, which of its conversations
        for number in numbers:
            self._places += [
                (number, line, part) for line, parts in enumerate(self._parts(number)) for part in range(parts)
            ]
            if config.limit is not None and len(self._places) >= config.limit:
                del self._places[config.limit :]
                break
        if not self._places:
            raise DataError(f"{self.sentences}: holds no captions")

    @classmethod
    def from_config(cls, config: Flickr30kConfig, base: Path) -> Flickr30kSource:
        """Open it; relative paths start from `base`. Raises DataError where the dataset as a whole is unusable."""
        split = data_path(config.split, base) if config.split else None
        return cls(data_path(config.path, base), data_path(config.images, base), config, split)

    def __len__(self) -> int:
        return len(self._places)

    def where(self, index: int) -> str:
        """File and line of a record's caption."""
        number, line, _ = self._places[index]
        return f"{self.sentences / number}.txt:{line + 1}"

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`; DataError, with the file, when it cannot be used.

        It is named `PICTURE/CAPTION`, and `PICTURE/CAPTION/PART` where a caption's phrases are asked for.
        """
        number, line, part = self._places[index]
        lines = self._lines(number)
        image = Image(inside(self.images, f"{number}.jpg"))
        boxes = self._boxes(number, image)
        pieces = _pieces(lines[line], boxes)
        phrases = [piece for piece in pieces if isinstance(piece, Expression) and piece.regions]
        if not phrases:
            raise DataError(f"{self.sentences / number}.txt:{line + 1}: no phrase of the caption has a box")
        if self.config.style == "captions":
            return described(image, pieces, f"{number}/{line}", image_id=number)
        asked = list(in_turns(phrases, self.config.turns))[part]
        return found(image, asked, f"{number}/{line}/{part}", self.config, image_id=number)

    def _parts(self, number: str) -> list[int]:
        """How many conversations each caption of a picture is; one where it cannot be used, which raises when asked for."""
        try:
            named = [_entities(line) for line in self._lines(number)]
        except DataError:
            return [1]
        if self.config.style == "captions" or all(len(entities) <= self.config.turns for entities in named):
            return [1] * len(named)
        try:
            objects = self._root(number).findall("object")
        except DataError:
            return [1] * len(named)
        boxed = {_name(name) for entry in objects if entry.find("bndbox") is not None for name in entry.findall("name")}
        counts = [sum(entity in boxed for entity in entities) for entities in named]
        return [max(1, -(-count // self.config.turns)) for count in counts]

    def _lines(self, number: str) -> list[str]:
        return [line for line in read_text(inside(self.sentences, f"{number}.txt")).splitlines() if line.strip()]

    def _root(self, number: str) -> ElementTree.Element:
        """The annotations of a picture."""
        path = inside(self.annotations, f"{number}.xml")
        text = read_text(path)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities that expand without end
            raise DataError(f"{path}: declares a document type, which annotations have no use for; it is not read")
        try:
            return ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise DataError(f"{path}: malformed XML ({error})") from error

    def _boxes(self, number: str, image: Image) -> dict[str, list[Region]]:
        """The boxes of each entity of a picture."""
        root = self._root(number)
        size = {key: _number(root.findtext(f"size/{key}")) for key in ("width", "height")}
        frame = frame_of(size, image)
        boxes: dict[str, list[Region]] = {}
        for entry in root.findall("object"):
            for box in entry.findall("bndbox"):
                try:
                    region = _box(box, frame)
                except DataError as error:
                    raise DataError(f"{self.annotations / number}.xml: {error}") from error
                for name in entry.findall("name"):
                    boxes.setdefault(_name(name), []).append(region)
        return boxes


def _entities(line: str) -> list[str]:
    """The numbers of a caption's phrases that name something."""
    return [entity for match in _PHRASE.finditer(line) if (entity := match[1]) != _NO_OBJECT]


def _name(element: ElementTree.Element) -> str:
    return (element.text or "").strip()


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
