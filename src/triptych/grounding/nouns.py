"""The singular of English nouns: what a detector looks for where words speak of several.

The library `pluralizer` knows the rules of English; the tables below hold nouns of things that it gets wrong. Each entry
was found by a comparison with WordNet's nouns and irregular plurals.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pluralizer import Pluralizer


def vocabulary(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def _pairs(text: str) -> dict[str, str]:
    """Plural → singular of `plural:singular` pairs."""
    return dict(pair.split(":") for pair in text.split())


_SINGULARS = {
    **_pairs(
        "antennae:antenna aquaria:aquarium auditoria:auditorium brethren:brother busses:bus cicadae:cicada "
        "formulae:formula gladioli:gladiolus gymnasia:gymnasium hippopotami:hippopotamus larvae:larva "
        "mausolea:mausoleum oases:oasis octopi:octopus planetaria:planetarium platypi:platypus retinae:retina "
        "rostra:rostrum spectra:spectrum stadia:stadium terraria:terrarium torsi:torso"
    ),
    # Endings that do not show where the singular ends: -ies of -ie, -ches of -che, -oes of -o, -zes of -z, -ves of -ve …
    **_pairs(
        "beanies:beanie birdies:birdie booties:bootie bowties:bowtie cowries:cowrie doggies:doggie hankies:hankie "
        "hoagies:hoagie hoodies:hoodie kiddies:kiddie magpies:magpie nighties:nightie onesies:onesie pinkies:pinkie "
        "potpies:potpie prairies:prairie roomies:roomie selfies:selfie softies:softie sorties:sortie "
        "valkyries:valkyrie weenies:weenie daisies:daisy embassies:embassy patsies:patsy pixies:pixy aches:ache "
        "apaches:apache avalanches:avalanche brioches:brioche caches:cache cartouches:cartouche cloches:cloche "
        "creches:creche douches:douche headaches:headache moustaches:moustache mustaches:mustache niches:niche "
        "quiches:quiche toothaches:toothache armadilloes:armadillo avocadoes:avocado banjoes:banjo buffaloes:buffalo "
        "calicoes:calico commandoes:commando desperadoes:desperado dominoes:domino flamencoes:flamenco haloes:halo "
        "lassoes:lasso mementoes:memento mosquitoes:mosquito porticoes:portico tuxedoes:tuxedo vetoes:veto "
        "zeroes:zero blintzes:blintz chintzes:chintz quartzes:quartz topazes:topaz waltzes:waltz bivalves:bivalve "
        "salves:salve weaves:weave crevasses:crevasse lacrosses:lacrosse mousses:mousse wrasses:wrasse "
        "cayuses:cayuse excuses:excuse fuses:fuse muses:muse recluses:recluse ruses:ruse"
    ),
    # Plain -s behind a vowel, which the rules take for a part of the word.
    **_pairs(
        "bayous:bayou bijous:bijou caribous:caribou cpus:cpu daiquiris:daiquiri ferraris:ferrari gnus:gnu gurus:guru "
        "haikus:haiku kudus:kudu marabous:marabou safaris:safari sagas:saga bodegas:bodega congas:conga "
        "quaggas:quagga rutabagas:rutabaga saris:sari togas:toga tutus:tutu zebus:zebu"
    ),
    # Singulars that end in s.
    **_pairs(
        "amaryllises:amaryllis axises:axis chrysalises:chrysalis clematises:clematis daises:dais ibises:ibis "
        "lenses:lens mantises:mantis metropolises:metropolis pancreases:pancreas pelvises:pelvis "
        "proboscises:proboscis rhinoceroses:rhinoceros thermoses:thermos trellises:trellis"
    ),
}
"""Nouns in the plural whose singular the library does not know."""

_SAME = vocabulary(
    # One thing, or as many as are meant, under a name that has no singular.
    "binoculars boxers breeches briefs britches cattle chinos clippers clothes dungarees earmuffs eyeglasses "
    "fatigues goggles headphones hovercraft jodhpurs khakis knickers leggings moai offspring overalls pajamas pants "
    "panties pantyhose pyjamas shears shorts slacks spacecraft soapsuds spectacles species squid suds sunglasses "
    "suspenders sweatpants tights tongs trousers tweezers underpants watercraft"
)
"""Nouns that are the same in both numbers, beside those that the library knows (sheep, fish, aircraft)."""

_NO_PLURAL = vocabulary(
    # Singulars with the ending of a plural.
    "abdomen acumen amaryllis amen arthritis asbestos axis basis bias biceps bitumen cannabis chaos chrysalis "
    "clematis claus cosmos dais epidermis ethos foramen gymnastics hepatitis ibis lens mantis mars mathematics "
    "metropolis molasses necropolis oasis omen pampas pancreas pathos pelvis physics politics proboscis quadriceps "
    "ramen regimen rhinoceros semen specimen sports stamen texas thermos trellis triceps venus yemen "
    # Words that are no nouns, to which the library gives a number as well.
    "always are ourselves downstairs have hers indoors lots ours our outdoors perhaps sideways their theirs "
    "them themselves these they those towards upstairs us we were yours yourselves"
)
"""Words that are no plural although they look like one. `sports` stands before another noun: sports ball, sports car."""

_HYPHENED = ("-in-law", "-by", "-on", "-up")
"""Ends of compounds whose first part takes the plural: mothers-in-law, passers-by, hangers-on, runners-up."""


def singular_of(word: str) -> str | None:
    """The singular of a noun in the plural, in the same letters; None for a word that is no plural.

    A noun with one form for both numbers (sheep), or without a singular (scissors), is its own singular.

    >>> [singular_of(word) for word in ("People", "knives", "TVs", "sheep", "dress")]
    ['Person', 'knife', 'TV', 'sheep', None]
    """
    singular = _singular_of(word.lower())
    if singular is None:
        return None
    if word.isupper():
        return singular.upper()
    kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(word.lower(), singular, strict=False)))
    return word[:kept] + singular[kept:]


@lru_cache(1 << 16)
def _singular_of(word: str) -> str | None:
    for end in _HYPHENED:
        if word.endswith(end):
            first = _singular_of(word.removesuffix(end))
            return None if first is None else first + end
    before, hyphen, last = word.rpartition("-")
    if hyphen:
        last_singular = _singular_of(last)
        return None if last_singular is None else f"{before}-{last_singular}"
    if not word.isalpha() or len(word) < 3 or word in _NO_PLURAL:
        return None
    if word in _SAME:
        return word
    if word in _SINGULARS:
        return _SINGULARS[word]
    singular = str(_library().singular(word))
    if singular != word:
        return singular
    return word if _library().plural(word) == word else None


@cache
def _library() -> Pluralizer:
    from pluralizer import Pluralizer

    return Pluralizer()
