"""From a recipe's words to a source."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from triptych.conversation import Conversation, assistant, user
from triptych.data.coco import CocoCaptionsSource
from triptych.data.config import CocoCaptionsConfig, DataConfig, LlavaConfig
from triptych.data.llava import LlavaSource
from triptych.data.sources import Source, build
from triptych.errors import DataError, RecipeError
from triptych.registry import CustomConfig
from triptych.scenes.config import ScenesConfig

CONFIG = TypeAdapter(DataConfig)


class Counting:
    """A source of one's own: so many conversations that say their number."""

    def __init__(self, base: Path, count: int = 3) -> None:
        self.base, self.count = base, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Conversation:
        return Conversation.of([user("What number?"), assistant(str(index))], id=str(index))


class NoSource:
    def __init__(self, base: Path) -> None:
        pass


def custom(name, **options):
    return CONFIG.validate_python({"kind": f"{__name__}:{name}", **options})


def llava_file(folder):
    record = {"image": "good.jpg", "conversations": [{"from": "human", "value": "<image>\nWhat?"}]}
    (folder / "talk.json").write_text(json.dumps([record]))


def test_a_kind_chooses_its_config(tmp_path):
    assert type(CONFIG.validate_python({"kind": "llava", "path": "a.json"})) is LlavaConfig
    coco = CONFIG.validate_python({"kind": "coco_captions", "annotations": "a.json", "images": "b"})
    assert type(coco) is CocoCaptionsConfig
    assert type(CONFIG.validate_python({"kind": "scenes", "count": 3})) is ScenesConfig
    assert type(CONFIG.validate_python({"kind": "mine.data:Source", "depth": 3})) is CustomConfig
    assert CONFIG.validate_python(json.loads(CONFIG.dump_json(coco))) == coco


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kind": "lava", "path": "a"}, "scenes.*llava.*coco_captions.*module:MyClass"),
        ({"path": "a"}, "kind"),
        ({"kind": "llava"}, "path"),
        ({"kind": "llava", "path": "a", "limit": 0}, "limit"),
        ({"kind": "llava", "path": "a", "pictures": "b"}, "pictures"),
        ({"kind": "coco_captions", "annotations": "a", "images": "b", "prompts": []}, "prompts"),
        ({"kind": "coco_captions", "annotations": "a", "images": "b", "prompts": [""]}, "prompts"),
        ({"kind": "coco_captions", "annotations": "a", "images": "b", "captions": "some"}, "one_per_record"),
    ],
)
def test_a_mistake_is_found_before_anything_is_read(values, says):
    with pytest.raises(ValidationError, match=rf"(?s){says}"):
        CONFIG.validate_python(values)


def test_paths_start_at_the_recipes_folder(pictures, tmp_path, monkeypatch):
    llava_file(pictures)
    monkeypatch.chdir("/")
    config = LlavaConfig(path=Path("pictures/talk.json"))
    assert len(build(config, tmp_path)) == 1
    with pytest.raises(DataError, match="cannot be read"):
        build(config, Path("/"))
    assert len(build(LlavaConfig(path=pictures / "talk.json", images=pictures), Path("/nowhere"))) == 1


def test_tilde_is_the_users_home(pictures, tmp_path, monkeypatch):
    llava_file(pictures)
    monkeypatch.setenv("HOME", str(tmp_path))
    source = build(LlavaConfig(path=Path("~/pictures/talk.json")), Path("/nowhere"))
    assert next(iter(source[0].media)).open().size == (32, 24)


def test_the_readers_are_sources(pictures, tmp_path):
    llava_file(pictures)
    entries = {"images": [{"id": 1, "file_name": "good.jpg"}], "annotations": [{"image_id": 1, "caption": "x"}]}
    (tmp_path / "captions.json").write_text(json.dumps(entries))
    coco = CocoCaptionsConfig(annotations=Path("captions.json"), images=Path("pictures"), captions="first")
    for config, kind in ((LlavaConfig(path=Path("pictures/talk.json")), LlavaSource), (coco, CocoCaptionsSource)):
        source = build(config, tmp_path)
        assert isinstance(source, Source) and type(source) is kind
        assert len(list(source[0].media)) == 1


def test_a_source_of_ones_own_gets_the_recipes_folder_and_its_options(tmp_path):
    source = build(custom("Counting", count=5), tmp_path)
    assert isinstance(source, Counting) and source.base == tmp_path
    assert (len(source), source[4].messages[1].text) == (5, "4")
    assert len(pickle.loads(pickle.dumps(source))) == 5


@pytest.mark.parametrize(
    ("config", "kind", "says"),
    [
        (custom("Countin"), RecipeError, "did you mean Counting"),
        (custom("Counting", colour=3), RecipeError, "colour"),
        (custom("NoSource"), RecipeError, "Source"),
        (CONFIG.validate_python({"kind": "no_such_module:X"}), RecipeError, "no_such_module"),
        (custom("Counting", count=0), DataError, "empty"),
    ],
)
def test_a_source_of_ones_own_that_cannot_be_made_is_explained(config, kind, says, tmp_path):
    with pytest.raises(kind, match=says):
        build(config, tmp_path)


def test_the_config_is_light():
    heavy = "{'torch', 'transformers', 'numpy', 'PIL'}"
    code = f"import sys, triptych.data.config; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
