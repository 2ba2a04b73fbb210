"""Reading "yes" and "no"."""

from __future__ import annotations

from triptych.evaluate.parsers.cues import sentence_of, statements, taken_back
from triptych.evaluate.parsers.marked import marked, without_style
from triptych.evaluate.parsers.thinking import spoken
from triptych.evaluate.parsers.unread import (
    CONTRADICTS,
    EMPTY,
    NOTHING_CONCLUDED,
    TAKEN_BACK,
    THINKS_TO_THE_END,
    Unread,
)
from triptych.evaluate.parsers.words import NO, YES, commits, letters_of, vocabulary, words_of

_LEAD = vocabulary("answer the is it well oh so i think say would final correct my therefore thus hence")
"""What may stand before the word without changing it: "The answer is yes."."""

_NO_ANSWER = vocabulary("tell say know sure certain determine idea clue opinion maybe perhaps possibly or")
"""After "no", these make it something else than the answer: "No idea.", "No way to tell", "No or maybe"."""

_PHRASES = vocabulary("doubt matter problem way answer answers comment")
"""Directly after "no", these do the same: "No doubt"."""

_LANGUAGES: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (vocabulary(yes), vocabulary(no))
    for yes, no in (
        ("是 是的 对 对的 對 對的", "否 不 不是 不是的 不对 不對"),
        ("はい ええ", "いいえ いえ"),
        ("네 예", "아니요 아니오 아뇨"),
        ("sí", "no"),
        ("sim", "não"),
        ("sì", "no"),
        ("oui", "non"),
        ("ja", "nein nee nej nei"),
        ("да", "нет"),
        ("так", "ні"),
        ("tak", "nie"),
        ("ano", "ne"),
        ("evet", "hayır"),
        ("हाँ हां", "नहीं"),
        ("نعم", "لا"),
        ("بله", "خیر نه"),
        ("iya ya", "tidak"),
        ("ναι", "όχι"),
        ("כן", "לא"),
        ("ใช่", "ไม่ ไม่ใช่"),
    )
)
"""Yes and no in languages that models answer in; what means either only with the question ("有") is left out."""

_YES = YES.union(*(yes for yes, _ in _LANGUAGES))
_NO = NO.union(*(no for _, no in _LANGUAGES))


def parse_yes_no(text: str) -> str | None:
    """`yes` or `no`, if the answer begins with one and does not go on to say the other, or concludes one; see `read_yes_no`."""
    read = read_yes_no(text)
    return None if isinstance(read, Unread) else read


def read_yes_no(text: str) -> str | Unread:
    """`yes` or `no`, or why an answer is neither.

    "No, there is no dog.", "… so the answer is no.", "<think>…</think>\\\\boxed{No}", "Nein." are `no`. "Yes and no", "There is a dog.",
    "not sure" and "No idea." are unread: what they mean depends on the question, or on nothing.
    """
    said = spoken(text)
    if said is None:
        return THINKS_TO_THE_END
    if not any(character.isalnum() for character in said):
        return EMPTY
    boxes = {_plain(content) for content in marked(said)}
    said = without_style(said).strip()
    sentence, asks = sentence_of(said)
    if asks and _leading(sentence) is not None:
        return NOTHING_CONCLUDED
    leading, plain = _leading(said), _plain(said)
    announced, end = set(), 0
    for statement in statements(said):
        if (word := _leading(statement.sentence)) is not None:
            announced.add(_plain(statement.sentence))
            end = statement.start + len(statement.sentence)
    lines = [line for line in said.split("\n") if letters_of(words_of(line))]
    last = _bare(lines[-1]) if len(lines) > 1 else None
    concluded = boxes | announced | ({last} if last else set())
    if not concluded:
        return NOTHING_CONCLUDED if leading is None else plain or CONTRADICTS
    if None in concluded or len(concluded | ({leading} if leading else set())) > 1:
        return CONTRADICTS
    (word,) = concluded
    assert word is not None
    return TAKEN_BACK if announced and taken_back(said[end:]) else word


def _said(words: list[str]) -> int | None:
    """Where a text says yes or no first, with nothing before it but words that change nothing."""
    place = next((i for i, word in enumerate(words) if word in _YES or word in _NO), None)
    return None if place is None or any(word not in _LEAD for word in words[:place]) else place


def _leading(text: str) -> str | None:
    """The yes or no that a text begins with, whatever comes after it."""
    words = letters_of(words_of(text))
    place = _said(words)
    return None if place is None else "yes" if words[place] in _YES else "no"


def _plain(text: str) -> str | None:
    """The yes or no that a text begins with, if it does not go on to say the other, or to doubt."""
    words = letters_of(words_of(text))
    place = _said(words)
    if place is None:
        return None
    said, after = words[place], words[place + 1 :]
    yes, no = _opposites(said)
    if said in _YES:
        return "yes" if commits(after) and not no & set(after) else None
    takes_back = any(word in yes or word in _NO_ANSWER for word in after) or (after and after[0] in _PHRASES)
    return None if takes_back else "no"


def _opposites(word: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words for yes and for no in English and in the languages that a word belongs to."""
    own = [(yes, no) for yes, no in _LANGUAGES if word in yes or word in no]
    return YES.union(*(yes for yes, _ in own)), NO.union(*(no for _, no in own))


def _bare(line: str) -> str | None:
    """The yes or no that a line consists of."""
    words = letters_of(words_of(line))
    place = _said(words)
    return None if place is None or len(words) > place + 1 or line.rstrip().endswith("?") else _plain(line)
