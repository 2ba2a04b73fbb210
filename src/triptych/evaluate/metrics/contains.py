"""Whether an answer holds the text that is to be read off a picture (OCRBench: Y. Liu et al., 2024).

The script asks whether the true text is anywhere in the answer: "12" is found in "1234", and who recites a dictionary is always right.
`contains` wants it at the edges of words, and hardly more said than it.
"""

from __future__ import annotations

import re

MORE = 30
"""How many words may stand beside the true text: a sentence about it, but no list of guesses."""

_WIDE = {0xFF01 + offset: 0x21 + offset for offset in range(94)} | {0x3000: 0x20}


def contains(answer: str, truth: str, formula: bool = False) -> bool:
    """Whether the true text stands in an answer that says at most `MORE` words beside it; case and width aside.

    Args:
        answer: What was said.
        truth: The text in the picture.
        formula: Written in TeX: white space does not count, case does.
    """
    if not truth.strip():
        return False
    if formula:
        said, true = "".join(answer.split()), "".join(truth.split())
        return true in said and len(said) <= len(true) + 6 * MORE
    said, true = (" ".join(text.translate(_WIDE).lower().split()) for text in (answer, truth))
    if len(said.split()) > len(true.split()) + MORE:
        return False
    before = r"(?<![a-z0-9])" if true[0].isascii() and true[0].isalnum() else ""
    after = r"(?![a-z0-9])" if true[-1].isascii() and true[-1].isalnum() else ""
    return re.search(before + re.escape(true) + after, said) is not None


def contains_script(answer: str, truth: str, formula: bool = False) -> bool:
    """As OCRBench's script has it."""
    if formula:
        return _formula(truth) in _formula(answer)
    return truth.lower().strip().replace("\n", " ") in answer.lower().strip().replace("\n", " ")


def _formula(text: str) -> str:
    return text.strip().replace("\n", " ").replace(" ", "")
