"""Conversations in LLaVA's format, the good and the bad."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.conversation import Image
from triptych.data.files import Records
from triptych.data.llava import LlavaSource
from triptych.errors import DataError


def talk(value="<image>\nWhat is it?", answer="A dog.", **facts):
    turns = [{"from": "human", "value": value}, {"from": "gpt", "value": answer}]
    return {"id": "a", "image": "good.jpg", "conversations": turns, **facts}


@pytest.fixture(params=["records.json", "records.jsonl"])
def source(request, write, pictures):
    """Makes a source of these records, in either form of file."""
    return lambda *records, **options: LlavaSource(write(request.param, list(records)), pictures, **options)


def shape(message):
    return [part if isinstance(part, str) else "IMAGE" for part in message.parts]


def test_a_record_becomes_a_conversation(source, pictures):
    (conversation,) = source(talk(id="000000033471", source="coco"))
    question, answer = conversation.messages
    assert (question.role, answer.role) == ("user", "assistant")
    assert shape(question) == ["IMAGE", "What is it?"]
    assert answer.parts == ("A dog.",)
    assert question.media[0].open().size == (32, 24)
    assert question.media[0].source == pictures / "good.jpg"
    assert conversation.id == "0:000000033471"
    assert conversation.annotations == {"source": "coco"}


def test_keys_that_mean_something_else_here_are_no_annotations(source):
    theirs = {"scene": "kitchen", "grounding": ["dog"], "grounded_caption": 3, "episode": {}, "source": "coco"}
    assert source(talk(**theirs))[0].annotations == {"source": "coco"}


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("<image>\nWhat?", ["IMAGE", "What?"]),
        ("What?\n<image>", ["What?", "IMAGE"]),
        ("What is <image> here?", ["What is ", "IMAGE", " here?"]),
        ("First:\n<image>\nlast", ["First:\n", "IMAGE", "\nlast"]),
        ("<image>\nTwo\nlines\n", ["IMAGE", "Two\nlines\n"]),
        ("<image>", ["IMAGE"]),
    ],
)
def test_a_marker_is_replaced_in_place(source, value, parts):
    assert shape(source(talk(value))[0].messages[0]) == parts


def test_several_images_keep_their_order_over_several_turns(source):
    turns = [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "<image>\n<image>\nWhich is larger?"},
        {"from": "gpt", "value": "The first."},
        {"from": "human", "value": "Than this? <image>"},
        {"from": "gpt", "value": "No."},
    ]
    record = {"id": 1, "image": ["good.jpg", "other.jpg", "truncated.jpg"], "conversations": turns}
    (conversation,) = source(record)
    assert [message.role for message in conversation.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert shape(conversation.messages[1]) == ["IMAGE", "IMAGE", "Which is larger?"]
    assert [medium.source.name for medium in conversation.media] == ["good.jpg", "other.jpg", "truncated.jpg"]


def test_a_conversation_without_pictures_is_kept(source):
    record = talk("What is two and two?", "Four.")
    del record["image"]
    (conversation,) = source(record)
    assert not list(conversation.media)
    assert conversation.messages[0].parts == ("What is two and two?",)


BAD = [
    (talk("What?"), r"0 <image> markers for 1 images"),
    (talk("<image><image>"), r"2 <image> markers for 1 images"),
    (talk(image=["good.jpg", "other.jpg"]), r"1 <image> markers for 2 images"),
    (talk(image=None), r"1 <image> markers for 0 images"),
    (talk(image="missing.jpg"), r"missing\.jpg: no such file"),
    (talk(image="folder.jpg"), "not a file"),
    (talk(image="../secret.jpg"), "leads out of the images folder"),
    (talk(image="../nothing.jpg"), "leads out of the images folder"),
    (talk(image="a/../../secret.jpg"), "leads out of the images folder"),
    (talk(image="/etc/passwd"), "leads out of the images folder"),
    (talk(image="/no/such/file"), "leads out of the images folder"),
    (talk(image="link.jpg"), "leads out of the images folder"),
    (talk(image="nu\0ll.jpg"), "is not a file of"),
    (talk(image="x" * 5000), "is not a file of"),
    (talk(image=7), "expected 'image' to be a path"),
    (talk(image=["good.jpg", None]), "expected 'image' to be a path"),
    (talk(conversations=[]), "expected 'conversations'"),
    (talk(conversations="hello"), "expected 'conversations'"),
    (talk(conversations=[{"from": "human", "value": "<image>"}, "hm"]), "expected a turn"),
    (talk(conversations=[{"from": "alien", "value": "<image>"}]), "nobody is called 'alien'"),
    (talk(answer=""), "the assistant's message is empty"),
    (talk(answer=" \n"), "the assistant's message is empty"),
    (talk(video="a.mp4"), "has 'video'"),
    ([1, 2], "expected an object"),
]


@pytest.mark.parametrize(("record", "says"), BAD)
def test_a_bad_record_is_refused_alone_with_file_line_and_reason(source, record, says):
    records = source(talk(), record, talk())
    with pytest.raises(DataError, match=says) as caught:
        records[1]
    assert str(caught.value).startswith(records.records.where(1))
    assert [records[0].id, records[2].id] == ["0:a", "2:a"]


def test_the_place_of_a_record_is_its_line(write, pictures):
    path = write("records.jsonl", "\n" + json.dumps(talk()) + "\n\n" + json.dumps(talk(image="missing.jpg")) + "\n")
    source = LlavaSource(path, pictures)
    assert len(source) == 2
    with pytest.raises(DataError, match=r"records\.jsonl:4 \(id 'a'\): .*missing\.jpg"):
        source[1]
    path = write("records.json", [talk(), talk(image="missing.jpg")])
    line = path.read_text().splitlines().index(" {", 2) + 1
    with pytest.raises(DataError, match=rf"records\.json:{line} "):
        LlavaSource(path, pictures)[1]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('[{"id": 1},\n {"id": 2},\n {"id": }]', 3, 9),
        ('[{"id": 1}\n{"id": 2}]', 2, 1),
        ('[{"id": 1},\n', 2, 1),
        ('[{"id": 1},]', 1, 12),
        ('[{"id": 1}]\nnonsense', 2, 1),
        ('[{"id": "ü"},\n x]', 2, 2),
        ("[", 1, 2),
    ],
)
def test_malformed_json_is_located(write, pictures, text, line, column):
    with pytest.raises(DataError, match=rf"records\.json:{line}:{column}: malformed JSON"):
        LlavaSource(write("records.json", text), pictures)


def test_a_malformed_line_of_json_lines_is_one_bad_record(write, pictures):
    good = json.dumps(talk())
    source = LlavaSource(write("records.jsonl", f'{good}\n{{"id": 1,, }}\n{good}\n{{"id": 5'), pictures)
    assert source[0].id and source[2].id
    for index, place in ((1, r":2:10"), (3, r":4:9")):
        with pytest.raises(DataError, match=rf"records\.jsonl{place}: malformed JSON"):
            source[index]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        (" \n\n ", "is empty"),
        ("[]", "holds no records"),
        ("[ \n ]", "holds no records"),
        (b'[{"id": "\xff"}]', "not UTF-8"),
        ("[" * 100_000, "unreadable JSON|malformed JSON"),
        ('{\n  "images": [],\n  "annotations": []\n}', "malformed JSON"),
    ],
)
def test_an_unusable_file_stops_at_once(write, pictures, content, says):
    with pytest.raises(DataError, match=says):
        source = LlavaSource(write("records.json", content), pictures)
        for i in range(len(source)):
            source[i]


def test_missing_files_and_folders_stop_at_once(tmp_path, write, pictures):
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read"):
        LlavaSource(tmp_path / "nowhere.json", pictures)
    with pytest.raises(DataError, match=r"images folder .* does not exist"):
        LlavaSource(write("records.json", [talk()]), tmp_path / "nowhere")


def test_a_line_that_is_not_utf8_is_one_bad_record(write, pictures):
    source = LlavaSource(write("r.jsonl", json.dumps(talk()).encode() + b'\n{"id": "\xff"}\n'), pictures)
    assert source[0].id
    with pytest.raises(DataError, match=r"r\.jsonl:2: not UTF-8"):
        source[1]


def test_limit_reads_the_first_records(source):
    assert len(source(talk(), talk(), talk(), limit=2)) == 2
    assert len(source(talk(), limit=2)) == 1


def test_indices_are_those_of_a_sequence(source):
    records = source(talk(), talk("<image>\nLast?"))
    assert [conversation.id for conversation in records] == ["0:a", "1:a"]
    assert records[-1].id == "1:a"
    assert shape(records[-1].messages[0]) == ["IMAGE", "Last?"]
    with pytest.raises(IndexError):
        records[2]


def test_a_source_travels_to_other_processes(source):
    records = source(talk(), talk("<image>\nLast?"))
    copy = pickle.loads(pickle.dumps(records))
    assert [shape(c.messages[0]) for c in copy] == [shape(c.messages[0]) for c in records]
    assert len(pickle.dumps(records)) < 2000


def test_a_file_that_changes_while_it_is_in_use_is_noticed(write, pictures):
    path = write("records.jsonl", [talk()])
    source = LlavaSource(path, pictures)
    path.write_text("x" + path.read_text())
    with pytest.raises(DataError, match="has changed"):
        source[0]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), min_size=1, max_size=6)


@given(objects, st.booleans(), st.sampled_from([None, 0, 2]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_records_read_lazily_are_those_read_at_once(tmp_path_factory, records, ascii_only, indent, mark, newline):
    text = json.dumps(records, ensure_ascii=ascii_only, indent=indent).replace("\n", newline)
    lines = "".join(json.dumps(record, ensure_ascii=ascii_only) + newline for record in records)
    for content in (text, lines):
        path = tmp_path_factory.mktemp("records") / "records.json"
        path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + content.encode())
        read = Records(path)
        assert [read[i] for i in range(len(read))] == records


def test_images_are_opened_only_when_they_are_needed(source):
    (conversation,) = source(talk(image="truncated.jpg"))
    (image,) = conversation.media
    assert isinstance(image, Image)
    with pytest.raises(DataError, match=r"truncated\.jpg"):
        image.open()
