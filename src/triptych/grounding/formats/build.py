"""From the recipe's word to the format, and from a format to what writes the parts of messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from triptych.conversation import Medium, Region
from triptych.conversation.conversation import Part
from triptych.grounding.config import TextRegionsConfig
from triptych.grounding.formats.format import Format
from triptych.grounding.formats.json import Json
from triptych.grounding.formats.kosmos2 import GROUNDING, Kosmos2
from triptych.grounding.formats.qwen import Qwen
from triptych.grounding.formats.shikra import Shikra
from triptych.language.regions import Token


def build_format(config: TextRegionsConfig) -> Format:
    """The format that a recipe names."""
    match config.format:
        case "kosmos2":
            return Kosmos2(config.bins, GROUNDING in config.prompt + config.caption_prompt)
        case "shikra":
            return Shikra(config.decimals)
        case "qwen":
            return Qwen()
        case "json":
            return Json()
        case _:
            assert_never(config.format)


def unmoved(region: Region) -> Region:
    """Coordinates relative to the picture itself."""
    return region


class TextRegions:
    """Writes regions as text (`triptych.language.regions.RegionWriter`).

    Args:
        format: How.
        moved: From a region of a picture to the frame that the model's coordinates are relative to.
    """

    def __init__(self, format: Format, moved: Callable[[Region], Region] = unmoved) -> None:
        self.format = format
        self.moved = moved

    @property
    def tokens(self) -> tuple[str, ...]:
        """The format's."""
        return self.format.tokens

    def write(self, parts: Sequence[Part], answer: bool) -> list[str | Token | Medium]:
        """The parts with regions written; in an answer, the words of the part in front of regions are their phrase."""
        written: list[str | Token | Medium] = []
        place = 0
        while place < len(parts):
            part = parts[place]
            if not isinstance(part, Region):
                written.append(part)
                place += 1
                continue
            regions = []
            while place < len(parts) and isinstance(found := parts[place], Region):
                regions.append(self.moved(found))
                place += 1
            phrase = ""
            if answer and written and type(written[-1]) is str and any(map(str.isalnum, written[-1])):
                said = written.pop()
                assert isinstance(said, str)
                phrase = said.lstrip()
                if blank := said[: len(said) - len(phrase)]:
                    written.append(blank)
                phrase = phrase.rstrip()
            written += self.format.write(phrase, regions)
        return written
