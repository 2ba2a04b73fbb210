"""Calls in an answer: what is written is read back; whatever else comes is answered with a verdict, never carried out."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.grounding.calls import (
    LONGEST_CAPTION,
    MOST_CALLS,
    MOST_PHRASES,
    Call,
    read_calls,
    write_answer,
    write_calls,
)

CALL = Call("detector", "cup", "above the dog")
WRITTEN = write_calls([CALL])
words = st.text("abcdefgh äöü-'\"\\{}[]", min_size=1, max_size=20).filter(lambda text: text.strip())


@given(
    st.lists(words, min_size=1, max_size=3),
    st.sampled_from(["", "all", "two", "leftmost", "above the cup"]),
    st.booleans(),
)
def test_what_is_written_is_read_back(captions: list[str], select: str, full: bool) -> None:
    calls = [Call("detector", caption.strip(), select) for caption in captions]
    text = write_calls(calls, "full" if full else "brief", thoughts="I look", value="wait")
    reading = read_calls(text, "detector")
    assert (reading.calls, reading.verdict) == (tuple(calls), "valid")
    assert reading.value == ("wait" if full else "")


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN[:-2],
        WRITTEN[:-5],
        WRITTEN.replace('"', "'"),
        f"Of course: {WRITTEN}",
        f"```json\n{WRITTEN}\n```",
        WRITTEN.replace("}}]}", "},}],}"),
        WRITTEN.replace("[{", "{").replace("}]", "}"),
        WRITTEN.replace('{"actions": [', ""),
        '{"thoughts🤔": "", "actions🚀": [{"API_name": "detector", "API_params": {"caption": "cup", "select": "above the dog", "x": 1}}]}',
    ],
)
def test_what_is_broken_is_repaired_where_the_meaning_is_clear(text: str) -> None:
    reading = read_calls(text, "detector")
    assert (reading.calls, reading.verdict) == ((CALL,), "repaired")


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN.replace("detector", "os.system"),
        WRITTEN.replace('"cup"', "7"),
        WRITTEN.replace('"cup"', '" . "'),
        WRITTEN[:40],
        '{"actions": "detector"}',
        '{"actions": [3, null]}',
        '["detector"]{',
        '{"answer": 3}{',
        "{" * 5000,
        '{"actions": [{"API_name": "detector", "API_params": ' + "[" * 5000,
    ],
)
def test_what_is_no_call_of_the_detector_calls_nobody(text: str) -> None:
    reading = read_calls(text, "detector")
    assert reading.calls == ()
    assert reading.verdict in ("invalid", "none")


def test_an_answer_in_words_is_no_call() -> None:
    assert read_calls("There is no cup.", "detector").verdict == "none"
    reading = read_calls(write_answer("no cup", "full"), "detector")
    assert (reading.verdict, reading.value) == ("none", "no cup")
    assert write_answer("no cup") == "no cup"


def test_one_answer_cannot_ask_for_everything() -> None:
    many = read_calls(write_calls([CALL] * 100), "detector")
    assert len(many.calls) == MOST_CALLS
    long = read_calls(write_calls([Call("detector", "a. b" * 5000)]), "detector")
    assert len(long.calls[0].caption) <= LONGEST_CAPTION and long.verdict == "repaired"
    assert len(Call("detector", ". ".join(map(str, range(500)))).phrases) == MOST_PHRASES


def test_mutated_answers_never_crash_and_only_ever_call_the_detector() -> None:
    draw = random.Random(0)
    alphabet = "{}[]\",:'\\ \n.abc0🤔\ud800"
    seeds = [WRITTEN, write_calls([CALL, CALL], "full", thoughts="x"), json.dumps({"actions": []}), "none"]
    verdicts = set()
    for _ in range(4000):
        text = list(draw.choice(seeds))
        for _ in range(draw.randint(1, 6)):
            place = draw.randrange(len(text) + 1)
            match draw.randrange(3):
                case 0:
                    text.insert(place, draw.choice(alphabet))
                case 1:
                    del text[place : place + draw.randint(1, 8)]
                case _:
                    text[place : place + 1] = draw.choice(alphabet)
        reading = read_calls("".join(text), "detector")
        assert all(call.name == "detector" and call.phrases and call.selector is not None for call in reading.calls)
        assert bool(reading.calls) == (reading.verdict in ("valid", "repaired"))
        verdicts.add(reading.verdict)
    assert verdicts == {"valid", "repaired", "invalid", "none"}


def test_halves_of_characters_are_replaced_in_all_that_is_read() -> None:
    """Tokenizers and files take none, and JSON can escape them."""
    action = {"API_name": "detector", "API_params": {"caption": "\ud800dog", "select": "above the \udfffcat"}}
    reading = read_calls(json.dumps({"thoughts": "", "actions": [action], "value": "\ud83d one"}), "detector")
    (call,) = reading.calls
    assert (call.caption, call.select, reading.value) == ("?dog", "above the ?cat", "? one")
    assert call.wanted == ["?dog", "?cat"]
