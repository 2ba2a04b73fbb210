"""Kosmos-2 (Peng et al., 2023): a box is two location tokens, cells of a P × P grid, numbered row by row.

    <phrase>a dog</phrase><object><patch_index_0044><patch_index_0863></object>

The cells of the top-left and the bottom-right corner. Several boxes of one phrase stand between one <object> and
</object>, with </delimiter_of_multi_objects/> between them. As published, a prompt that asks for regions begins with <grounding>, and a
phrase to be found stands in its tags: `<grounding><phrase>a dog</phrase>`. The arithmetic is that of transformers' `processing_kosmos2`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from triptych.conversation import NORMALISED, Region
from triptych.conversation.region import Box
from triptych.grounding.formats.format import Parsed, verdict_of
from triptych.language.regions import Token

PHRASE, END_PHRASE, OBJECT, END_OBJECT = "<phrase>", "</phrase>", "<object>", "</object>"
DELIMITER = "</delimiter_of_multi_objects/>"
GROUNDING = "<grounding>"
"""Begins a prompt that is to be answered with regions, in models that were taught so."""

TAGS = (PHRASE, END_PHRASE, OBJECT, END_OBJECT, DELIMITER)

_PIECE = re.compile(r"<patch_index_(\d{1,9})>|</?(?:phrase|object)>|</delimiter_of_multi_objects/>")
_TRACE = re.compile(r"<\s*/?\s*(?:patch|phrase|object)|patch_index|delimiter_of_multi", re.IGNORECASE)


def location_token(cell: int) -> str:
    """The name of a cell's token."""
    return f"<patch_index_{cell:04d}>"


def cells_of(box: Box, bins: int) -> tuple[int, int]:
    """The cells of the top-left and bottom-right corner of a normalised box, which is clipped and may be degenerate."""
    left, top, right, bottom = (min(1.0, max(0.0, value)) for value in box)
    x0, y0 = min(bins - 1, math.floor(left * bins)), min(bins - 1, math.floor(top * bins))
    x1, y1 = max(x0, math.ceil(right * bins - 1)), max(y0, math.ceil(bottom * bins - 1))
    return y0 * bins + x0, y1 * bins + x1


def box_of(first: int, last: int, bins: int) -> Box:
    """The normalised box between two cells: from centre to centre; all of them where they share a row or a column."""
    x0, y0, x1, y1 = first % bins, first // bins, last % bins, last // bins
    side = 1 / bins
    if x0 == x1 or y0 == y1:
        return x0 * side, y0 * side, x1 * side + side, y1 * side + side
    return x0 * side + side / 2, y0 * side + side / 2, x1 * side + side / 2, y1 * side + side / 2


class Kosmos2:
    """The format.

    Args:
        bins: P, cells along one side; 32 in the paper.
        begun: Whether prompts begin with `<grounding>`, which is a token only then.
    """

    def __init__(self, bins: int = 32, begun: bool = False) -> None:
        self.bins, self.begun = bins, begun

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tags, and P² locations."""
        begin = (GROUNDING,) if self.begun else ()
        return (*begin, *TAGS, *(location_token(cell) for cell in range(self.bins**2)))

    def write(self, phrase: str, regions: Sequence[Region]) -> list[str | Token]:
        """The phrase in its tags, if there is one, and the object behind it."""
        written: list[str | Token] = [Token(PHRASE), phrase, Token(END_PHRASE)] if phrase else []
        written.append(Token(OBJECT))
        for number, region in enumerate(regions):
            cells = cells_of(region.to(NORMALISED).box, self.bins)
            written += [Token(DELIMITER)] if number else []
            written += [Token(location_token(cell)) for cell in cells]
        return [*written, Token(END_OBJECT)]

    def parse(self, text: str) -> Parsed:
        """Any two location tokens in a row are a box, tags or none; `valid` where tags are as they are written."""
        regions: list[Region] = []
        words: list[str] = []
        phrase, strict, at = "", True, 0
        state = "text"  # where a well-formed answer stands: text, phrase, after phrase, object, corner, box
        corner: int | None = None
        opened = 0  # where, in `words`, the phrase begins
        for match in _PIECE.finditer(text):
            between, at = text[at : match.start()], match.end()
            piece, cell = match.group(), match.group(1)
            strict &= not _TRACE.search(between) and (not between or state in ("text", "phrase"))
            words.append(between)
            if cell is not None:
                number = int(cell)
                if number >= self.bins**2 or len(cell) != 4:
                    strict = False
                if number >= self.bins**2:
                    continue
                strict &= state in ("object", "corner", "next")
                if corner is None:
                    strict &= state != "corner"
                    corner, state = number, "corner"
                    continue
                region, right = self._region(corner, number, phrase)
                strict &= right
                regions.append(region)
                corner, state = None, "box"
                continue
            strict &= corner is None
            corner = None
            if piece == PHRASE:
                strict &= state == "text"
                opened, phrase, state = len(words), "", "phrase"
            elif piece == END_PHRASE:
                strict &= state == "phrase"
                phrase, state = "".join(words[opened:]).strip() if state == "phrase" else "", "after phrase"
                strict &= bool(phrase)
            elif piece == OBJECT:
                strict &= state in ("text", "after phrase")
                if state == "phrase":  # its end is missing
                    phrase = "".join(words[opened:]).strip()
                state = "object"
            elif piece == DELIMITER:
                strict &= state == "box"
                state = "next"
            else:
                strict &= state == "box"
                phrase, state = "", "text"
        strict &= state == "text" and not _TRACE.search(text[at:])
        words.append(text[at:])
        return Parsed(tuple(regions), "".join(words), verdict_of(regions, strict, bool(_TRACE.search(text))))

    def _region(self, first: int, last: int, phrase: str) -> tuple[Region, bool]:
        """A box, and whether its corners are in order."""
        (y0, x0), (y1, x1) = divmod(first, self.bins), divmod(last, self.bins)
        left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        box = box_of(top * self.bins + left, bottom * self.bins + right, self.bins)
        return Region(box, NORMALISED, phrase), x0 <= x1 and y0 <= y1
