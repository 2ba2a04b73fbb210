"""How official scripts read answers, slips included, so that their numbers can be shown beside ours.

Each function says what it does that a reader would not expect. None of them knows "unparsed" unless it says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from string import ascii_uppercase as LETTERS

from triptych.evaluate.metrics.exact import exact_script

Choices = Mapping[str, str]
"""Option letters in order → the texts of the options."""


def pope_script(text: str) -> str:
    """POPE's `evaluate.py`: "no" if the first sentence has the word No, no or not, else "yes".

    Whatever denies nothing is a "yes": an empty answer, a caption, "NO", "No:" or "Nope".
    """
    words = text.split(".")[0].replace(",", "").split(" ")
    return "no" if "No" in words or "not" in words or "no" in words else "yes"


def exact_yes_no(text: str) -> str:
    """lmms-eval's POPE: the answer in lower case without white space around it; "yes." is neither yes nor no."""
    return text.lower().strip()


def prefix_yes_no(text: str) -> str:
    """MME in Otter and lmms-eval: yes or no among the first four characters, else "other"; "Know" is a "no"."""
    said = text.lower().strip().replace(".", "")
    if said in ("y", "n"):
        return {"y": "yes", "n": "no"}[said]
    if len(said) == 1:
        return "other"
    return "yes" if "yes" in said[:4] else "no" if "no" in said[:4] else "other"


def scienceqa_letter(text: str) -> str | None:
    """LLaVA's ScienceQA: the whole answer is a letter, or it begins with a capital and a full stop: "A. ..."."""
    said = text.strip()
    if len(said) >= 2 and said[0].isupper() and said[1] == ".":
        return said[0]
    return said.upper() if len(said) == 1 else None


def first_character(text: str) -> str | None:
    """SEED-Bench in lmms-eval: the first character, whatever follows; "a dog" is A, "Both B and C" is B."""
    first = text.strip()[:1]
    return next((letter for letter in LETTERS if letter.lower() == first.lower()), first) or None


def leading_letter(text: str) -> str:
    """AI2D in lmms-eval: a capital and a full stop at the beginning, else the whole answer; case and marks aside."""
    match = re.match(r"^\s*([A-Z])\.", text)
    said = match.group(1) if match else text
    return next((letter for letter in LETTERS if exact_script(said, letter)), said)


def mmmu_letter(text: str, choices: Choices) -> str | None:
    """MMMU: (A), then "A " anywhere, then "A.", then an option's text in answers of over five words; the last one wins.

    The script takes a random option where it finds none; here that is `None`, and so wrong.
    """
    for mark in (",", ".", "!", "?", ";", ":", "'"):
        text = text.strip(mark)
    text = f" {text} "
    forms: Sequence[Callable[[str], str]] = (lambda c: f"({c})", lambda c: f"{c} ", lambda c: f"{c}.")
    places: list[Callable[[str], str]] = [lambda c: f"({c})", lambda c: f" {c} ", lambda c: f" {c} "]
    for form, place in zip(forms, places, strict=True):
        if found := [choice for choice in choices if form(choice) in text]:
            return max(found, key=lambda choice: (text.rfind(place(choice)), -list(choices).index(choice)))
    if len(text.split()) <= 5:
        return None
    lower = text.lower()
    found = [choice for choice, option in choices.items() if option.lower() in lower]
    return max(found, key=lambda c: (lower.rfind(choices[c].lower()), -list(choices).index(c))) if found else None


_MARKS = (("", "."), ("", ","), ("", ":"), ("", ")"), ("", ")."), ("(", ")"), ("(", ")."), (":", ""), (":", ","),
          (":", "."), (":", ")"), (":", ")."))  # fmt: skip


def mmbench_letter(text: str, choices: Choices) -> str | None:
    """MMBench before it asks ChatGPT: one letter A to E as a word, or with a mark; else the one option's text in it.

    "A" among more than three words is taken for an article, also in "The answer is A".
    """
    words = text.split()
    letters = "ABCDE"
    if sum(letter in words for letter in letters) == 1 and not ("A" in words and len(words) > 3):
        return next(letter for letter in letters if letter in words)
    for before, after in _MARKS:
        if sum(before + letter + after in words for letter in letters) == 1:
            return next(letter for letter in letters if before + letter + after in words)
    said = text.lower()
    found = [letter for letter, option in choices.items() if option.lower() in said]
    return found[0] if len(found) == 1 else None


def mmstar_letter(text: str) -> str | None:
    """MMStar: the first character, or the one behind "(", "option " or "the answer is "; "a dog" is A."""
    said = text.lower().strip().replace("\n", " ")
    for before in ("(", "option ", "the answer is "):
        if said.startswith(before):
            return said[len(before) : len(before) + 1].upper() or None
    return said[:1].upper() or None


def mmmu_pro_letter(text: str, choices: Choices) -> str | None:
    """MMMU-Pro: the one letter anywhere behind the last "Answer:", be it part of a word; else as `mmmu_letter`."""
    place = text.rfind("Answer:")
    if place >= 0:
        found = [letter for letter in choices if letter in text[place + len("Answer:") :].strip()]
        if len(found) == 1:
            return found[0]
    return mmmu_letter(text, choices)


def blink_letter(text: str, choices: Choices) -> str | None:
    """BLINK in lmms-eval: a first line that is a letter, then the last "answer is X", the last "(X)", a leading letter.

    "A dog" is A, and of "The answer is A or B" the A is taken.
    """
    said, letters = text.strip(), "".join(choices)
    first = said.split("\n", 1)[0].strip()
    if len(first) <= 4 and (match := re.match(rf"^\(?([{letters}])\)?[\.\s:,)]*$", first, re.IGNORECASE)):
        return match.group(1).upper()
    for pattern, flags in (
        (rf"answers?(?:\s+is)?\s*[:\-]?\s*\(?([{letters}])\)?(?![A-Za-z])", re.IGNORECASE),
        (rf"\(([{letters}])\)", re.NOFLAG),
    ):
        if found := re.findall(pattern, said, flags):
            return str(found[-1]).upper()
    match = re.match(rf"[\(\s]*([{letters}])[\)\.\s]*", said, re.IGNORECASE)
    return match.group(1).upper() if match else None


_COUNTS = {"none": "0"} | {
    word: str(value)
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
}


def count_script(text: str) -> str:
    """CountBench in lmms-eval: the whole answer in lower case, a number word as digits; "3 dogs" is no 3."""
    said = text.strip().lower()
    return _COUNTS.get(said, said)


def safety_label(text: str) -> str | None:
    """A judge's "safe" or "unsafe": after "your output:", alone, or the last one said; otherwise unparsed."""
    said = text.strip().lower()
    if match := re.search(r"your\s+output\s*:\s*(safe|unsafe)\b", said):
        return match.group(1)
    found = re.findall(r"\b(?:safe|unsafe)\b", said)
    return found[-1] if found else None
