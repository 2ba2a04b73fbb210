from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from triptych.conversation import Image
from triptych.errors import DataError
from triptych.scenes import Scenes, ScenesConfig

FINGERPRINT = """
import hashlib, json, sys
from triptych.scenes import Scenes, ScenesConfig
scenes = Scenes(ScenesConfig(count=50, style="mixed", font=sys.argv[1]))
digest = hashlib.sha256()
for i in {order}:
    conversation = scenes[i]
    (picture,) = conversation.media
    text = json.dumps([[m.role, m.text] for m in conversation.messages] + [conversation.id, picture.key])
    digest.update(text.encode() + json.dumps(conversation.annotations).encode() + picture.open().tobytes())
print(digest.hexdigest())
"""


def fingerprint(order: str, font: Path, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = FINGERPRINT.replace("{order}", order)
    out = subprocess.run(
        [sys.executable, "-c", script, f"file:{font}"], env=environment, capture_output=True, text=True, check=True
    )
    return out.stdout


def test_any_process_makes_the_same_conversations(font: Path):
    first = fingerprint("range(20)", font, "1")
    assert first == fingerprint("[i for _ in [[scenes[j] for j in reversed(range(50))]] for i in range(20)]", font, "2")
    assert first != fingerprint("range(1, 21)", font, "1")


def test_a_conversation_shows_the_picture_once_and_answers_in_turn(font: Path):
    for conversation in Scenes(ScenesConfig(count=50)):
        roles = [message.role for message in conversation.messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert isinstance(conversation.messages[0].parts[0], Image)
        assert len(list(conversation.media)) == 1
        turns = conversation.annotations["questions"]
        assert [message.text for message in conversation.messages[::2]] == [turn["question"] for turn in turns]
        assert [message.text for message in conversation.messages[1::2]] == [turn["answer"] for turn in turns]


def test_annotations_are_plain_values(font: Path):
    annotations = dict(Scenes(ScenesConfig(count=1))[0].annotations)
    assert json.loads(json.dumps(annotations)) == annotations


def test_conversations_travel_between_processes(font: Path):
    scenes = pickle.loads(pickle.dumps(Scenes(ScenesConfig(count=5))))
    conversation = scenes[3]
    (picture,) = conversation.media
    packed = pickle.dumps(conversation)
    assert len(packed) < 20_000
    (again,) = pickle.loads(packed).media
    assert again.content_hash == picture.content_hash
    assert again.open().tobytes() == picture.open().tobytes()


def test_the_key_names_the_pixels_and_nothing_else(font: Path):
    def key(**settings: object) -> str | None:
        (picture,) = Scenes(ScenesConfig(**{"count": 9, **settings}))[4].media
        return picture.key

    same = [{}, {"count": 7}, {"questions": 2}, {"kinds": ("naming",)}, {"style": "caption"}]
    other = [{"seed": 1}, {"split": "test"}, {"size": 128}, {"things": 65}, {"objects": (1, 3)}]
    assert len({key(**settings) for settings in same}) == 1
    assert len({key(**settings) for settings in [{}, *other]}) == 1 + len(other)


def test_scenes_are_the_same_whatever_the_count(font: Path):
    few, many = Scenes(ScenesConfig(count=3)), Scenes(ScenesConfig(count=3000))
    assert [c.annotations for c in few] == [many[i].annotations for i in range(3)]
    assert few[-1].id == few[2].id
    with pytest.raises(IndexError):
        few[3]


def test_captions_and_mixed_styles(font: Path):
    kinds = {t["kind"] for c in Scenes(ScenesConfig(count=40, style="caption")) for t in c.annotations["questions"]}
    assert kinds == {"caption", "names"}
    mixed = list(Scenes(ScenesConfig(count=400, style="mixed")))
    captions = sum(c.annotations["questions"][0]["kind"] in ("caption", "names") for c in mixed)
    assert 150 < captions < 250


def test_a_scene_that_cannot_be_asked_about_is_replaced(font: Path):
    """Relations need two single things: pictures without them are passed over, and the key says so."""
    scenes = Scenes(ScenesConfig(count=100, kinds=("relation",), objects=(1, 3)))
    conversations = list(scenes)
    assert all(c.annotations["questions"] for c in conversations)
    assert len({picture.key for c in conversations for picture in c.media}) == 100
    assert any(picture.key.split("/")[-1] != "0" for c in conversations for picture in c.media)


def test_a_font_that_is_none_is_a_clear_error(tmp_path: Path):
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    scenes = Scenes(ScenesConfig(count=1, font=f"file:{broken}"))
    with pytest.raises(DataError, match=r"broken\.ttf: not a readable font"):
        scenes[0]
