"""Words that announce an answer, in the languages that models answer in: "The correct answer is", "答案是", "Réponse :".

Each ends where the answer begins. A noun alone ("option B shows …") announces nothing; it takes a verb or a colon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINK = (
    r"(?:\s+(?:to|for|of)\s+(?:the|this|that|your)\s+(?:[\w-]{1,20}\s+){0,3}[\w-]{1,20})?(?:\s+here)?"
    r"(?:,?\s+(?:that|which)\s+(?:[\w'’-]{1,20}\s+){1,8}?(?=is\b))?[\s*_`\"'#)]{0,8}(?:,?\s*(?:therefore|thus|then|hence),?\s+)?"
)
"""What may stand between "the answer" and "is": what it answers, a relative clause, emphasis."""

_ENGLISH = (
    rf"\b(?:answers?|ans|solution|response|selection|conclusion)\b{_LINK}"
    r"(?:\bis\b|['’]s\b|\bwas\b|\b(?:would|should|will|must|has\s+to|have\s+to)\s+be\b|[:=]|->|→|⇒|=>|(?<=\s)[-–—](?=\s))",
    rf"\b(?:choice|option|letter)\b{_LINK}(?:\bis\b|\bwas\b|\b(?:would|should|will|must|has\s+to|have\s+to)\s+be\b)",
    r"(?:\b(?:correct|best|right|final|chosen|selected|my|your)\s+|(?:^|\n)[\s#*_>]*)(?:choice|option|letter)[*_]*\s*(?:[:=]|->|→)",
    r"(?:^|\n)[ \t#*_>]*(?:the\s+)?(?:final\s+|correct\s+|my\s+)?answer[ \t#*_]*\n",
    r"\b(?:i|we)(?:['’](?:d|ll|ve|m)|\s+(?:would|will|should|must|can|have|therefore|thus|hence|am))*\s+"
    r"(?:choose|chose|chosen|select|selected|pick|picked|say(?=\s+(?:it|that|option|[(*]?[A-Z]\b))|go\s+(?:with|for)|going\s+(?:with|for)|opt\s+for|opted\s+for|answer|vote\s+for|"
    r"settle\s+on|conclude\s+(?:that\s+)?(?:it\s+is|it['’]s))\s",
)
_ADJECTIVES = (
    r"correcte?|correcta|correcto|correta|corretta|certa|giusta|esatta|exacte?|juste|finale?|adecuada|bonne|meilleure|à\s+(?:la|cette)\s+question|"
    r"a\s+la\s+pregunta|à\s+pergunta|alla\s+domanda"
)
_VERBS = r"(?:\best\b|\bserait\b|\bes\b|é\b|è\b|\bsería\b|\bseria\b|\bsarebbe\b)"
_OPTION_NOUNS = r"(?:proposition|opci[óo]n|opç[ãa]o|opzione|option|alternativa|letra|lettre|lettera|scelta)"
_ROMANCE = (
    rf"\b(?:r[ée]ponse|respuesta|resposta|risposta|soluci[óo]n|solução|soluzione)(?:\s+(?:{_ADJECTIVES}))*\s*(?:{_VERBS}|[:=])"
    r"(?:\s+(?:donc|quindi|entonces|portanto)\b)?",
    rf"\b{_OPTION_NOUNS}(?:\s+(?:{_ADJECTIVES}))*\s*{_VERBS}(?:\s+donc\b)?",
    rf"\b(?:{_OPTION_NOUNS}(?:\s+(?:{_ADJECTIVES}))+|(?:bonne|meilleure)\s+{_OPTION_NOUNS})\s*[:=]",
)
_GERMANIC = (
    r"\b(?:richtig|korrekt)\s+ist\b",
    r"\b(?:antwort|lösung|loesung|auswahl)(?:option|möglichkeit)?\s*(?:\bist\b|\blautet\b|\bwäre\b|[:=])(?:\s+(?:also|daher|somit)\b)?",
    r"\bantwoord\s*(?:\bis\b|\bluidt\b|[:=])",
    r"\bsvar(?:et)?\s*(?:\bär\b|\ber\b|[:=])",
)
_SLAVIC = (
    r"\b(?:ответ|відповідь|отговор)\s*(?:[-—–:=]|это\b|є\b|е\b)",
    r"\b(?:правильн|верн|правилн)\w{0,4}\s+(?:ответ|вариант|відповідь|отговор)(?:\s+ответа)?\s*(?:[-—–:=]|это\b|є\b|е\b)?",
    r"\bodpowied[źz](?:ią)?\s*(?:\bto\b|\bjest\b|\bbrzmi\b:?|[:=])",
    r"\bodpověď\s*(?:\bje\b|[:=])",
)
_ASIAN = (
    r"(?:正确|正確|最终|最終|标准|標準|参考|參考)(?:的)?(?:答案|选项|選項)(?:应该|應該|应|應|就)?(?:是|为|為|选(?!项)|選(?!項)|:|=)*",
    r"(?:答案|选项|選項|答)(?:应该|應該|应|應|就)?(?:是|为|為|选(?!项)|選(?!項)|:|=)+",
    r"(?<![不非没沒未别勿])(?:选择|選擇|选|選)(?![项項择擇])(?:是|:)*",
    r"(?:正解|正答|答え|答|回答|解答|正しい答え|正しい選択肢)(?:は|:|=|→)+",
    r"(?:정답|답변|답안|해답|답)(?:은|는|이|:|=)+",
    r"คำตอบ(?:ที่ถูกต้อง|สุดท้าย)?\s*(?:คือ|:)",
    r"\b(?:đáp\s+án|câu\s+trả\s+lời|lựa\s+chọn)(?:\s+(?:đúng|chính\s+xác|cuối\s+cùng))*\s*(?:\blà\b|[:=])",
    r"\bjawaban(?:nya)?(?:\s+(?:yang\s+)?(?:benar|tepat|betul|akhir))*\s*(?:\badalah\b|\bialah\b|[:=])",
    r"सही\s+(?:उत्तर|जवाब|विकल्प)\s*(?:है|:|-)?",
    r"(?:उत्तर|जवाब)\s*(?:है|:|-)",
    r"\bdoğru\s+(?:cevap|yanıt|seçenek)\s*:?",
    r"\b(?:cevap|yanıt)\s*[:=]",
    r"(?:الإجابة|الاجابة|الجواب|الخيار)(?:\s+(?:الصحيحة|الصحيح|النهائية|النهائي))*\s*(?:هي|هو|:)",
    r"(?:الإجابة|الاجابة|الجواب|الخيار)\s+(?:الصحيحة|الصحيح)",
    r"(?:پاسخ|جواب)(?:\s+(?:صحیح|درست|نهایی))*\s*:",
    r"התשובה(?:\s+הנכונה)?\s*(?:היא|:)",
    r"απάντηση\s*(?:είναι|:)",
)
_CUE = re.compile("|".join((*_ENGLISH, *_ROMANCE, *_GERMANIC, *_SLAVIC, *_ASIAN)), re.IGNORECASE)

_CLAUSE_ENDS = re.compile(r"[.!?;:,\n。！？；，]")
_WITHDRAWS = re.compile(
    r"\b(?:not|never|cannot|doubt\w*|unlikely|hardly|if|whether|unless|suppos\w+|assum\w+|imagin\w+|maybe|perhaps|possibly|might|"
    r"may|could|either|neither|nor|unsure|uncertain|si|falls|wenn|ob|se|если)\b|n['’]t\b|如果|若|假如|假设|假設|是否|不是|并非|もし|만약",
    re.IGNORECASE,
)
"""Before a statement in its clause, these take it back, make it depend on something, or ask."""

_TAKES_BACK = re.compile(
    r"(?:^|[.!?…\n。！？]\s*|\bbut\s+)(?:(?:but\s+)?wait|hmm|actually|oops|on\s+second\s+thought|scratch\s+that|correction|"
    r"(?:that|this|it)(?:['’]s|\s+is|\s+was)\s+(?:wrong|incorrect|not\s+(?:right|correct|true)|a\s+mistake))\b|"
    r"\bI(?:['’]m|\s+am|\s+was)\s+(?:not\s+(?:entirely\s+|completely\s+|quite\s+|very\s+|really\s+|so\s+)?(?:sure|certain)|unsure|uncertain|"
    r"wrong|mistaken)\b",
    re.IGNORECASE,
)
"""Anywhere after an answer, these take it back or doubt it."""

_DOUBTS = re.compile(
    r"\b(?:not|n['’]t)\s+(?:\w+\s+)?(?:sure|certain)\b|\b(?:maybe|perhaps|possibly|unsure|uncertain)\b|^[\s.!?,;:…-]*(?:no|nope|sorry|nein|non)\b(?!\s+\w+\s+(?:is|are|was)\b)",
    re.IGNORECASE,
)
"""In the rest of its sentence, or directly behind it, these do."""
_SENTENCE = re.compile(r"[.!?。！？](?=\s|$|[^\x00-\x7f])|\n")


REACH = 1000
"""How many characters behind an announcement are looked at: an option's text is no longer."""


