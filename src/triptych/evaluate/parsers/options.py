"""Reading which option of a choice question an answer takes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_LEAD = (
    r"(?:(?:so|thus|therefore|hence|final(?:ly)?|well|the|my|i|think|would|say|choose|pick|correct|right|best|answer|option|"
    r"choice|letter|is|it|it's|be)\b[\s:,=*]*)*"
)
_LETTER = re.compile(
    rf"\W*{_LEAD}[(\[*\"'“`$]*([A-Za-z])[)\]*\"'”`$]*(?P<after>[.):,;\n-].*|\s*)$", re.IGNORECASE | re.DOTALL
)
_OTHER = re.compile(r"(?<![\w'’])[(\[]?([A-Z])(?:[)\].:]|\s*$|\s+(?:or|and)\b)|\bor\s+[(\[]?([A-Z])\b")
_PREFIX = re.compile(rf"^\W*{_LEAD}", re.IGNORECASE)


def parse_option(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter of the option that an answer takes, if it takes one.

    "B", "(b)", "B. a dog", "The answer is B.", "a dog" where that is an option. Unparsed: another letter beside the
    first ("A or B", "not A"), an article ("A dog" where no option says so), an option that is only mentioned.

    Args:
        text: The answer.
        choices: Option letters → texts.
    """
    said = unicodedata.normalize("NFKC", text).strip()
    by_text: dict[str, list[str]] = {}
    for letter, option in choices.items():
        by_text.setdefault(_form(option), []).append(letter)
    for form in dict.fromkeys((_form(said), _form(_PREFIX.sub("", said, count=1)))):
        if form and len(by_text.get(form, ())) == 1:
            return by_text[form][0]
    match = _LETTER.match(said)
    if match is None or (letter := match.group(1).upper()) not in choices:
        return None
    after = match.group("after")
    others = {found for groups in _OTHER.findall(after) for found in groups if found} - {letter}
    if others & set(choices):
        return None
    beside = _form(after)  # "B. a dog": what stands beside the letter must not be another option's text
    return None if beside and beside in by_text and letter not in by_text[beside] else letter


def _form(text: str) -> str:
    return " ".join(re.findall(r"\w+|[^\w\s.,;:!?()\"'“”]", text.lower()))
