"""Answers of every format with things left out, put in, turned and moved: what no parser may break on."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from triptych.conversation import Frame, Region
from triptych.grounding.calls import Call, read_calls, write_calls
from triptych.grounding.config import TextRegionsConfig
from triptych.grounding.formats.build import TextRegions, build_format

PICTURE = Frame(200, 100)
DOG, CUP = Region((20, 10, 100, 60), PICTURE), Region((120, 10, 190, 95), PICTURE)
POINT = Region.from_points([(50, 50)], PICTURE)

TEXT_FORMATS = ("kosmos2", "shikra", "qwen", "json")
FORMATS = (*TEXT_FORMATS, "call")
"""The formats of region-as-text, and the calls of text-to-grounding."""

PIECES = ["<", "[", "{", "9" * 30, "-5", "1e999", "NaN", "\ud800", "</object>", "(", ",,", ";", '"', "null", "<box>"]
PIECES += ["<phrase>", "<patch_index_0001>", "]" * 40, "[" * 2000, '{"bbox":', "true", "\x00", "é", " and ", "\\", "🤔"]
PIECES += ["9" * 400, "-" + "8" * 5000, "[" + "9" * 400 + ", 1, 2, 3]"]
PIECES += ["API_name", '"caption": ', "'", "}}", "0." + "3" * 40, "<patch_index_99999999999>", "\u0663", "(1,2),(3,4)"]


def mutated(text: str, draw: random.Random) -> str:
    """A text with some of it left out, put in, turned, moved."""
    for _ in range(draw.randint(1, 8)):
        a, b = sorted((draw.randint(0, len(text)), draw.randint(0, len(text))))
        match draw.randrange(5):
            case 0:
                text = text[:a] + text[min(b, a + 12) :]
            case 1:
                text = text[:a] + draw.choice(PIECES) + text[a:]
            case 2:
                text = text[:a] + text[a:b][::-1] + text[b:]
            case 3:
                text = text[:a]
            case _:
                text = text[b:] + text[:a]
    return text


@dataclass
class Survived:
    """What became of mutated answers of a format.

    Args:
        verdicts: How many got which.
        seconds: Of the processor, reading them all.
        slowest: Of the one that took longest, in seconds.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0


def survive(name: str, count: int) -> Survived:
    """Read so many mutated answers of a format; AssertionError where one is answered with nonsense, whatever it raises where it breaks."""
    draw, found = random.Random(name), Survived()
    bases, read = _format(name)
    for number in range(count):
        text = mutated(bases[number % len(bases)], draw)
        began = time.process_time()
        verdict, regions = read(text)
        took = time.process_time() - began
        assert regions == (verdict in ("valid", "repaired")), (
            f"{verdict} with{'' if regions else 'out'} regions: {text!r}"
        )
        found.verdicts[verdict] += 1
        found.seconds += took
        found.slowest = max(found.slowest, took)
    return found


def _format(name: str) -> tuple[list[str], Callable[[str], tuple[str, bool]]]:
    """Answers as they should be, and the reader: a verdict, and whether there are regions (or calls)."""
    if name == "call":
        calls = [Call("detector", "cup", "above the dog"), Call("detector", "dog. small cup", "all")]
        return [write_calls(calls[:1]), write_calls(calls, "full", thoughts="I look", value="wait"), "none"], _read_call
    form = build_format(TextRegionsConfig(format=name))  # type: ignore[arg-type]
    answers = (["There is", " a dog", DOG, " and", " cups", CUP, DOG, "."], ["cup", CUP], ["here", POINT], ["none"])
    bases = ["".join(map(str, TextRegions(form).write(parts, True))) for parts in answers]  # type: ignore[arg-type]
    return bases, partial(_read_text, form)


def _read_text(form: object, text: str) -> tuple[str, bool]:
    parsed = form.parse(text)  # type: ignore[attr-defined]
    assert all(0 <= value <= 1 for region in parsed.regions for value in region.box), text
    return parsed.verdict, bool(parsed.regions)


def _read_call(text: str) -> tuple[str, bool]:
    reading = read_calls(text, "detector")
    assert all(call.name == "detector" and call.phrases and call.selector is not None for call in reading.calls), text
    return reading.verdict, bool(reading.calls)
