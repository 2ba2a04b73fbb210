"""Whatever is wrong with one record of any source is an error about that record, and an entry of the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from triptych.conversation import NORMALISED, Conversation, Frame, Image, Region, assistant, user
from triptych.conversation.expression import Expression
from triptych.data.ledger import LONGEST_NAME, LONGEST_REASON, Ledger
from triptych.data.loader import Draws, Event
from triptych.data.mixture import Mixture
from triptych.data.reading import UnexpectedError, read_record, where
from triptych.errors import DataError, RecipeError, WeightsError, excerpt, quoted
from triptych.sequence.plan import Refusal

GOOD = Conversation((user("Hi"), assistant("Hello.")), "good")


class Made:
    """A source that makes each record by a function; it may know where they stand."""

    def __init__(self, *records: Callable[[], Any]) -> None:
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Conversation:
        made: Conversation = self.records[index]()
        return made


class Placed(Made):
    def where(self, index: int) -> str:
        return f"made.txt:{index + 1}"


def fail(error: BaseException) -> Callable[[], Any]:
    def raises() -> Any:
        raise error

    return raises


def events_of(
    source: Made, reader: Callable[[int, Conversation], Any] = lambda _, c: c
) -> tuple[list[str], list[Event]]:
    mixture = Mixture({"made": len(source)}, {"made": 1}, 0)
    events: list[Event] = []
    read = [record for _, record, _ in Draws({"made": source}, mixture, len(source)).read(0, events, reader)]
    return read, events


def test_an_exception_that_nobody_foresaw_is_counted_with_its_type_and_place() -> None:
    source = Placed(lambda: GOOD, fail(KeyError("colour")), fail(RecursionError("deep")), fail(MemoryError()))
    read, events = events_of(source)
    assert read == ["good"]
    assert {event.kind for event in events} == {
        "unexpected KeyError",
        "unexpected RecursionError",
        "unexpected MemoryError",
    }
    (key,) = [event for event in events if "KeyError" in event.kind]
    assert "unexpected KeyError: 'colour' (test_reading.py:" in key.reason and key.where == "made.txt:2"
    with pytest.raises(UnexpectedError, match="unexpected KeyError"):
        read_record(source, 1)


def test_a_person_and_a_missing_font_still_stop_it() -> None:
    with pytest.raises(KeyboardInterrupt):
        events_of(Made(fail(KeyboardInterrupt())))
    with pytest.raises(WeightsError):
        events_of(Made(fail(WeightsError("no font"))))


def test_what_reading_it_on_refuses_is_counted_by_its_reason() -> None:
    errors = {
        "chat template": RecipeError("the template refuses the turns"),
        "too long": Refusal("too long", "90 tokens"),
        "unreadable": DataError("no such file"),
        "unexpected TypeError": TypeError("no text"),
    }

    def reader(_: int, conversation: Conversation) -> Conversation:
        raise errors[conversation.id]

    read, events = events_of(
        Placed(*((lambda name=name: Conversation(GOOD.messages, name)) for name in errors)), reader
    )
    assert not read
    assert {event.record: event.kind for event in events} == {name: name for name in errors}
    assert all(event.where.startswith("made.txt:") for event in events)


IMAGE = Image(b"", size=(100, 80))


def shown(*parts: Any) -> Callable[[], Conversation]:
    return lambda: Conversation((user(IMAGE, "Where?"), assistant(*parts)), "shown")


def box(*corners: float, frame: Frame = IMAGE.frame) -> Region:
    return Region((corners[0], corners[1], corners[2], corners[3]), frame)


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: "text", "expected the source to return a Conversation, got str"),
    (lambda: Conversation((user("a\ud83db"),)), "the user's message: no valid Unicode, character 2 is half of a pair"),
    (lambda: Conversation((user(7),)), "expected text, media and regions in a message, got int"),  # type: ignore[arg-type]
    (shown(box(0, 0, 300, 40)), "reaches further out of the picture"),
    (shown(box(0, 0, 0.5, 40)), "smaller than a pixel"),
    (shown(box(0.5, 0.5, 0.505, 0.9, frame=NORMALISED)), "smaller than a pixel"),
    (shown(box(0.5, 0.5, 1.2, 0.9, frame=NORMALISED)), "reaches further out of the picture"),
    (shown(box(100, 0, 140, 40)), "covers nothing of the picture"),
    (
        lambda: Conversation(GOOD.messages, "x", {"grounding": (Expression("it", (box(0, 0, 300, 40),)),)}),
        "reaches further out of the picture",
    ),
]


@pytest.mark.parametrize(("made", "says"), BAD)
def test_every_source_is_checked_alike(made: Callable[[], Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_record(Made(made), 0)


def test_what_is_right_is_left_as_it_is() -> None:
    for made in (
        lambda: GOOD,
        shown(box(-1, 0, 101, 80)),
        shown(Region.from_points([(5, 5)], IMAGE.frame)),
        shown("😀"),
    ):
        conversation = made()
        assert read_record(Made(lambda conversation=conversation: conversation), 0) is conversation
    assert where(Made(lambda: GOOD), 0) == "" and where(Placed(lambda: GOOD), 0) == "made.txt:1"


def test_the_ledger_keeps_short_printable_lines_with_the_place(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    endless = "\x1b[31m" + "A" * 100_000
    ledger.record("made", endless, "refused", "unreadable", endless, "made.txt:7", stage="align")
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["where"] == "made.txt:7"
    assert len(entry["record"]) < LONGEST_NAME + 40 and len(entry["reason"]) < LONGEST_REASON + 40
    assert "\x1b" not in entry["reason"] and "(100,005 characters)" in entry["reason"]
    (summed,) = ledger.summary()
    assert summed["examples"][0]["reason"].startswith("made.txt:7: ")
    assert Ledger(tmp_path / "ledger.jsonl").entries == ledger.entries
    (tmp_path / "old.jsonl").write_text(json.dumps({k: v for k, v in entry.items() if k != "where"}) + "\n")
    assert Ledger(tmp_path / "old.jsonl").entries[0].where == ""  # written before there was one
    assert ledger.examples("align")[0].count("made.txt:7") == 1


@pytest.mark.parametrize(
    "value",
    ["a", "ä" * 500, "\x00\x1b[2J\ud83d", {"a": ["b" * 900] * 90}, 10**5000, [[[[[[1]]]]]], None, b"x" * 999],
    ids=lambda _: "value",
)
def test_excerpts_are_short_and_printable(value: Any) -> None:
    for shown_value in (excerpt(value), quoted(value)):
        assert len(shown_value) < 260
        shown_value.encode()
        assert "\x1b" not in shown_value and "\n" not in shown_value
