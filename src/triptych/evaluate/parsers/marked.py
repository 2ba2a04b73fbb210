r"""Answers that are marked as such: `\boxed{B}`, `<answer>B</answer>`, `{"answer": "B"}`."""

from __future__ import annotations

import re

_TAGS = ("answer", "final_answer", "finalanswer", "conclusion")
_BOXES = ("\\boxed", "\\fbox", "\\framebox")
_GLM = ("<|begin_of_box|>", "<|end_of_box|>")
_JSON = re.compile(
    r"[\"'](?:final[ _]?|correct[ _]?|predicted[ _]?|your[ _]?)?(?:answer|option|choice)(?:[ _]?(?:letter|choice|option))?[\"']\s*:\s*"
    r"(?:\"((?:[^\"\\]|\\.){0,2000})\"|'([^'\n]{0,2000})'|([\w.+-]{1,100}))",
    re.IGNORECASE,
)
_STYLE = re.compile(
    r"\\(?:text|textbf|textit|textrm|texttt|mathbf|mathrm|mathit|mathsf|mbox|bf|rm)\s*\{([^{}]{0,500})\}"
)

_WIDE = {0xFF01 + offset: 0x21 + offset for offset in range(94)} | {0x3000: 0x20}
_MATHEMATICS = re.compile(r"\\[()\[\], ]")


def marked(text: str) -> list[str]:
    """The contents of all marks, in no order; TeX's commands of style are taken off them."""
    return [_plain(content) for content in (*_tagged(text), *_boxed(text), *_keyed(text))]


def _tagged(text: str) -> list[str]:
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    found: list[str] = []
    for opening, closing in (*((f"<{tag}>", f"</{tag}>") for tag in _TAGS), _GLM):
        at = 0
        while (start := lower.find(opening, at)) >= 0:
            start += len(opening)
            end = lower.find(closing, start)
            at = len(text) if end < 0 else end  # generation may stop at the closing tag
            found.append(text[start:at])
    return found


def _boxed(text: str) -> list[str]:
    found = []
    for command in _BOXES:
        at = 0
        while (place := text.find(command, at)) >= 0:
            at = place + len(command)
            start = at + len(text[at : at + 8]) - len(text[at : at + 8].lstrip())
            if text[start : start + 1] == "{" and (end := _closing(text, start)) is not None:
                found.append(text[start + 1 : end])
                at = end
    return found


def _closing(text: str, start: int, longest: int = 400) -> int | None:
    """Where the brace closes that opens at `start`; `None` if it does not within reach."""
    depth = 0
    for place in range(start, min(len(text), start + longest)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place
    return None


def _keyed(text: str) -> list[str]:
    return [next(part for part in match.groups() if part is not None) for match in _JSON.finditer(text)]


def without_style(text: str) -> str:
    """The text without TeX's commands of style and the signs that begin and end mathematics; full-width signs in ASCII."""
    text = text.translate(_WIDE)
    for _ in range(3):  # \text{\textbf{B}}
        bare = _STYLE.sub(r"\1", text)
        if bare == text:
            break
        text = bare
    return _MATHEMATICS.sub(" ", text)


def _plain(content: str) -> str:
    return without_style(content).strip(" \t\r\n$")
