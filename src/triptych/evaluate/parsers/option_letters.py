"""Letters of options within text: where one stands by itself, and what before or behind it makes it something else."""

from __future__ import annotations

import re

from triptych.evaluate.parsers.cues import sentence_of
from triptych.evaluate.parsers.option_texts import Choices, Forms

WORD = r"[A-Za-z0-9À-ӿͰ-Ͽ]"
_OPEN = r"[(\[{*_\"'“”‘`$«「『【<]*"
_CLOSE = r"[)\]}*_\"'“”’`$»」』】>]*"
_FILLERS = (
    r"(?:(?:(?:so|thus|therefore|hence|final(?:ly)?|well|the|my|(?:i|we)(?= (?:think|believe|would|say|choose|pick|select))|think|believe|would|"
    r"should|must|say|choose|pick|select|correct|right|best|answer|option|choice|letter|is|it['’]s|it|that|be|clearly|definitely|indeed|most|"
    r"likely|probably|simply|ans|la|le|el|il|der|die|das|het|opción|opção|opzione|lettre|letra|lettera|alternativa|"
    r"a\s+(?:letra|alternativa|opção)|вариант|буква|donc|also|por\s+lo\s+tanto)\b|l['’]|选项|選項|選択肢|옵션|보기|选择|選擇)[\s:,=*_#]*){0,12}"
)
_LETTER = rf"(?<!{WORD})(?P<open>{_OPEN})\s?(?P<letter>[A-Za-z])\s?(?P<close>{_CLOSE})(?!{WORD}|['’][a-z])"
ANNOUNCED = re.compile(rf"[\s:：=#>]*{_FILLERS}{_LETTER}(?P<after>.*)$", re.IGNORECASE | re.DOTALL)
WHOLE = re.compile(
    rf"[\s\W]{{0,20}}?(?P<lead>{_FILLERS}){_LETTER}(?P<after>[.):;,!、。](?!\w\.).*|\s+[-–—]\s.*|\s*\n.*|\s*[^\w\s]*\s*)$",
    re.IGNORECASE | re.DOTALL,
)
PREFIX = re.compile(rf"^[^\w(\[]*{_FILLERS}", re.IGNORECASE)
_GOES_ON = re.compile(
    r"\s*(?:$|[^\s\w(]|\n|\(|[^\x00-\x7f]|(?:and|or|but|not|because|since|as|for|which|based|due|given|so|is|was|here|from|in\s+this|dir|ist|porque|car)\b)",
    re.IGNORECASE,
)
"""What may follow a bare letter that an announcement ends in; any other word may make it an article or part of a name."""

_JOINED = re.compile(
    r"^[\s.]*(?:(?P<firm>/|\||\bor\b|\band/or\b|\boder\b|\bou\b|\bili\b|или|或者|或|还是|還是|または|또는|\bo\b)|,|;|&|\+|、|和|与|與|と|와|과|"
    r"\band\b|\bund\b|\bet\b|\by\b|\be\b|\bи\b)\s*(?:and\s+|or\s+|also\s+|both\s+|the\s+|option\s+|choice\s+|answer\s+)*"
    rf"{_OPEN}(?P<other>[A-Z])(?!{WORD})(?P<rest>.{{0,12}})",
    re.IGNORECASE | re.DOTALL,
)
DENIED = re.compile(
    r"^\s*(?:is|was|are|isn|ist|es|est|è|é)\s*(?:not\b|n['’]t\b|nicht\b|incorrect\b|wrong\b|false\b)|^\s+(?:not|nicht)\b\s*(?:\W|$|correct|right)|"
    r"^\s*(?:ではな|じゃな|(?:가|이|는|은)\s*아[니닙]|不对|不正确|是错|错误)",
    re.IGNORECASE,
)
WRONG = re.compile(r"^[^.\n]{0,200}?[-–—:(]\s*(?:incorrect|wrong|false|not\s+correct)\b", re.IGNORECASE)
_OR_ANOTHER = re.compile(
    r"\b(?:or|oder|ou|o|either)\s+(?:option\s+|choice\s+)?(?:[(\[]([A-Z])[)\]]|([A-Z])(?=\s*(?:[.,;:!]|$)))|或\s*\(?([A-Z])"
)
STATED = re.compile(
    rf"(?<!{WORD})(?:(?:option|choice|answer)\s+)?(?:[(\[*\"'`]+(?P<a>[A-Z])[)\]*\"'`]+|(?P<b>[A-Z]))(?!{WORD})"
    r"(?:\s+(?:is|es|est|ist|è|é)\s+(?:(?:the|la|le|die|clearly|therefore|thus|most|likely|definitely|indeed|a)\s+){0,3}"
    r"(?:correct|right|best|true|correcta|correcto|correcte|bonne|richtig|richtige|korrekt|corretta|correta)\b(?!\s+(?:in|about|that|regarding|as|to)\b)"
    r"|\s*(?:项|選項|选项)?(?:是|为|為)?(?:正确|正確|对|對)(?:的)?|が正解|が正しい|(?:가|이)\s*정답)"
)
"""Capital letters only: "a is correct" may end a word that was cut."""

IN_BRACKETS = re.compile(r"\(([A-Z])\)")
IS_BRACKETED = re.compile(r"\b(?:is|are|be|was|were|equals)\s*:?\s*\(([A-Z])\)")
OTHERS = re.compile(rf"(?<!{WORD})(?<!['’])[(\[]?([A-Z])(?:[)\].:]|\s*$|\s+(?:or|and)\b)|\bor\s+[(\[]?([A-Z])\b")


def is_letter(match: re.Match[str], forms: Forms) -> bool:
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


def others_joined(after: str, letter: str, choices: Choices) -> bool:
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


def is_question(after: str) -> bool:
    """Whether what follows a letter ends its sentence with a question mark."""
    return bool(re.match(r"[^.!?\n]{0,80}\?", after))
