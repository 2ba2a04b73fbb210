"""Expected words are what Stanford's PTBTokenizer (CoreNLP 3.4.1, as pycocoevalcap runs it) gives."""

from __future__ import annotations

import importlib
import json
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.evaluate.scoring.tokenizer import tokenize

SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man's dog runs.", "a man 's dog runs"),
        ("a man 's dog runs .", "a man 's dog runs"),
        ("Don't touch the dog's (black) t-shirt!", "do n't touch the dog 's -lrb- black -rrb- t-shirt"),
        ("I can't; cannot gonna 3,000.50 1/2", "i ca n't can not gon na 3,000.50 1/2"),
        ("Mr. Smith at St. Paul's in the U.S. at 5 p.m.", "mr. smith at st. paul 's in the u.s. at 5 p.m."),
        ('"hello" she said ... -- - wow', "hello she said wow"),
        ("it's we're they've I'd I'm", "it 's we 're they 've i 'd i 'm"),
        ("a 10-year-old man on a 2 x 4", "a 10-year-old man on a 2 x 4"),
        ("a man , two dogs ; a cat : here", "a man two dogs a cat here"),
        ("run,one dogs-cats foo--bar", "run one dogs-cats foo bar"),
        ("5:30 at 12/25/2010 2nd 1980s '80s", "5:30 at 12/25/2010 2nd 1980s '80s"),
        ("black/white & #hashtag @home 50%", "black/white & #hashtag @home 50 %"),
        ("[box] {curly}", "-lsb- box -rsb- -lcb- curly -rcb-"),
        ("café naïve 日本語", "café naïve 日本語"),
        ("don\u2019t \u201cquoted\u201d \u2014 dash\u2026", "do n't quoted dash"),
        ("boys' toys 'quoted' rock 'n' roll", "boys toys quoted rock 'n' roll"),
        ("", ""),
        ("...", ""),
        ("?", ""),
        ("!!!", "!!!"),
    ],
)
def test_captions_are_cut_as_by_the_official_tokenizer(text: str, words: str) -> None:
    assert tokenize(text) == words.split()


@given(st.text())
def test_any_text_is_cut_into_words_without_white_space(text: str) -> None:
    for word in tokenize(text):
        assert word
        assert not any(character.isspace() for character in word)
        assert word == word.lower()


@given(st.lists(st.from_regex("[a-z]{2,8}", fullmatch=True)))
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    words = [word for word in words if word not in ("cannot", "gonna", "wanna", "gotta", "gimme", "lemme")]
    assert tokenize(" ".join(words)) == words


@pytest.mark.parametrize("text", ["1" * 20000 + "x", "a." * 10000, "-." * 10000, "x" + "'s" * 10000, "1-" * 10000])
def test_degenerate_texts_take_no_time(text: str) -> None:
    started = time.perf_counter()
    tokenize(text)
    assert time.perf_counter() - started < 1


def test_real_captions_agree_with_the_java_program() -> None:
    files = [*SHARED.glob("photos/captions_*.json"), *SHARED.glob("coco-mini/annotations/captions_*.json")]
    if not files:
        pytest.skip("the development captions (../shared/data) are not here")
    if shutil.which("java") is None:
        pytest.skip("there is no Java runtime to run the official tokenizer with")
    pytest.importorskip("pycocoevalcap", reason="pycocoevalcap brings the official tokenizer")
    official = importlib.import_module("pycocoevalcap.tokenizer.ptbtokenizer").PTBTokenizer()
    captions = [a["caption"] for file in files for a in json.loads(file.read_text(encoding="utf-8"))["annotations"]]
    theirs = official.tokenize({i: [{"caption": caption}] for i, caption in enumerate(captions)})
    different = [
        (c, theirs[i][0].split(), tokenize(c)) for i, c in enumerate(captions) if theirs[i][0].split() != tokenize(c)
    ]
    assert len(captions) > 4000
    assert len(different) <= 0.001 * len(captions), different[:5]