@dataclass(frozen=True)
class Statement:
    """An announced answer.

    Args:
        content: What follows the announcement, as far as `REACH` goes.
        sentence: Of this, as far as the sentence or line goes, without its full stop.
        start: Where the content begins in the text.
    """

    content: str
    sentence: str
    start: int


def statements(text: str) -> Iterator[Statement]:
    """What a text announces as its answer: not what it denies, supposes, doubts or asks."""
    for match in _CUE.finditer(text):
        behind = text[match.end() : match.end() + REACH]
        content = behind.lstrip(" \t\r\n:：=*_#")
        start = match.end() + len(behind) - len(content)
        sentence, asks = sentence_of(content)
        if content and not asks and not withdrawn(text, match.start()):
            yield Statement(content, sentence, start)


def sentence_of(text: str) -> tuple[str, bool]:
    """The first sentence or line of a text without its mark, and whether it is a question."""
    match = _SENTENCE.search(text)
    # "B. frog": the full stop belongs to the letter
    while match is not None and match.group() == "." and match.start() <= 3 and match.end() < len(text):
        match = _SENTENCE.search(text, match.end())
    if match is None:
        return text.strip(), False
    return text[: match.start()].strip(), match.group() in ("?", "？")


def withdrawn(text: str, start: int) -> bool:
    """Whether the clause in front of a statement denies, supposes or doubts what comes."""
    before = text[max(0, start - 80) : start]
    clause = before[max((match.end() for match in _CLAUSE_ENDS.finditer(before)), default=0) :]
    return _WITHDRAWS.search(clause) is not None


def taken_back(after: str) -> bool:
    """Whether what follows an answer takes it back or doubts it."""
    rest = sentence_of(after.lstrip(" \t.!):;*_"))[0]
    return _TAKES_BACK.search(after) is not None or _DOUBTS.search(rest) is not None
