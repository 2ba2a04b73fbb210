from __future__ import annotations

import re

import pytest

from triptych.scenes import Glyphs, all_things, select


def test_the_list_is_long_and_names_are_unique_short_and_plain():
    things = all_things()
    assert len(things) >= 400
    for words in ([t.name for t in things], [t.plural for t in things], [t.glyph for t in things]):
        assert len(set(words)) == len(words)
    for thing in things:
        assert re.fullmatch(r"[A-Za-z]+([ -][a-z]+)?", thing.name), thing.name
        assert len(thing.glyph) == 1


def test_no_name_is_the_general_word_for_another_thing():
    """With a "ball" on the list beside a "soccer ball", "Is there a ball?" would have two answers."""
    names = {thing.name for thing in all_things()}
    for name in names:
        if " " in name and name != "hot dog":  # no kind of dog
            assert name.split()[-1] not in names, name


@pytest.mark.parametrize(
    ("name", "one", "three"),
    [
        ("dog", "a dog", "three dogs"),
        ("apple", "an apple", "three apples"),
        ("unicorn", "a unicorn", "three unicorns"),
        ("hourglass", "an hourglass", "three hourglasses"),
        ("mouse", "a mouse", "three mice"),
        ("sheep", "a sheep", "three sheep"),
        ("knife", "a knife", "three knives"),
    ],
)
def test_things_are_named_in_english(name: str, one: str, three: str):
    (thing, _) = select([name, "cat" if name != "cat" else "dog"])
    assert (thing.times(1), thing.times(3)) == (one, three)


def test_every_glyph_is_drawn_and_no_two_look_alike(glyphs: Glyphs):
    import numpy as np
    from PIL import Image

    looks = []
    for thing in all_things():
        glyph = glyphs.at(thing.glyph, 64).pixels
        canvas = Image.new("RGB", (64, 64), (225, 225, 225))
        canvas.paste(glyph, ((64 - glyph.width) // 2, (64 - glyph.height) // 2), glyph)
        looks.append(np.asarray(canvas.resize((16, 16), Image.Resampling.BOX), dtype=float).ravel())
    looks = np.array(looks)
    assert looks.std(axis=1).min() > 10, "blank"
    distance = np.sqrt(((looks[:, None] - looks[None]) ** 2).mean(axis=-1)) + 1000 * np.eye(len(looks))
    assert distance.min() > 34  # root mean square over pixels of 0 … 255; what was dropped as look-alike is below
    assert distance[:68, :68].min() > 40


def test_a_font_without_the_glyph_is_an_error_that_names_both(glyphs: Glyphs):
    from triptych.errors import DataError

    with pytest.raises(DataError, match=r"U\+2003"):
        glyphs.at("\u2003", 40)


@pytest.mark.parametrize(
    ("things", "message"),
    [
        (1, "from 2 to"),
        (10_000, "from 2 to"),
        (["dog"], "at least two"),
        (["dog", "cat", "dog"], "'dog' comes twice"),
        (["dog", "elefant"], "did you mean 'elephant'"),
    ],
)
def test_a_bad_selection_is_answered_with_what_to_do(things: int | list[str], message: str):
    with pytest.raises(ValueError, match=message):
        select(things)
