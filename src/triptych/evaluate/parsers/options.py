"""Reading which option of a choice question an answer takes.

Four kinds of places say it, and all of them must agree: marks (`\\boxed{B}`), announcements ("The correct answer is (B)."), statements
("(B) is correct"), and a first or last line that is nothing but the option. What is only mentioned ("(A) shows a heron") says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from triptych.evaluate.parsers.cues import REACH, sentence_of, statements, taken_back, withdrawn
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

Choices = Mapping[str, str]
"""Option letters → the texts of the options."""

_WORD = r"[A-Za-z0-9À-ӿͰ-Ͽ]"
_OPEN = r"[(\[{*_\"'“”‘`$«「『【<]*"
_CLOSE = r"[)\]}*_\"'“”’`$»」』】>]*"
_FILLERS = (
    r"(?:(?:so|thus|therefore|hence|final(?:ly)?|well|the|my|(?:i|we)(?= (?:think|believe|would|say|choose|pick|select))|think|believe|would|say|choose|pick|select|correct|right|best|answer|"
    r"option|choice|letter|is|it|it['’]s|that|be|clearly|definitely|indeed|most|likely|probably|simply|ans|"
    r"la|le|el|il|der|die|das|het|l['’]|opción|opção|opzione|lettre|letra|lettera|alternativa|a\s+(?:letra|alternativa|opção)|"
    r"вариант|буква|donc|also|por\s+lo\s+tanto|选项|選項|選択肢|옵션|보기|选择|選擇)(?:\b|(?=[^\x00-\x7f]))[\s:,=*_#]*){0,12}"
)
_LETTER = rf"(?<!{_WORD})(?P<open>{_OPEN})\s?(?P<letter>[A-Za-z])\s?(?P<close>{_CLOSE})(?!{_WORD}|['’][a-z])"
_ANNOUNCED = re.compile(rf"[\s:：=#>]*{_FILLERS}{_LETTER}(?P<after>.*)$", re.IGNORECASE | re.DOTALL)
_WHOLE = re.compile(
    rf"[\s\W]{{0,20}}?(?P<lead>{_FILLERS}){_LETTER}(?P<after>[.):;,!、。](?!\w\.).*|\s+[-–—]\s.*|\s*\n.*|\s*)$",
    re.IGNORECASE | re.DOTALL,
)
_PREFIX = re.compile(rf"^[^\w(\[]*{_FILLERS}", re.IGNORECASE)
_GOES_ON = re.compile(
    r"\s*(?:$|[^\s\w(]|\n|\(|[^\x00-\x7f]|(?:and|or|but|not|because|since|as|for|which|based|due|given|so|is|was|here|from|in\s+this|dir|ist|porque|car)\b)",
    re.IGNORECASE,
)
"""What may follow a bare letter that an announcement ends in; any other word may make it an article or part of a name."""

_JOINED = re.compile(
    r"^[\s.]*(?:(?P<firm>/|\||\bor\b|\band/or\b|\boder\b|\bou\b|\bili\b|или|或者|或|还是|還是|または|또는|\bo\b)|,|;|&|\+|、|和|与|與|と|와|과|"
    r"\band\b|\bund\b|\bet\b|\by\b|\be\b|\bи\b)\s*(?:and\s+|or\s+|also\s+|both\s+|the\s+|option\s+|choice\s+|answer\s+)*"
    rf"{_OPEN}(?P<other>[A-Z])(?!{_WORD})(?P<rest>.{{0,12}})",
    re.IGNORECASE | re.DOTALL,
)
_DENIED = re.compile(
    r"^\s*(?:is|was|are|isn|ist|es|est|è|é)\s*(?:not\b|n['’]t\b|nicht\b|incorrect\b|wrong\b|false\b)|^\s+(?:not|nicht)\b\s*(?:\W|$|correct|right)|"
    r"^\s*(?:ではな|じゃな|(?:가|이|는|은)\s*아[니닙]|不对|不正确|是错|错误)",
    re.IGNORECASE,
)
_WRONG = re.compile(r"^[^.\n]{0,200}?[-–—:(]\s*(?:incorrect|wrong|false|not\s+correct)\b", re.IGNORECASE)
_OR_ANOTHER = re.compile(
    r"\b(?:or|oder|ou|o|either)\s+(?:option\s+|choice\s+)?(?:[(\[]([A-Z])[)\]]|([A-Z])(?=\s*(?:[.,;:!]|$)))|或\s*\(?([A-Z])"
)
_STATED = re.compile(
    rf"(?<!{_WORD})(?:(?:option|choice|answer)\s+)?(?:[(\[*\"'`]+(?P<a>[A-Z])[)\]*\"'`]+|(?P<b>[A-Z]))(?!{_WORD})"
    r"(?:\s+(?:is|es|est|ist|è|é)\s+(?:(?:the|la|le|die|clearly|therefore|thus|most|likely|definitely|indeed|a)\s+){0,3}"
    r"(?:correct|right|best|true|correcta|correcto|correcte|bonne|richtig|richtige|korrekt|corretta|correta)\b(?!\s+(?:in|about|that|regarding|as|to)\b)"
    r"|\s*(?:项|選項|选项)?(?:是|为|為)?(?:正确|正確|对|對)(?:的)?|が正解|が正しい|(?:가|이)\s*정답)"
)
"""Capital letters only: "a is correct" may end a word that was cut."""

_IN_BRACKETS = re.compile(r"\(([A-Z])\)")
_IS_BRACKETED = re.compile(r"\b(?:is|are|be|was|were|equals)\s*:?\s*\(([A-Z])\)")
_MARKER = re.compile(r"^[\s>*_#-]*[(\[]?([A-Z])[)\].:][*_]*\s*(\S.*)?$")
_OTHERS = re.compile(rf"(?<!{_WORD})(?<!['’])[(\[]?([A-Z])(?:[)\].:]|\s*$|\s+(?:or|and)\b)|\bor\s+[(\[]?([A-Z])\b")


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
    said = _without_listing(without_style(said).strip(), choices)
    if not any(character.isalnum() for character in said):
        return EMPTY
    forms = _Forms(choices)
    concluded = [*_marks(said, choices, forms), *_announcements(said, choices, forms), *_stated(said, choices)]
    firm = bool(concluded)
    concluded += [*_lines(said, choices, forms, firm)]
    if not concluded:
        concluded = [*_bracketed(said, choices)]
    letters = {taken.letter for taken in concluded}
    if not letters:
        return NOTHING_CONCLUDED
    if len(letters) > 1 or None in letters:
        return CONTRADICTS
    (letter,) = letters
    assert letter is not None
    after = said[max(taken.end for taken in concluded) :]
    beside = re.match(rf"[\s).:;,*_\]\"-]*{re.escape(choices[letter].strip())}", after, re.IGNORECASE)
    if taken_back(after[beside.end() :] if beside is not None else after):
        return TAKEN_BACK
    return letter


class _Forms:
    """Which options a text may be: their words in lower case, punctuation and a leading article aside."""

    def __init__(self, choices: Choices) -> None:
        self.by_text: dict[str, list[str]] = {}
        for letter, option in choices.items():
            self.by_text.setdefault(form(option), []).append(letter)
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


def _marks(said: str, choices: Choices, forms: _Forms) -> Iterator[_Taken]:
    for content in marked(said):
        taken = _whole(content, choices, forms)
        if taken is not None:
            yield taken
        elif re.search(rf"(?<!{_WORD})[{''.join(choices)}](?!{_WORD})", content) or not content.strip():
            yield _Taken(None)  # names an option, but not one


def _announcements(said: str, choices: Choices, forms: _Forms) -> Iterator[_Taken]:
    for statement in statements(said):
        line = statement.content.split("\n", 1)[0]
        text = next((letter for part in (line, statement.sentence) if (letter := forms.option(part)) is not None), None)
        match = _ANNOUNCED.match(statement.content)
        letter = match.group("letter").upper() if match is not None else ""
        if match is None or letter not in choices or not _is_letter(match, forms):
            if text is not None:
                yield _Taken(text, statement.start + len(statement.sentence))
            continue
        after = match.group("after")
        if _DENIED.match(after) or _WRONG.match(after) or _is_question(after):
            continue
        bare = not form(after.split("\n", 1)[0])
        if _others_joined(after, letter, choices) or (text not in (None, letter) and not bare):
            yield _Taken(None)
        else:
            yield _Taken(letter, statement.start + match.end("close"))


def _is_letter(match: re.Match[str], forms: _Forms) -> bool:
    """Whether the letter after an announcement is one, and not an article or the beginning of something else."""
    after, letter = match.group("after"), match.group("letter").upper()
    beside = sentence_of(after.lstrip(" .):;,-–—*_"))[0]
    named = forms.are(beside)
    if named and letter not in named:
        return False
    if named:
        return True
    wrapped = bool(match.group("open")) and bool(match.group("close"))
    if not wrapped and match.group("letter").islower() and after[:1].isspace() and after[1:2].isalpha():
        return False
    return wrapped or _GOES_ON.match(after) is not None


def _others_joined(after: str, letter: str, choices: Choices) -> bool:
    """ "B or C", "B, C", "B and C": whether the answer goes on with another letter."""
    rest = sentence_of(after.lstrip(" .):"))[0]
    if any(other in choices and other != letter for groups in _OR_ANOTHER.findall(rest) for other in groups if other):
        return True
    match = _JOINED.match(after)
    if match is None or match.group("other").upper() not in choices or match.group("other").upper() == letter:
        return False
    if match.group("other").islower():
        return match.group("firm") is not None and not re.match(r"\s+\w", match.group("rest"))
    # "B, A is wrong": the other letter begins another statement
    return match.group("firm") is not None or re.match(r"\s+(?:is|was|does|has|shows)\b", match.group("rest")) is None


def _is_question(after: str) -> bool:
    return bool(re.match(r"[^.!?\n]{0,80}\?", after))


def _stated(said: str, choices: Choices) -> Iterator[_Taken]:
    for match in _STATED.finditer(said):
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


def _lines(said: str, choices: Choices, forms: _Forms, firm: bool) -> Iterator[_Taken]:
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
        match = _WHOLE.match(sentences[-1])
        if match is not None and match.group("lead").strip() and not withdrawn(sentences[-1], match.start("letter")):
            taken = _alone(sentences[-1], choices, forms)
            if taken is not None:
                yield _Taken(taken, len(said))


def _alone(line: str, choices: Choices, forms: _Forms) -> str | None:
    """The option that a line is: a letter, with its own text at most."""
    match = _WHOLE.match(line)
    if match is None or (letter := match.group("letter").upper()) not in choices or line.rstrip().endswith("?"):
        return None
    if match.group("letter").islower() and not match.group("open") and len(form(line)) > 1:
        return None
    beside = _beside(match.group("after"))
    return letter if not form(beside) or letter in forms.are(beside) else None


def _whole(said: str, choices: Choices, forms: _Forms) -> _Taken | None:
    """What a text is as a whole: an option's text, or one that begins with a letter that stands by itself."""
    match = _WHOLE.match(said)
    letter = match.group("letter").upper() if match is not None else ""
    if match is not None and letter in choices and not form(match.group("after")):
        return _Taken(None) if said.endswith("?") else _Taken(letter, len(said))
    for part in dict.fromkeys((said, _PREFIX.sub("", said, count=1))):
        if (text := forms.option(part)) is not None:
            return _Taken(text, len(said))
    if match is None or letter not in choices or withdrawn(said, match.start("letter")):
        return None
    after = match.group("after")
    first = match.group("after").split("\n", 1)[0]
    if _DENIED.match(after) or (not form(first) and _is_question(first)):
        return None
    letters = forms.are(_beside(after))
    if letters and letter not in letters:
        return _Taken(None)
    if _others_joined(after, letter, choices):
        return _Taken(None)
    alone = not form(first) and "\n" in after  # a line of its own, and then why
    others = {found for groups in _OTHERS.findall(after) for found in groups if found} - {letter}
    if others & set(choices) and not alone and letter not in letters:
        return None  # a list of what each option shows, or a comparison
    return _Taken(letter, match.end("close"))


def _beside(after: str) -> str:
    """What stands beside a letter, without the signs between: "B - frog"."""
    return after.strip(" \t\r\n-–—:.)")


def _bracketed(said: str, choices: Choices) -> Iterator[_Taken]:
    """ "The number of tiles is (A) 6.": the only option in brackets, after a verb that says what is."""
    if len({letter for letter in _IN_BRACKETS.findall(said) if letter in choices}) != 1:
        return
    for match in _IS_BRACKETED.finditer(said):
        after = said[match.end() : match.end() + REACH]
        refused = withdrawn(said, match.start()) or _is_question(after) or _DENIED.match(after)
        if match.group(1) in choices and not refused and not _others_joined(after, match.group(1), choices):
            yield _Taken(match.group(1), match.end())


def _without_listing(said: str, choices: Choices) -> str:
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
