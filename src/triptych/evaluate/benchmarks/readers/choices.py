"""The options of a record. A letter belongs to its place: where an option is absent, the others keep theirs."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from triptych.evaluate.benchmarks.config import RecordsSource
from triptych.evaluate.benchmarks.items import LETTERS, fill, take

Choices = dict[str, str]
"""Letters → texts, in the order of the letters."""

_LINE = re.compile(r"^[ \t]*[(\[]?([A-Z])[.):\]][ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_INLINE = re.compile(r"\b(?:options|choices)\s*:\s*(?=[(\[]?A[.):\]])", re.IGNORECASE)
_MARK = re.compile(r"(?:^|[\s,;])[(\[]?([A-Z])[.):\]]\s*")


def choices_of(source: RecordsSource, values: Mapping[str, Any]) -> Choices:
    """The options of a record by letter; only an empty cell, `null` or NaN is no option ("None" and "N/A" are).

    Raises:
        KeyError: The path leads nowhere.
        ValueError: What stands there is no list, or there are more options than letters.
    """
    if source.options_in_question:
        return options_in(fill(source.question, values))[1]
    if isinstance(source.options, str):
        found = take(values, source.options) if source.options else []
        texts = ["" if _absent(option) else str(option).strip() for option in as_list(found, source.options)]
    else:
        texts = []
        for template in source.options:
            try:
                texts.append(fill(template, values).strip())
            except KeyError:
                texts.append("")
    if len(texts) > len(LETTERS):
        raise ValueError(f"has {len(texts)} options, more than there are letters")
    return {letter: text for letter, text in zip(LETTERS, texts, strict=False) if text}


def as_list(found: Any, path: str) -> list[Any]:
    """A list, also one that was written as text, as MMMU's are; nothing where there is nothing.

    Raises:
        ValueError: It is something else.
    """
    if found is None or _absent(found):
        return []
    if isinstance(found, str):
        try:
            found = ast.literal_eval(found)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise ValueError(f"the options {_short(found)!r} are no list ({error})") from error
    if not isinstance(found, list | tuple):
        raise ValueError(f"the options at {path!r} are no list")
    return list(found)


def options_in(question: str) -> tuple[str, Choices]:
    """A question without the options that stand in it, and these: a line each ("A. left"), or behind "Options:" in one.

    They begin with A and go on letter by letter; whatever else looks like one is part of the question.
    """
    match = _INLINE.search(question)
    if match is not None and "\n" not in question[match.end() :].strip():
        listed = _consecutive([(m.group(1), m.start(), m.end()) for m in _MARK.finditer(question, match.end() - 1)])
        ends = [start for _, start, _ in listed[1:]] + [len(question)]
        choices = {
            letter: question[begin:end].strip(" ,;") for (letter, _, begin), end in zip(listed, ends, strict=True)
        }
        if len(choices) > 1:
            return question[: match.start()].strip(), {k: v for k, v in choices.items() if v}
    lines = [(m.group(1), m.start(), m.start(2), m.end(2), m.end()) for m in _LINE.finditer(question)]
    listed_lines = _consecutive([(line[0], place, 0) for place, line in enumerate(lines)])
    if len(listed_lines) < 2:
        return question, {}
    kept = [lines[place] for _, place, _ in listed_lines]
    choices = {letter: question[begin:end] for letter, _, begin, end, _ in kept}
    rest = question
    for _, start, _, _, end in reversed(kept):
        rest = rest[:start] + rest[end:]
    return re.sub(r"\n{2,}", "\n", rest).strip(), choices


def letter_of(source: RecordsSource, truth: str, choices: Choices) -> str:
    """The letter of the true option.

    Raises:
        ValueError: It is none of the options, or several.
    """
    if source.truth_as == "letter":
        letter = truth.strip("()[]. ").upper()
    elif source.truth_as == "index":
        place = int(float(truth))
        letter = LETTERS[place] if 0 <= place < len(LETTERS) and float(truth) == place else ""
    else:
        letters = [letter for letter, text in choices.items() if text == truth]
        if len(letters) > 1:
            raise ValueError(f"the true answer {_short(truth)!r} is several of its options: {', '.join(letters)}")
        letter = letters[0] if letters else ""
    if letter not in choices:
        raise ValueError(f"the true answer {_short(truth)!r} is none of its {len(choices)} options")
    return letter


def _consecutive(marks: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The last run of marks A, B, C, … one after the other."""
    best: list[tuple[str, int, int]] = []
    run: list[tuple[str, int, int]] = []
    for mark in marks:
        if mark[0] == LETTERS[len(run)]:
            run.append(mark)
        else:
            run = [mark] if mark[0] == "A" else []
        best = list(run) if len(run) >= len(best) else best
    return best


def _absent(option: Any) -> bool:
    return option is None or (isinstance(option, float) and option != option) or option == ""


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
