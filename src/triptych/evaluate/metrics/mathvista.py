"""Answers to MathVista's questions (P. Lu et al., ICLR 2024): numbers that are rounded as the true answer is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from triptych.evaluate.metrics.anls import levenshtein
from triptych.evaluate.parsers.quantities import numbers_in


def equal_numbers(parsed: str, truth: str, precision: int) -> bool:
    """Whether numbers are those of the truth, rounded to its places; a whole number must be one."""
    said, true = numbers_in(parsed), numbers_in(truth)
    if not true or len(said) != len(true):
        return False
    if precision:
        return all(round(a, precision) == round(b, precision) for a, b in zip(said, true, strict=True))
    return said == true


def mathvista_script(answer: str, choices: Sequence[str], answer_type: str, precision: int) -> str | None:
    """The answer as the authors' script normalises it, of the words as they are written: GPT-4, which takes the answer out of them, is left out.

    An answer that names no option becomes the option with the fewest different letters, even where it says nothing.
    """
    said = answer
    if said not in choices and (quoted := re.search(r'The answer is "(.*)"\.', said)):
        said = quoted.group(1)
    if choices:
        said = said.strip()
        if letters := re.findall(r"\(([a-zA-Z])\)", said):
            said = letters[0].upper()
        place = ord(said) - ord("A") if len(said) == 1 else -1
        if 0 <= place < len(choices):
            return choices[place]
        distances = [levenshtein(said, choice) for choice in choices]
        return choices[distances.index(min(distances))]
    try:
        if answer_type == "integer":
            return str(int(float(said)))
        if answer_type == "float":
            return str(round(float(said), precision))
    except (ValueError, OverflowError):
        return None
    return said
