"""The texts of options, and what stands beside a letter."""

from __future__ import annotations

import re
from collections.abc import Mapping

Choices = Mapping[str, str]
"""Option letters → the texts of the options."""

_MARKER = re.compile(r"^[\s>*_#-]*[(\[]?([A-Z])[)\].:][*_]*\s*(\S.*)?$")


class Forms:
    """Which options a text may be: their words in lower case, punctuation and a leading article aside."""

    def __init__(self, choices: Choices) -> None:
        self.by_text: dict[str, list[str]] = {}
        for letter, option in choices.items():
            self.by_text.setdefault(form(option), []).append(letter)
        for letter, option in choices.items():  # "B frog"
            if form(option):
                self.by_text.setdefault(f"{letter.lower()} {form(option)}", []).append(letter)
        self.bare: dict[str, list[str]] = {}
        for text, letters in self.by_text.items():
            self.bare.setdefault(_no_article(text), []).extend(letters)
        self.choices = choices
        self.longest = max((len(option) for option in choices.values()), default=0) + 60

    def option(self, text: str) -> str | None:
        """The one option whose text this is."""
        said = form(text) if len(text) <= self.longest else ""
        if not said:
            return None
        if letters := self.by_text.get(said):
            return letters[0] if len(letters) == 1 else None
        if said.startswith("a ") and text.lstrip(" \t\r\n*_\"'“`").startswith("A") and "A" in self.choices:
            return None  # "A dog": an article, or the letter
        letters = self.bare.get(_no_article(said), [])
        return letters[0] if len(letters) == 1 else None

    def are(self, text: str) -> list[str]:
        """All options whose text this is."""
        if len(text) > self.longest:
            return []
        return self.by_text.get(form(text), []) or self.bare.get(_no_article(form(text)), [])


def form(text: str) -> str:
    """A text's words and signs in lower case, without punctuation."""
    return " ".join(re.findall(r"\w+|[^\w\s.,;:!?()\"'“”*`]", text.lower()))


def _no_article(text: str) -> str:
    first, _, rest = text.partition(" ")
    return rest if rest and first in ("a", "an", "the") else text


def beside_of(after: str) -> str:
    """What stands beside a letter, without the signs between: "B - frog"."""
    return after.strip(" \t\r\n-–—:.)")


def without_listing(said: str, choices: Choices) -> str:
    """The answer without the options where it repeats them, a line each."""
    lines = said.split("\n")
    copies: dict[int, str] = {}
    for place, line in enumerate(lines):
        match = _MARKER.match(line)
        if (
            match is not None
            and match.group(1) in choices
            and form(match.group(2) or "") == form(choices[match.group(1)])
        ):
            copies[place] = match.group(1)
    if len(set(copies.values())) < 2 or len(copies) == len(lines):
        return said
    first = min(copies)
    before = next((line for line in reversed(lines[:first]) if line.strip()), "")
    if any(form(before).endswith(f"{letter.lower()} {form(text)}") for letter, text in choices.items()):
        return said  # "Answer: A. heron", and the others below: is it the answer, or the first of the list?
    return "\n".join("" if place in copies else line for place, line in enumerate(lines)).strip()
