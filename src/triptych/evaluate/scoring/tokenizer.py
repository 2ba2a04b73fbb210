"""Words of a caption, cut as the official caption scores cut them.

The official scorer (`pycocoevalcap`) pipes captions through Stanford CoreNLP's `PTBTokenizer` (`-lowerCase`), a Java
program, and then drops punctuation. This is the same convention in Python, so that nobody needs a Java runtime:

- lower case; clitics come apart (`don't` → `do n't`, `dog's` → `dog 's`, `cannot` → `can not`, `gonna` → `gon na`);
- hyphenated words, numbers, fractions, times, dates, addresses and acronyms stay whole;
- an abbreviation keeps its full stop (`mr.`, `u.s.`, `j.`), a sentence's last word does not;
- brackets become `-lrb-`, `-rrb-`, … and *stay*, since the official list of dropped tokens has them in upper case.

Where it differs from the Java program: the latter knows longer lists of abbreviations, emoticons and clipped words
(`'tis`, `y'all`), normalises currency signs and fractions, keeps `(555)` and `what?no` together, and drops what it
cannot read (emoji). On the 4,795 captions of Flickr8k and COCO kept for development the two agree on every one; a
test compares them where those captions and a Java runtime are at hand.
"""

from __future__ import annotations

import html
import re
import unicodedata

_DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""`PUNCTUATIONS` of pycocoevalcap; its upper-case brackets never match lower-cased text, so they are left out."""

_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "–": "-", "—": "-", "\u00a0": " "})

_ABBREVIATION = re.compile(
    r"""
      mr|mrs|ms|dr|prof|sr|jr|gen|col|lt|sgt|capt|gov|sen|rep|rev|hon|ph\.d   # titles
    | st|ave|blvd|rd|mt|inc|ltd|co|corp|dept|univ                             # places, firms
    | jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec                        # months
    | vs|etc|no|est|fig|al
    | (?:[^\W\d_]\.)*[^\W\d_]                                                # an initial (j.), an acronym (u.s.)
    """,
    re.VERBOSE,
)

_SPLIT_WORDS = {
    "cannot": ("can", "not"),
    "gonna": ("gon", "na"),
    "wanna": ("wan", "na"),
    "gotta": ("got", "ta"),
    "gimme": ("gim", "me"),
    "lemme": ("lem", "me"),
}

_TOKEN = re.compile(
    r"""
      (?:https?://|www\.)[^\s"<>]+                         # an address on the web
    | \w[\w.+-]*@[\w-]+(?:\.[\w-]+)+                       # of mail
    | [-+]?(?:\d|\.(?=\d))\d*+(?:[.,:/-]\d++)*+(?:st|nd|rd|th|s)?(?!-?[^\W_])  # number, fraction, time, date, decade
    | '\d\ds?\b                                            # '80s
    | '(?:em|cause|n'|s|re|ve|d|m|ll)(?!\w)                # words that begin with an apostrophe, clitics set apart
    | (?:[@\#](?=[^\W\d_]))?[^\W_](?:[\w&]|[-'./](?=[^\W_]))*(?:\+\+|\#)?  # word: hyphens, points, slashes inside
    | \.\.\.+ | --+ | [?!]{2,} | `` | ''                   # runs of punctuation
    | \S
    """,
    re.VERBOSE,
)

_CLITICS = ("n't", "'s", "'re", "'ve", "'d", "'m", "'ll")


def tokenize(text: str) -> list[str]:
    """The words of `text`; an empty list where there is none."""
    text = unicodedata.normalize("NFC", html.unescape(text).translate(_QUOTES).lower())
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if text.startswith(".", match.end()) and _ABBREVIATION.fullmatch(token):
            tokens.append(token + ".")  # the full stop is the word's own
        else:
            tokens += _parts(token)
    return [token for token in tokens if token not in _DROPPED and token != '"']


def _parts(token: str) -> list[str]:
    if token in _BRACKETS:
        return [_BRACKETS[token]]
    if token in _SPLIT_WORDS:
        return list(_SPLIT_WORDS[token])
    clitics: list[str] = []
    while clitic := next((c for c in _CLITICS if token.endswith(c) and len(token) > len(c)), None):
        token = token[: -len(clitic)]
        clitics.append(clitic)
    return [token, *reversed(clitics)]
