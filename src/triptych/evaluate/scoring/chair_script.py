"""Captions read as the original script of CHAIR reads them, its slips included.

The script cuts words with NLTK, makes them singular with `pattern.en.singularize`, joins word pairs and looks the rest
up. What that misses: "bus" becomes "bu" and is never seen; "tennis racket" and "sports ball" lose an `s` and are seen
only through "racket" and "ball"; "motor bike", "cheesecake" and "iPhone" are listed with a stray space or a capital;
"stove top oven" has three words and pairs have two; a train is seen in "train tracks", a bus stop is no bus.

The rules of `singularize` below are those of pattern 2.6 (T. De Smedt, W. Daelemans, BSD licence). Sentences end at
`.`, `!` or `?` before white space here; the script asks a trained splitter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triptych.evaluate.parsers.words import vocabulary
from triptych.evaluate.scoring.chair_words import COMPOUNDS, synonyms

_STRAY = frozenset({"motor bike", "cheesecake", "iphone", "stove top oven"})
"""On the script's list in a form that no caption can have."""

_PAIRS = COMPOUNDS | {"wine glas": "wine glass"}
_UNINFLECTED = vocabulary(
    "aircraft antelope bison bream breeches britches carp cattle chassis clippers cod contretemps corps debris diabetes "
    "djinn eland elk flounder gallows georgia graffiti headquarters herpes high-jinks homework innings jackanapes jeans "
    "mackerel measles mews moose mumps news offspring pincers pliers proceedings rabies salmon scissors series shears "
    "species swine swiss trout tuna whiting wildebeest advice bread butter cannabis cheese electricity equipment fruit "
    "furniture garbage gravel happiness information ketchup knowledge love luggage mathematics mayonnaise meat mustard "
    "news progress research rice sand software understanding water"
)
_IE = vocabulary(
    "algerie auntie beanie birdie bogie bombie bookie collie cookie cutie doggie eyrie freebie goonie groupie hankie "
    "hippie hoagie hottie indie junkie laddie laramie lingerie meanie nightie oldie ^pie pixie quickie reverie rookie "
    "softie sortie stoolie sweetie techie ^tie toughie valkyrie veggie weenie yuppie zombie"
)
_S = vocabulary(
    "acropolis aegis alias asbestos bathos bias bus caddis canvas chaos christmas cosmos dais digitalis "
    "epidermis ethos gas glottis ibis lens mantis marquis metropolis pathos pelvis polis rhinoceros sassafras trellis"
)
_IRREGULAR = {
    "men": "man", "people": "person", "children": "child", "sexes": "sex", "axes": "axe", "moves": "move",
    "teeth": "tooth", "geese": "goose", "feet": "foot", "zoa": "zoon", "atlantes": "atlas", "atlases": "atlas",
    "beeves": "beef", "brethren": "brother", "corpora": "corpus", "corpuses": "corpus", "kine": "cow",
    "ephemerides": "ephemeris", "ganglia": "ganglion", "genii": "genie", "genera": "genus", "graffiti": "graffito",
    "helves": "helve", "leaves": "leaf", "loaves": "loaf", "lynxes": "lynx", "monies": "money",
    "mongooses": "mongoose", "mythoi": "mythos", "octopodes": "octopus", "opera": "opus", "opuses": "opus",
    "oxen": "ox", "penes": "penis", "penises": "penis", "soliloquies": "soliloquy", "testes": "testis",
    "trilbys": "trilby", "turves": "turf", "numena": "numen", "occipita": "occiput", "our": "my",
}  # fmt: skip
_RULES = [(re.compile(pattern), put) for pattern, put in (
    (r"(.)ae$", r"\1a"), (r"(.)itis$", r"\1itis"), (r"(.)eaux$", r"\1eau"), (r"(quiz)zes$", r"\1"),
    (r"(matr)ices$", r"\1ix"), (r"(ap|vert|ind)ices$", r"\1ex"), (r"^(ox)en", r"\1"), (r"(alias|status)es$", r"\1"),
    (r"([octop|vir])i$", r"\1us"), (r"(cris|ax|test)es$", r"\1is"), (r"(shoe)s$", r"\1"), (r"(o)es$", r"\1"),
    (r"(bus)es$", r"\1"), (r"([m|l])ice$", r"\1ouse"), (r"(x|ch|ss|sh)es$", r"\1"), (r"(m)ovies$", r"\1ovie"),
    (r"(.)ombies$", r"\1ombie"), (r"(s)eries$", r"\1eries"), (r"([^aeiouy]|qu)ies$", r"\1y"), (r"([aeo]l)ves$", r"\1f"),
    (r"([^d]ea)ves$", r"\1f"), (r"arves$", "arf"), (r"erves$", "erve"), (r"([nlw]i)ves$", r"\1fe"),
    (r"([lr])ves$", r"\1f"), (r"([aeo])ves$", r"\1ve"), (r"(sive)s$", r"\1"), (r"(tive)s$", r"\1"), (r"(hive)s$", r"\1"),
    (r"([^f])ves$", r"\1fe"), (r"(^analy)ses$", r"\1sis"), (r"(analy|ba|diagno|parenthe|progno|synop|the)ses$", r"\1sis"),
    (r"(.)opses$", r"\1opsis"), (r"(.)yses$", r"\1ysis"), (r"(h|d|r|o|n|b|cl|p)oses$", r"\1ose"),
    (r"(fruct|gluc|galact|lact|ket|malt|rib|sacchar|cellul)ose$", r"\1ose"), (r"(.)oses$", r"\1osis"),
    (r"([ti])a$", r"\1um"), (r"(n)ews$", r"\1ews"), (r"s$", ""),
)]  # fmt: skip
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_APART = re.compile(r"\.{2,}|--|[«“‘„»”’`\"\]\[(){}<>;@#$%&?!*‒–—―]|[:,](?!\d)|''")
_CLITIC = re.compile(r"(?<=[^' ])('[smd]|'ll|'re|'ve|n't|')(?= |$)")


def script_words(caption: str) -> list[tuple[str, str]]:
    """The things a caption mentions, in order, as the script finds them: the word and its category."""
    words = list(_pairs([_singular(word) for word in _cut(caption.lower())]))
    if "toilet" in words and "seat" in words:
        words = [word for word in words if word != "seat"]
    known = synonyms()
    return [(word, known[word]) for word in words if word in known and word not in _STRAY]


def _pairs(words: list[str]) -> Iterator[str]:
    i = 0
    while i < len(words):
        pair = " ".join(words[i : i + 2])
        yield _PAIRS.get(pair, words[i])
        i += 2 if pair in _PAIRS else 1


def _cut(text: str) -> list[str]:
    words: list[str] = []
    for sentence in _SENTENCE.split(text.strip()):
        line = _APART.sub(lambda match: f" {match.group()} ", sentence)
        line = re.sub(r"(?<=[^.])\.(?=[\s'\"’”»)\]}>]*$)", " . ", line)
        words += _CLITIC.sub(r" \1", f"{line} ").split()
    return words


def _singular(word: str) -> str:
    if word.endswith("'"):
        return _singular(word[:-1]) + "'s"
    if any(known.endswith(word) for known in _UNINFLECTED):
        return word
    if ie := next((ie for ie in _IE if word.endswith(ie + "s")), None):
        return ie
    if s := next((s for s in _S if word.endswith(s + "es")), None):
        return s
    if plural := next((plural for plural in _IRREGULAR if word.endswith(plural)), None):
        return word[: -len(plural)] + _IRREGULAR[plural]
    for pattern, put in _RULES:
        if pattern.search(word):
            return pattern.sub(put, word)
    return word
