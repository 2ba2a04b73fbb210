"""Reading which option of a choice question an answer takes.

Four kinds of places say it, and all of them must agree: marks (`\\boxed{B}`), announcements ("The correct answer is (B)."), statements
("(B) is correct"), and a first or last line that is nothing but the option. What is only mentioned ("(A) shows a heron") says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from triptych.evaluate.parsers.cues import REACH, sentence_of, statements, taken_back, withdrawn
from triptych.evaluate.parsers.marked import marked, without_style
from triptych.evaluate.parsers.option_letters import (
    ANNOUNCED,
    DENIED,
    IN_BRACKETS,
    IS_BRACKETED,
    OTHERS,
    PREFIX,
    STATED,
    WHOLE,
    WORD,
    WRONG,
    is_letter,
    is_question,
    others_joined,
)  # fmt: skip
from triptych.evaluate.parsers.option_texts import Choices, Forms, beside_of, form, without_listing
from triptych.evaluate.parsers.thinking import spoken
from triptych.evaluate.parsers.unread import (
    CONTRADICTS,
    EMPTY,
    NOTHING_CONCLUDED,
    TAKEN_BACK,
    THINKS_TO_THE_END,
    Unread,
)
from triptych.evaluate.parsers.yes_no import parse_yes_no


@dataclass(frozen=True)
class _Taken:
    """A letter that a place concludes, or `None` where it concludes something that is no single option; where it ends."""

    letter: str | None
    end: int = 0


def parse_option(text: str, choices: Choices) -> str | None:
    """The letter of the option that an answer takes, if it takes one; see `read_option`."""
    read = read_option(text, choices)
    return None if isinstance(read, Unread) else read


def read_option(text: str, choices: Choices) -> str | Unread:
    """The letter of the option that an answer takes, or why it takes none.

    "B", "(b)", "B. a dog", "B - a dog", "The answer is B.", "答案是B", "a dog" where that is an option. Unread: two letters that are
    concluded ("A or B", "Answer: A … Answer: B"), what is denied or doubted ("not A", "B, but I am not sure"), an article ("A dog"
    where no option says so), an option that is only mentioned, a think block that does not end.

    A single letter is the letter of an option, as the questions ask for it, also where another option's text is this letter.

    Args:
        text: The answer.
        choices: Option letters → texts.
    """
    said = spoken(text)
    if said is None:
        return THINKS_TO_THE_END
    if "<answer>" not in said:
        said = said.replace("</answer>", " ")  # the prompt had opened it
    said = without_listing(without_style(said).strip(), choices)
    if not any(character.isalnum() for character in said):
        return EMPTY
    forms = Forms(choices)
    concluded = [*_marks(said, choices, forms), *_announcements(said, choices, forms), *_stated(said, choices)]
    firm = bool(concluded)
    concluded += [*_lines(said, choices, forms, firm)]
    if not concluded:
        concluded = [*_bracketed(said, choices)]
    letters = {taken.letter for taken in concluded}
    if not letters:
        return _yes_or_no(said, choices) or NOTHING_CONCLUDED
    if len(letters) > 1 or None in letters:
        return CONTRADICTS
    (letter,) = letters
    assert letter is not None
    after = said[max(taken.end for taken in concluded) :]
    beside = re.match(rf"[\s).:;,*_\]\"-]*{re.escape(choices[letter].strip())}", after, re.IGNORECASE)
    if taken_back(after[beside.end() :] if beside is not None else after):
        return TAKEN_BACK
    return letter


def _marks(said: str, choices: Choices, forms: Forms) -> Iterator[_Taken]:
    for content in marked(said):
        taken = _whole(content, choices, forms)
        if taken is not None:
            yield taken
        elif re.search(rf"(?<!{WORD})[{''.join(choices)}](?!{WORD})", content) or not content.strip():
            yield _Taken(None)  # names an option, but not one


def _announcements(said: str, choices: Choices, forms: Forms) -> Iterator[_Taken]:
    for statement in statements(said):
        line = statement.content.split("\n", 1)[0]
        text = next((letter for part in (line, statement.sentence) if (letter := forms.option(part)) is not None), None)
        match = ANNOUNCED.match(statement.content)
        letter = match.group("letter").upper() if match is not None else ""
        if match is None or letter not in choices or not is_letter(match, forms):
            if text is not None:
                yield _Taken(text, statement.start + len(statement.sentence))
            continue
        after = match.group("after")
        if DENIED.match(after) or WRONG.match(after) or is_question(after):
            continue
        bare = not form(after.split("\n", 1)[0])
        if others_joined(after, letter, choices) or (text not in (None, letter) and not bare):
            yield _Taken(None)
        else:
            yield _Taken(letter, statement.start + match.end("close"))


def _stated(said: str, choices: Choices) -> Iterator[_Taken]:
    for match in STATED.finditer(said):
        letter = match.group("a") or match.group("b")
        sentence, asks = sentence_of(said[match.end() : match.end() + REACH])
        if letter not in choices or asks or withdrawn(said, match.start()):
            continue
        if re.search(r"\b(?:but|however|although|though|if|when|only|except)\b", sentence, re.IGNORECASE):
            continue
        before = said[max(0, match.start() - 12) : match.start()]
        if joined := re.search(r"([A-Z])[)\]]?\s*(?:,|/|&|\band\b|\bor\b|\bnor\b)\s*$", before):
            yield _Taken(None if joined.group(1) in choices else letter, match.end())
        else:
            yield _Taken(letter, match.end())


def _lines(said: str, choices: Choices, forms: Forms, firm: bool) -> Iterator[_Taken]:
    """What the whole answer, its first line, its last line or its last sentence is, where it is nothing but an option."""
    lines = [line for line in said.split("\n") if any(character.isalnum() for character in line)]
    whole = _whole(said, choices, forms)
    if whole is not None and (not firm or whole.letter is not None):
        yield whole if len(lines) == 1 else _Taken(whole.letter)
        if not firm and whole.letter is None:
            return
    if len(lines) > 1:
        for line in (lines[0], lines[-1]):
            taken = _alone(line, choices, forms)
            if taken is not None:
                yield _Taken(taken, len(said) if line is lines[-1] else said.find(line) + len(line))
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", lines[-1]) if part]
    if len(sentences) > 1 and not sentences[-1].endswith("?"):
        match = WHOLE.match(sentences[-1])
        if match is not None and match.group("lead").strip() and not withdrawn(sentences[-1], match.start("letter")):
            taken = _alone(sentences[-1], choices, forms)
            if taken is not None:
                yield _Taken(taken, len(said))


def _alone(line: str, choices: Choices, forms: Forms) -> str | None:
    """The option that a line is: a letter, with its own text at most."""
    match = WHOLE.match(line)
    if match is None or (letter := match.group("letter").upper()) not in choices or line.rstrip().endswith("?"):
        return None
    if match.group("letter").islower() and not match.group("open") and len(form(line)) > 1:
        return None
    beside = beside_of(match.group("after"))
    return letter if not form(beside) or letter in forms.are(beside) else None


def _whole(said: str, choices: Choices, forms: Forms) -> _Taken | None:
    """What a text is as a whole: an option's text, or one that begins with a letter that stands by itself."""
    match = WHOLE.match(said)
    letter = match.group("letter").upper() if match is not None else ""
    if match is not None and letter in choices and not any(map(str.isalnum, match.group("after"))):
        return _Taken(None) if said.endswith("?") else _Taken(letter, len(said))
    for part in dict.fromkeys((said, PREFIX.sub("", said, count=1))):
        if (text := forms.option(part)) is not None:
            return _Taken(text, len(said))
    if match is None or letter not in choices or withdrawn(said, match.start("letter")):
        return None
    after = match.group("after")
    first = match.group("after").split("\n", 1)[0]
    if DENIED.match(after) or (not form(first) and is_question(first)):
        return None
    letters = forms.are(beside_of(after))
    if letters and letter not in letters:
        return _Taken(None)
    if others_joined(after, letter, choices):
        return _Taken(None)
    alone = not form(first) and "\n" in after  # a line of its own, and then why
    others = {found for groups in OTHERS.findall(after) for found in groups if found} - {letter}
    if others & set(choices) and not alone and letter not in letters:
        return None  # a list of what each option shows, or a comparison
    return _Taken(letter, match.end("close"))


def _bracketed(said: str, choices: Choices) -> Iterator[_Taken]:
    """ "The number of tiles is (A) 6.": the only option in brackets, after a verb that says what is."""
    if len({letter for letter in IN_BRACKETS.findall(said) if letter in choices}) != 1:
        return
    for match in IS_BRACKETED.finditer(said):
        after = said[match.end() : match.end() + REACH]
        refused = withdrawn(said, match.start()) or is_question(after) or DENIED.match(after)
        if match.group(1) in choices and not refused and not others_joined(after, match.group(1), choices):
            yield _Taken(match.group(1), match.end())


def _yes_or_no(said: str, choices: Choices) -> str | None:
    """Where the options are yes and no, an answer that says one of them: "Yes, there is a dog."."""
    words = {parse_yes_no(text) if form(text) in ("yes", "no") else None: letter for letter, text in choices.items()}
    return words.get(parse_yes_no(said)) if len(words) == len(choices) and None not in words else None
