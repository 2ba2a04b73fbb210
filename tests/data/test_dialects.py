"""Records in the dialects of conversations in use: read whole, or refused by the name of what is not read."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from encoded_pictures import jpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.conversation import Conversation
from triptych.data.config import AlpacaConfig, InterleavedConfig, LlavaConfig, TextConfig
from triptych.data.llava import LlavaSource
from triptych.data.parquet import ParquetRecords
from triptych.data.sources import build
from triptych.errors import DataError

CASES = Path(__file__).parents[2].parent / "shared" / "cases" / "records"
PICTURE = jpeg(0)
URI = f"data:image/jpeg;base64,{base64.b64encode(PICTURE).decode()}"
Read = Callable[..., Conversation]


@pytest.fixture
def read(write: Any, pictures: Path) -> Read:
    """Reads one record."""
    return lambda record: LlavaSource(write("records.jsonl", json.dumps(record) + "\n"), pictures)[0]


def said(conversation: Conversation) -> list[list[str]]:
    return [[part if isinstance(part, str) else "IMAGE" for part in m.parts] for m in conversation.messages]


def turns(question: Any = "<image>\nWhat?", answer: Any = "A dog.", form: str = "from") -> list[dict[str, Any]]:
    if form == "role":
        return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


TEXT = {"type": "text", "text": "What?"}
SAME: list[dict[str, Any]] = [
    {"image": "good.jpg", "conversations": turns()},
    {"images": ["good.jpg"], "conversations": turns()},
    {"image_path": "good.jpg", "conversations": turns()},
    {"image_url": "file://good.jpg", "conversations": turns()},
    {"image": {"bytes": None, "path": "good.jpg"}, "conversations": turns()},
    {"image": {"url": "good.jpg"}, "conversation": turns()},
    {"image": URI, "conversations": turns()},
    {"image_base64": URI.partition(",")[2], "conversations": turns()},
    {"images": [{"bytes": URI.partition(",")[2]}], "conversations": turns()},
    {"image": "good.jpg", "image_path": "good.jpg", "conversations": turns()},
    {"image": "good.jpg", "conversations": turns("<im_start><image><im_end>\nWhat?")},
    {"image_1": "good.jpg", "conversations": turns("<image 1>\nWhat?")},
    {"images": ["good.jpg"], "messages": turns("<|image_1|>\nWhat?", form="role")},
    {"images": ["good.jpg"], "messages": turns("<image>\nWhat?", form="role")},
    {"images": ["good.jpg"], "messages": turns([{"type": "image"}, TEXT], form="role")},
    {"messages": turns([{"type": "image_url", "image_url": {"url": "good.jpg", "detail": "low"}}, TEXT], form="role")},
    {"messages": turns([{"type": "image_url", "image_url": URI}, TEXT], form="role")},
    {
        "messages": turns(
            [{"type": "input_image", "image_url": URI}, {"type": "input_text", "text": "What?"}], form="role"
        )
    },
    {"messages": turns([{"type": "image", "image": "good.jpg", "text": None}, {**TEXT, "image": None}], form="role")},
    {"messages": turns([{"type": "image", "path": "good.jpg"}, "What?"], form="role")},
    {
        "messages": turns(
            [
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/jpeg", "data": URI.partition(",")[2]},
                },
                TEXT,
            ],
            [{"type": "text", "text": "A dog."}],
            form="role",
        )
    },
    {"messages": turns([{"image": "good.jpg"}, {"text": "What?"}], form="role")},
    {"messages": [{"role": "user", "content": "What?", "images": ["good.jpg"]}, turns(form="role")[1]]},
    {"images": ["good.jpg"], "texts": [{"user": "What?", "assistant": "A dog.", "source": "vqa"}]},
]


@pytest.mark.parametrize("record", SAME, ids=lambda record: json.dumps(record)[:60])
def test_the_same_conversation_is_read_in_every_dialect(read: Read, record: dict[str, Any]) -> None:
    conversation = read(record)
    assert said(conversation) == [["IMAGE", "What?"], ["A dog."]]
    assert [message.role for message in conversation.messages] == ["user", "assistant"]
    (picture,) = conversation.media
    assert picture.open().size == (32, 24)
    assert not conversation.annotations


@pytest.mark.parametrize("record", SAME[:6], ids=str)
def test_the_order_of_keys_means_nothing(read: Read, record: dict[str, Any]) -> None:
    record = {"id": "a", "source": "x", **record}
    expected = read(record)
    for order in itertools.islice(itertools.permutations(record), 24):
        assert said(read({key: record[key] for key in order})) == said(expected)


def test_pictures_stand_where_their_numbers_say(read: Read) -> None:
    record = {"image_2": "other.jpg", "image_1": "good.jpg", "conversations": turns("Put <image 2> over <image 1>.")}
    conversation = read(record)
    assert said(conversation)[0] == ["Put ", "IMAGE", " over ", "IMAGE", "."]
    assert [Path(str(picture)).name for picture in conversation.media] == ["other.jpg", "good.jpg"]


def test_an_instruction_of_its_own_is_a_system_turn(read: Read) -> None:
    for key in ("system", "system_prompt"):
        conversation = read({key: "Answer like a pirate.", "conversations": turns("Hi")})
        assert said(conversation) == [["Answer like a pirate."], ["Hi"], ["A dog."]]
        assert conversation.messages[0].role == "system"
    twice = [{"from": "system", "value": "Be brief."}, *turns("Hi")]
    assert said(read({"system": "Be brief.", "conversations": twice}))[0] == ["Be brief."]
    assert said(read({"system": "", "conversations": turns("Hi")})) == [["Hi"], ["A dog."]]
    with pytest.raises(DataError, match=r"'system' and a system turn"):
        read({"system": "Be long.", "conversations": twice})


@pytest.mark.parametrize(
    ("marks", "learned"),
    [({"weight": 0}, False), ({"weight": 1.0}, True), ({"loss": False}, False), ({"train": True}, True), ({}, True),
     ({"weight": None, "loss": True}, True)],
)  # fmt: skip
def test_a_turn_can_be_given_rather_than_learned(read: Read, marks: dict[str, Any], learned: bool) -> None:
    record = {"conversations": [turns("a")[0], {**turns(answer="b")[1], **marks}, *turns("c", "d")]}
    assert [message.supervised for message in read(record).messages] == [True, learned, True, True]


@pytest.mark.parametrize("nothing", [None, "", [], float("nan"), {"bytes": None, "path": None}])
def test_what_tables_write_for_no_picture_is_none(read: Read, nothing: Any) -> None:
    conversation = read({"image": nothing, "video": nothing, "conversations": turns("Hi")})
    assert said(conversation) == [["Hi"], ["A dog."]]
    with pytest.raises(DataError, match=r"1 <image> markers for 0 images"):
        read({"image": nothing, "conversations": turns("<image>\nHi")})


TOOL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"images": ["good.jpg"], "conversations": turns("What?")}, r"0 <image> markers for 1 images \(under 'images'\)"),
    ({"image_path": "good.jpg", "conversations": turns("What?")}, r"\(under 'image_path'\)"),
    ({"videos": ["a.mp4"], "conversations": turns("<video>\nWhat?")}, "has 'videos'"),
    ({"video": "a.mp4", "conversations": turns("<video>\nWhat?")}, "has 'video'"),
    ({"audios": ["a.wav"], "conversations": turns("<audio>\nWhat?")}, "has 'audios'"),
    ({"audio_path": "a.wav", "conversations": turns("What?")}, "has 'audio_path'"),
    ({"point_cloud": "a.npy", "conversations": turns("What?")}, "has 'point_cloud'"),
    ({"image": "good.jpg,other.jpg", "conversations": turns("<image><image>")}, "no such file"),
    ({"image": "http://example.com/a.png", "conversations": turns()}, "pictures are not downloaded"),
    ({"image": "file:///etc/passwd", "conversations": turns()}, "leads out of"),
    ({"image": "data:video/mp4;base64,AAAA", "conversations": turns()}, "data: URI of video/mp4"),
    ({"image": "data:image/png,raw", "conversations": turns()}, "without base64"),
    ({"image": "data:image/png;base64,@@@@", "conversations": turns()}, "is no base64"),
    ({"image": "good.jpg", "image_path": "other.jpg", "conversations": turns()}, "'image' and 'image_path'"),
    ({"image": [["good.jpg"]], "conversations": turns()}, "expected 'image' to be a path"),
    ({"image": True, "conversations": turns()}, "expected 'image' to be a path"),
    ({"image": "good.jpg", "conversations": turns("<image> <image 1>")}, "one kind"),
    ({"image": "good.jpg", "conversations": turns("<image 1> <image 1>")}, r"pictures 1, 1 for 1 images"),
    ({"image": "good.jpg", "conversations": turns("<image 7>")}, r"pictures 7 for 1 images"),
    ({"conversations": turns("In HTML, is <image> a tag?")}, r"1 <image> markers for 0 images"),
    ({"image": "good.jpg", "conversations": turns("<ImageHere>\nWhat?")}, "'<ImageHere>', a marker of one model's"),
    ({"conversations": turns("Picture 1: <img>good.jpg</img>\nWhat?")}, "a marker of one model's"),
    ({"conversations": turns("Hi"), "messages": turns("Hi", form="role")}, "both 'conversations' and 'messages'"),
    ({"conversations": [turns("Hi")[0], {"from": "function_call", "value": "{}"}]}, "the use of tools is not read"),
    ({"messages": [turns("Hi", form="role")[0], TOOL]}, "the assistant's turn has 'tool_calls'"),
    ({"messages": turns("Hi", form="role"), "tools": [{"name": "f"}]}, "has 'tools'"),
    ({"messages": turns([{"type": "video", "video": "a.mp4"}], form="role")}, "a part has 'video'"),
    ({"messages": turns([{"type": "input_audio", "input_audio": {"data": "AA"}}], form="role")}, "'input_audio'"),
    ({"messages": turns([{"type": "video"}], form="role")}, "a part of type 'video'"),
    ({"messages": turns([{"type": "hologram"}], form="role")}, "a part of type 'hologram'"),
    ({"messages": turns([{"type": "input_image", "file_id": "f1"}], form="role")}, "a file of a service"),
    ({"messages": turns([{"type": "image", "image": "good.jpg", "url": "other.jpg"}], form="role")}, "one picture in"),
    ({"messages": turns([{**TEXT, "image": "good.jpg"}], form="role")}, "a part of its own"),
    ({"messages": turns([{"type": "text", "text": 7}], form="role")}, "to hold 'text'"),
    ({"image": "good.jpg", "messages": turns([{"type": "image", "image": "other.jpg"}], form="role")}, "in one place"),
    ({"conversations": [{"from": "human", "role": "assistant", "value": "Hi"}]}, "expected one of them"),
    ({"conversations": [{"from": "human", "value": "Hi", "content": "Ho"}]}, "'value' and 'content'"),
    ({"conversations": [{"value": "Hi"}]}, "expected a turn"),
    ({"conversations": turns("Hi", None)}, "the assistant's message is empty"),
    ({"conversations": turns("Hi", 7)}, "expected a turn"),
    ({"conversations": [{**turns("Hi")[0], "loss": True}, turns()[1]]}, "only the assistant's turns are learned"),
    ({"conversations": [turns("Hi")[0], {**turns()[1], "weight": 0.5}]}, "'weight' 0.5"),
    ({"conversations": [turns("Hi")[0], {**turns()[1], "weight": 1, "loss": False}]}, "contradict"),
    ({"instruction": "Add.", "input": "", "output": "2"}, "use `kind: alpaca`"),
    ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preferences"),
    ({"query": "a", "response": "b"}, "ms-swift"),
    ({"texts": ["a", None], "images": [None, "good.jpg"]}, "use `kind: interleaved`"),
    ({"text": "Once"}, "use `kind: text`"),
    ({"colour": "red", "size": 3}, "its keys are 'colour', 'size'"),
    ({"system": ["a"], "conversations": turns("Hi")}, "expected 'system' to be one text"),
]


@pytest.mark.parametrize(("record", "says"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_is_not_read_is_refused_by_its_name(read: Read, record: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        read(record)
    assert "records.jsonl:1" in str(caught.value) and len(str(caught.value)) < 700


def test_long_values_are_shortened_in_messages(read: Read) -> None:
    endless = "A" * 100_000
    for record in (
        {"image": f"data:image/png;base64,{endless}!", "conversations": turns()},
        {"image": endless, "conversations": turns()},
        {"id": endless, "image": 7, "conversations": turns()},
        {"conversations": [{"from": endless, "value": endless}]},
        {"conversations": [[endless]]},
        {endless: 1},
    ):
        with pytest.raises(DataError) as caught:
            read(record)
        assert len(str(caught.value)) < 900 and ("characters" in str(caught.value) or "..." in str(caught.value))


def test_half_a_character_is_refused_with_its_place(write: Any, pictures: Path) -> None:
    lines = [r'{"conversations": [{"from": "human", "value": "ab\ud83dcd"}, {"from": "gpt", "value": "x"}]}',
             r'{"conversations": [{"from": "human", "value": "\ud83d\ude00"}, {"from": "gpt", "value": "x"}]}',
             r'{"a\udc00": 1}']  # fmt: skip
    source = LlavaSource(write("r.jsonl", "\n".join(lines)), pictures)
    with pytest.raises(DataError, match=r"r\.jsonl:1: conversations\[0\]\.value: no valid Unicode, character 3 "):
        source[0]
    assert said(source[1])[0] == ["😀"]  # a whole pair is a character
    with pytest.raises(DataError, match=r"no valid Unicode, character 2 "):
        source[2]


def test_conversations_in_parquet_with_pictures_as_bytes(tmp_path: Path, pictures: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [
        {"id": str(n), "image": {"bytes": jpeg(n), "path": f"{n}.jpg"}, "conversations": turns(f"<image>\n{n}?")}
        for n in range(10)
    ]
    rows.append({"id": "10", "image": None, "conversations": turns("Hi")})
    path = tmp_path / "talk.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=4)
    for name in ("talk.parquet", "talk.data"):  # told by its first bytes, too
        (tmp_path / name).write_bytes(path.read_bytes())
        source = LlavaSource(tmp_path / name, pictures)
        assert [said(source[n]) for n in (9, 0, 10)] == [
            [["IMAGE", "9?"], ["A dog."]], [["IMAGE", "0?"], ["A dog."]], [["Hi"], ["A dog."]]]  # fmt: skip
        assert next(source[3].media).open().size == (32, 24)
    assert len(LlavaSource(path, pictures, limit=3)) == 3
    plain = tmp_path / "bytes.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([{"image": PICTURE, "jpg": None, "conversations": turns()},
                                                   {"image": None, "jpg": PICTURE, "conversations": turns("Hi")}]), plain)  # fmt: skip
    assert next(LlavaSource(plain, pictures)[0].media).open().size == (32, 24)
    with pytest.raises(DataError, match=r"row 1 .*has bytes under 'jpg'"):
        LlavaSource(plain, pictures)[1]


def test_a_damaged_page_costs_its_row_group(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"text": f"{n} {'x' * 2000}"} for n in range(4)]
    path = tmp_path / "a.parquet"
    parquet.write_table(
        pyarrow.Table.from_pylist(rows), path, row_group_size=2, compression="none", use_dictionary=False
    )
    data = bytearray(path.read_bytes())
    offset = parquet.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    data[offset : offset + 20] = b"\xff" * 20
    path.write_bytes(data)
    records = ParquetRecords(path)
    for broken in (0, 1):
        with pytest.raises(DataError, match=rf"a\.parquet: row {broken}: cannot be read"):
            records[broken]
    assert records[2] == rows[2]
    path.write_bytes(data[:-30])
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read as parquet"):
        ParquetRecords(path)


def test_a_large_row_group_is_read_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"n": n} for n in range(300)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=200)
    monkeypatch.setattr("triptych.data.parquet.GROUP_BYTES", 10)
    records = ParquetRecords(tmp_path / "a.parquet")
    assert [records[n] for n in (150, 149, 0, 299, 199, 200)] == [rows[n] for n in (150, 149, 0, 299, 199, 200)]
    assert records._kept is not None and records._kept[1] - records._kept[0] <= 64


RIGHT = {  # lines of dialects.jsonl that are read, and the number of pictures that each shows
    1: 1, 2: 1, 3: 1, 9: 2, 10: 0, 11: 0, 13: 0, 14: 0, 17: 1, 18: 1, 20: 2, 22: 1, 25: 1,
    28: 0, 29: 0, 30: 0, 35: 0, 36: 0, 37: 1, 40: 0,
}  # fmt: skip
NAMED = {
    4: "'images'", 5: "'image_path'", 6: "'videos'", 7: "'video'", 8: "'audios'", 12: "0 images", 15: "'image'",
    16: "0 images", 19: "2 <image> markers", 21: "no such file", 23: "not downloaded", 24: "leads out",
    26: "no such file", 27: "tools", 31: "empty", 32: "empty", 33: "expected a turn", 34: "expected a turn",
    38: "<|image|>", 39: "<ImageHere>", 41: "0 <image> markers",
}  # fmt: skip


def test_the_cases_are_read_or_named() -> None:
    if not CASES.is_dir():
        pytest.skip("../shared/cases is not here")
    source = LlavaSource(CASES / "dialects.jsonl", CASES)
    assert sorted([*RIGHT, *NAMED]) == list(range(1, len(source) + 1))
    for line, shown in RIGHT.items():
        assert len(list(source[line - 1].media)) == shown, line
        assert all(picture.open() for picture in source[line - 1].media)
    for line, says in NAMED.items():
        with pytest.raises(DataError, match=rf"dialects\.jsonl:{line} ") as caught:
            source[line - 1]
        assert says in str(caught.value), line
    assert said(source[34])[0] == ["You are a pirate."]
    assert [m.supervised for m in source[39].messages] == [True, False, True, True]
    others = LlavaSource(CASES / "other-keys.json", CASES)
    for index, key in enumerate(("'images'", "'image_path'", "'videos'")):
        with pytest.raises(DataError, match=key):
            others[index]
    assert others[3].messages[0].text == "Answer like a pirate."
    (table,) = LlavaSource(CASES / "conversations.parquet", CASES)
    assert said(table) == [["IMAGE", "a"], ["b"]] and next(table.media).open().size == (40, 32)


def test_readers_of_other_kinds_refuse_media_by_name_too(tmp_path: Path, pictures: Path) -> None:
    def one(record: dict[str, Any]) -> Path:
        path = tmp_path / "one.jsonl"
        path.write_text(json.dumps(record) + "\n")
        return path

    alpaca = {"instruction": "Add.", "input": "", "output": "2"}
    for more, says in (({"images": ["a.png"]}, "'images'"), ({"videos": ["a"]}, "'videos'"), ({"history": [["a", "b"]]}, "'history'"),
                       ({"system": "Be brief."}, "'system'")):  # fmt: skip
        with pytest.raises(DataError, match=says):
            build(AlpacaConfig(path=one({**alpaca, **more})))[0]
    told = build(AlpacaConfig(path=one({**alpaca, "system": "Be brief."}), form="turns"))[0]
    assert said(told) == [["Be brief."], ["Add."], ["2"]]
    with pytest.raises(DataError, match="'images'"):
        build(TextConfig(path=one({"text": "Once", "images": ["a.png"]})))[0]
    assert (
        build(TextConfig(path=one({"text": "Once", "image_url": "http://x", "points": 3})))[0].messages[0].text
        == "Once"
    )
    with pytest.raises(DataError, match="'audios'"):
        build(InterleavedConfig(path=one({"parts": [{"text": "a"}], "audios": ["a"]}), images=pictures))[0]


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["good.jpg", "<image>", URI]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["id", "image", "images", "image_path", "image_1", "image_2", "videos", "audio", "system", "conversations", "messages",
        "texts", "tools", "text", "scene", "grounding"]  # fmt: skip
parts = st.lists(
    junk
    | st.dictionaries(
        st.sampled_from(["type", "text", "image", "image_url", "url", "path", "source", "video", "bytes"]),
        junk | st.sampled_from(["text", "image", "image_url", "input_text"]),
        max_size=4,
    ),
    max_size=3,
)
turn = junk | st.dictionaries(
    st.sampled_from(["from", "role", "value", "content", "weight", "loss", "images", "tool_calls", "name"]),
    junk | parts | st.sampled_from(["human", "gpt", "user", "assistant", "system"]),
    max_size=5,
)
records = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), junk | st.lists(turn, max_size=4), max_size=6)


@given(records)
@settings(max_examples=300, deadline=None)
def test_whatever_a_record_is_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "junk"
    folder.mkdir(exist_ok=True)
    (folder / "good.jpg").write_bytes(PICTURE)
    for boxes in ("text", "picture"):
        path = folder / "records.jsonl"
        path.write_text(json.dumps(record) + "\n" + json.dumps({"conversations": turns("Hi")}), encoding="utf-8")
        source = build(LlavaConfig(path=path, images=folder, boxes=boxes))  # type: ignore[arg-type]
        assert len(source[1].messages) == 2
        try:
            conversation = source[0]
        except DataError as error:
            assert len(str(error)) < 1500
            continue
        for message in conversation.messages:
            assert message.parts
            message.text.encode()


@given(st.sampled_from(SAME), st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_record_of_any_dialect_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any], data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / "good.jpg").write_bytes(PICTURE)
    broken = json.loads(json.dumps(record))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            places.append((value, key))
            walk(value[key])

    walk(broken)
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(junk)
    path = folder / "records.jsonl"
    path.write_text(json.dumps(broken) + "\n" + json.dumps(record), encoding="utf-8")
    source = LlavaSource(path, folder)
    assert said(source[1]) == [["IMAGE", "What?"], ["A dog."]]
    try:
        assert source[0].messages
    except DataError as error:
        assert "records.jsonl:1" in str(error)
