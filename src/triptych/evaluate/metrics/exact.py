"""Exact match, for short answers of which one is right (GQA: D. Hudson, C. Manning, CVPR 2019)."""

from __future__ import annotations

import string

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = frozenset({"a", "an", "the"})


def exact_match(answer: str, truth: str) -> bool:
    """Whether both are the same words; case, punctuation, white space and articles aside."""
    return _form(answer) == _form(truth) != ""


def exact_script(answer: str, truth: str) -> bool:
    """As lmms-eval scores GQA: case and ASCII punctuation aside, white space and articles not."""
    return answer.lower().translate(_NO_PUNCTUATION) == truth.lower().translate(_NO_PUNCTUATION)


def exact_original(answer: str, truth: str) -> bool:
    """As the script of GQA scores: the very same string."""
    return answer == truth


def _form(text: str) -> str:
    words = text.lower().translate(_NO_PUNCTUATION).split()
    return " ".join(word for word in words if word not in _ARTICLES)
