"""Qwen-VL (Bai et al., 2023): integers from 0 to 999 behind tags.

    <ref>the dog</ref><box>(123,456),(789,900)</box>

Several boxes of one phrase follow each other. The tags are single tokens, the numbers digits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from triptych.conversation import Region
from triptych.grounding.formats.format import OTHER_UNIT, Parsed, numbers_of, possible, region_of, verdict_of
from triptych.language.regions import Token

REF, END_REF, BOX, END_BOX = "<ref>", "</ref>", "<box>", "</box>"

_STRICT = re.compile(r"(?:<ref>([^<>]+)</ref>)?((?:<box>\(\d{1,3},\d{1,3}\)(?:,\(\d{1,3},\d{1,3}\))?</box>)+)")
_BOX = re.compile(r"(?:<ref>(?P<phrase>[^<>]{0,1000})(?:</ref>)?\s*)?<box>?(?P<inside>[^<>]{0,200})(?:</box>?)?")
_BARE = re.compile(r"\(\s*\d+\s*,\s*\d+\s*\)\s*,\s*\(\s*\d+\s*,\s*\d+\s*\)")
_TRACE = re.compile(r"</?\s*(?:ref|box)|\(\s*\d+\s*,\s*\d+", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?")


def thousandth(number: float) -> int:
    """The thousandth of the picture, 0 to 999, that a normalised coordinate falls in."""
    return min(999, max(0, math.floor(number * 1000)))


def middle(number: float) -> float:
    """The normalised coordinate in the middle of a thousandth."""
    return (number + 0.5) / 1000


class Qwen:
    """The format."""

    bins = 0
    tokens: tuple[str, ...] = (REF, END_REF, BOX, END_BOX)

    def write(self, phrase: str, regions: Sequence[Region]) -> list[str | Token]:
        """The phrase in its tags, if there is one, and a box per region; a point is one pair."""
        written: list[str | Token] = [Token(REF), phrase, Token(END_REF)] if phrase else []
        for region in regions:
            numbers = [thousandth(number) for number in numbers_of(region)]
            pairs = [f"({x},{y})" for x, y in zip(numbers[0::2], numbers[1::2], strict=True)]
            written += [Token(BOX), ",".join(pairs), Token(END_BOX)]
        return written

    def parse(self, text: str) -> Parsed:
        """Two or four numbers in a box, or two pairs in a row without one, are a region."""
        regions: list[Region] = []
        strict = not _TRACE.search(_STRICT.sub("", text))
        words, at, last, reason = [], 0, "", ""
        matches = [*_BOX.finditer(text)] or [*_BARE.finditer(text)]
        for match in matches:
            between, at = text[at : match.start()], match.end()
            words.append(between)
            named = match.groupdict()
            if named.get("phrase") is not None:
                last = named["phrase"].strip()
                words.append(named["phrase"])
            elif between.strip():
                last = ""
            numbers = [float(number) for number in _NUMBER.findall(named.get("inside", match.group()))]
            numbers = numbers[: len(numbers) // 2 * 2][:4]
            if not numbers:
                strict = False
                continue
            shares = [middle(number) for number in numbers]
            if not possible(shares):
                strict, reason = False, OTHER_UNIT
                continue
            region, repaired = region_of(shares, last)
            strict &= not repaired
            regions.append(region)
        words.append(text[at:])
        return Parsed(tuple(regions), "".join(words), verdict_of(regions, strict, bool(_TRACE.search(text))), reason)
