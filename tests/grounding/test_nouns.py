"""Singulars of English nouns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from english import COCO, OTHERS, SINGULARS
from triptych.grounding.nouns import singular_of
from triptych.scenes.things import all_things

NOUNS = {name: plural for name, plural in (COCO | OTHERS).items() if name not in ("skis", "ax")}
ONE_WORD = {name: plural for name, plural in NOUNS.items() if " " not in name}


@pytest.mark.parametrize("name", ONE_WORD)
def test_a_plural_has_its_singular(name: str) -> None:
    assert singular_of(NOUNS[name]) == name


@pytest.mark.parametrize("word", SINGULARS)
def test_a_singular_is_no_plural(word: str) -> None:
    assert singular_of(word) in (None, word)


@given(st.sampled_from(sorted(set(ONE_WORD) - {"die", "T-shirt", "TV", "German"})))
def test_the_singular_of_a_plural_is_none_itself(name: str) -> None:
    assert singular_of(name) in (None, name)


@given(st.sampled_from(sorted(ONE_WORD)))
def test_letters_keep_their_case(name: str) -> None:
    plural = ONE_WORD[name]
    assert singular_of(plural.upper()) == name.upper()
    assert singular_of(plural[0].upper() + plural[1:]) == name[0].upper() + name[1:]


def test_things_of_the_scenes_have_the_singulars_of_their_list() -> None:
    for thing in all_things():
        *_, last = thing.plural.split()
        if thing.plural.rpartition(" ")[0] == thing.name.rpartition(" ")[0]:
            assert singular_of(last) == thing.name.split()[-1]


@pytest.mark.parametrize(
    "word", ["", "-", "s", "es", "2", "dogs'", "men's", "them", "these", "was", "--s", "\N{SLICE OF PIZZA}"]
)
def test_what_is_no_noun_has_no_singular(word: str) -> None:
    assert singular_of(word) is None


@given(st.text(max_size=20))
def test_any_word_is_answered(word: str) -> None:
    singular = singular_of(word)
    assert singular is None or singular


def test_the_tables_hold_what_the_library_gets_wrong_and_nothing_else() -> None:
    from pluralizer import Pluralizer

    from triptych.grounding import nouns

    library = Pluralizer()
    assert [plural for plural, name in nouns._SINGULARS.items() if library.singular(plural) == name] == []
    assert [word for word in nouns._SAME if library.singular(word) == word == library.plural(word)] == []
    assert [word for word in nouns._NO_PLURAL if library.singular(word) == word != library.plural(word)] == []
    assert not (nouns._SINGULARS.keys() & (nouns._SAME | nouns._NO_PLURAL) or nouns._SAME & nouns._NO_PLURAL)
