"""The things that a caption mentions, as categories of COCO: by synonyms, in the singular, compounds as one thing.

`chair_script.script_words` reads captions as the original script of CHAIR does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub")
COMPOUNDS = {
    **{word: word for word in (
        "motor bike", "motor cycle", "air plane", "traffic light", "street light", "traffic signal", "stop light",
        "fire hydrant", "stop sign", "parking meter", "suit case", "sports ball", "baseball bat", "baseball glove",
        "tennis racket", "wine glass", "hot dog", "cell phone", "mobile phone", "teddy bear", "hair drier",
        "potted plant", "laptop computer", "stove top oven", "home plate",
    )},
    **{f"{age} {animal}": animal for animal in ANIMALS for age in ("baby", "adult")},
    "passenger jet": "jet", "passenger train": "train", "bow tie": "tie", "toilet seat": "toilet",
}  # fmt: skip
"""Words that mean one thing together: a baby elephant is no person, a hot dog no dog."""

_TRACKS = {"train track": "", "train station": "", "bus stop": "", "bus station": ""}
_IRREGULAR = {
    "children": "child", "men": "man", "women": "woman", "people": "people", "mice": "mouse", "knives": "knife",
    "geese": "goose", "oxen": "ox", "calves": "calf", "thieves": "thief", "policemen": "policeman",
    "gentlemen": "gentleman", "servicemen": "serviceman", "grandchildren": "grandchild", "pocketknives": "pocketknife",
    "bus": "bus", "skis": "skis", "scissors": "scissors", "tennis": "tennis", "sports": "sports",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@cache
def synonyms() -> dict[str, str]:
    """Each word for a thing → the name of its category."""
    text = resources.files("triptych.evaluate.metrics").joinpath("data/coco_synonyms.txt").read_text("utf-8")
    lines = [line.split(", ") for line in text.splitlines() if not line.startswith("#")]
    return {word.lower(): words[0] for words in lines for word in words}


def categories() -> list[str]:
    """The 80 categories in COCO's order."""
    return list(dict.fromkeys(synonyms().values()))


def chair_words(caption: str) -> list[tuple[str, str]]:
    """The things a caption mentions, in order: the word and its category.

    >>> chair_words("Two baby elephants beside a school bus and hot dogs.")
    [('elephant', 'elephant'), ('bus', 'bus'), ('hot dog', 'hot dog')]
    """
    words = [
        _singular(match.group().removesuffix("'s").removesuffix("’s")) for match in _WORD.finditer(caption.lower())
    ]
    kept = [word for word in _joined(words) if word]
    if "toilet" in kept:
        kept = [word for word in kept if word != "seat"]  # "the seat of the toilet" is no chair
    return [(word, synonyms()[word]) for word in kept if word in synonyms()]


def _joined(words: Sequence[str]) -> Iterator[str]:
    compounds = COMPOUNDS | _TRACKS | {word: word for word in synonyms() if " " in word}
    i = 0
    while i < len(words):
        for length in (3, 2):
            compound = " ".join(words[i : i + length])
            if i + length <= len(words) and compound in compounds:
                yield compounds[compound]
                i += length
                break
        else:
            yield words[i]
            i += 1


@cache
def _singular(word: str) -> str:
    """The word that this is the plural of, where that is a word for a thing; otherwise the word itself."""
    if word in _IRREGULAR or word in synonyms():
        return _IRREGULAR.get(word, word)
    endings = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))
    forms = [word.removesuffix(end) + put for end, put in endings if word.endswith(end)]
    return next((form for form in forms if form in synonyms() or form in _parts()), word)


@cache
def _parts() -> frozenset[str]:
    """Words that compounds are made of."""
    return frozenset(part for compound in {**COMPOUNDS, **_TRACKS, **synonyms()} for part in compound.split())
