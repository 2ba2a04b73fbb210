"""Text for pretraining: documents out of files, whole or in pieces, faults with file and line."""

from __future__ import annotations

import json
import pickle
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.data.config import TextConfig
from triptych.data.sources import build
from triptych.data.text import TextSource, pieces
from triptych.errors import DataError

STORY = "Once upon a time\nthere was a dog.\n\n \nThe dog was green.\r\n\r\nThe end.\n"


def texts(source: TextSource) -> list[str]:
    assert all(message.role == "document" for i in range(len(source)) for message in source[i].messages)
    return [source[i].messages[0].text for i in range(len(source))]


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_bytes(b"\xef\xbb\xbf" + STORY.encode())
    return path


def test_blank_lines_separate_documents(story: Path) -> None:
    source = TextSource(story)
    assert texts(source) == ["Once upon a time\nthere was a dog.", "The dog was green.", "The end."]
    assert [source[i].id for i in range(3)] == ["story.txt:1", "story.txt:5", "story.txt:7"]
    assert texts(pickle.loads(pickle.dumps(source))) == texts(source)


def test_a_file_may_be_one_document(story: Path) -> None:
    (text,) = texts(TextSource(story, documents="file"))
    assert text == STORY.strip()


def test_json_lines_and_folders_in_order_of_names(story: Path, tmp_path: Path) -> None:
    lines = [{"text": "one"}, {"text": " "}, {"words": "three"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "notes.md").write_text("not read")
    source = TextSource(tmp_path)
    assert len(source) == 6
    assert source[0].messages[0].text == "one"
    assert source[3].messages[0].text.startswith("Once")
    for index, line in ((1, 2), (2, 3)):
        with pytest.raises(DataError, match=rf"a.jsonl:{line}: expected 'text' to be text"):
            source[index]
    assert TextSource(tmp_path / "a.jsonl", field="words")[2].messages[0].text == "three"


def test_pieces_have_names_of_their_own_and_lose_no_word(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("All the words of a document that is too long. " * 5 + "\n\nshort")
    source = TextSource(path, chunk_characters=40)
    found = texts(source)
    assert max(map(len, found)) <= 40
    assert " ".join(found).split() == path.read_text().split()
    assert len({source[i].id for i in range(len(source))}) == len(source)
    assert texts(TextSource(path, chunk_characters=40, limit=3)) == found[:3]


@given(st.text(st.characters(codec="ascii"), max_size=200), st.integers(1, 30))
def test_pieces_hold_everything_but_white_space(text: str, most: int) -> None:
    spans = list(pieces(text, most))
    assert all(0 < end - start <= most for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert "".join("".join(text[a:b] for a, b in spans).split()) == "".join(text.split())


def test_what_cannot_be_used_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.txt: cannot be read"):
        TextSource(tmp_path / "no.txt")
    with pytest.raises(DataError, match=r"the folder holds no \.txt"):
        TextSource(tmp_path)
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(DataError, match="holds no text"):
        TextSource(tmp_path / "empty.txt")
    (tmp_path / "latin.txt").write_bytes("good\n\nschön".encode("latin-1"))
    source = TextSource(tmp_path / "latin.txt")
    assert source[0].messages[0].text == "good"
    with pytest.raises(DataError, match=r"latin\.txt:3: not UTF-8"):
        source[1]


def test_a_recipe_names_it(story: Path) -> None:
    source = build(TextConfig(path=Path("story.txt"), chunk_characters=16), story.parent)
    assert source[0].messages[0].text == "Once upon a time"
