"""Shikra (Chen et al., 2023): decimals in plain text, `[left,top,right,bottom]`; a point is `[x,y]`.

    the dog[0.123,0.456,0.789,0.900] and two cups[0.100,0.100,0.200,0.200;0.300,0.100,0.400,0.200]

No token is added. Nothing marks the phrase either: in an answer it is what follows the last punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from triptych.conversation import Region
from triptych.grounding.formats.format import (
    OTHER_UNIT,
    Parsed,
    last_clause,
    numbers_of,
    possible,
    region_of,
    verdict_of,
)
from triptych.language.regions import Token

_GROUP = re.compile(r"[\[(]([\d.,;:\s+-]*\d[\d.,;:\s+-]*)(?:[\])]|$)")
_NUMBER = re.compile(r"[+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})")
_TRACE = re.compile(r"[\[\]]|\d\s*[,;]\s*\d|\d\.\d")


class Shikra:
    """The format.

    Args:
        decimals: Digits behind the point; 3 in the paper.
    """

    bins = 0
    tokens: tuple[str, ...] = ()

    def __init__(self, decimals: int = 3) -> None:
        self.decimals = decimals
        number = rf"[01]\.\d{{{decimals}}}"
        region = rf"{number},{number}(?:,{number},{number})?"
        self._strict = re.compile(rf"\[{region}(?:;{region})*\]")

    def write(self, phrase: str, regions: Sequence[Region]) -> list[str | Token]:
        """The phrase and the numbers of all of its regions in one pair of brackets."""
        written = [",".join(f"{number:.{self.decimals}f}" for number in numbers_of(region)) for region in regions]
        return [phrase, f"[{';'.join(written)}]"] if phrase else [f"[{';'.join(written)}]"]

    def parse(self, text: str) -> Parsed:
        """Two or four numbers in brackets are a region, whatever stands between them."""
        regions: list[Region] = []
        words: list[str] = []
        strict, at, phrase, reason = True, 0, "", ""
        for match in _GROUP.finditer(text):
            between, at = text[at : match.start()], match.end()
            words.append(between)
            strict &= not _TRACE.search(between) and self._strict.fullmatch(match.group()) is not None
            phrase = last_clause(between)
            for part in match.group(1).split(";"):
                numbers = [float(number) for number in _NUMBER.findall(part)]
                numbers = numbers[: len(numbers) // 2 * 2][:4]
                if not numbers:
                    strict = False
                    continue
                if not possible(numbers):
                    strict, reason = False, OTHER_UNIT
                    continue
                region, repaired = region_of(numbers, phrase)
                strict &= not repaired
                regions.append(region)
        words.append(text[at:])
        strict &= not _TRACE.search(text[at:])
        return Parsed(tuple(regions), "".join(words), verdict_of(regions, strict, bool(_TRACE.search(text))), reason)
