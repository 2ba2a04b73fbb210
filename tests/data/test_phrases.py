"""The words of a caption that name something to see."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from triptych.data.phrases import FUNCTION_WORDS, content_words


def test_a_caption_leaves_what_it_names() -> None:
    assert content_words(["A brown dog runs through the snow .", "The dog's ball"]) == (
        "ball",
        "brown",
        "dog",
        "dog's",
        "runs",
        "snow",
    )


@given(st.lists(st.text()))
def test_no_function_words_no_repetitions(captions: list[str]) -> None:
    words = content_words(captions)
    assert not FUNCTION_WORDS & set(words)
    assert list(words) == sorted(set(words))
