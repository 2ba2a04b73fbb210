"""Every reader of records, fed with anything: a record is read or refused, and a file that cannot be used is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from encoded_pictures import jpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.data.config import (
    AlpacaConfig,
    CocoCaptionsConfig,
    CocoInstancesConfig,
    DataConfig,
    InterleavedConfig,
    LlavaConfig,
    RefcocoConfig,
    TextConfig,
    VisualGenomeConfig,
)
from triptych.data.reading import read_record
from triptych.data.sources import build
from triptych.errors import DataError

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from(["good.jpg", "<image>", "\ud83d", "../x", "a" * 300, 1, "1", [0, 0, 9, 9], [3, 3, 1e9, 5], {"size": [1, 1]}])
)  # fmt: skip
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def records(*keys: str, among: Any = junk) -> Any:
    return st.dictionaries(st.sampled_from(keys), among, max_size=len(keys))


KINDS: dict[str, tuple[Any, Any]] = {
    "alpaca": (AlpacaConfig, records("instruction", "input", "output", "system", "images", "history")),
    "interleaved": (
        InterleavedConfig,
        records("id", "parts", "texts", "images", "text_list", "image_info",
                among=junk | st.lists(records("text", "image", "image_name", "matched_text_index") | scalars, max_size=3)),
    ),
    "text": (TextConfig, records("text", "images", "video")),
    "refcoco": (
        RefcocoConfig,
        records("file_name", "image", "bbox", "sentences", "phrase", "ann_id", "width", "height", "segmentation", "split",
                among=junk | st.lists(records("sent", "raw"), max_size=2)),
    ),
    "visual_genome": (
        VisualGenomeConfig,
        records("id", "regions", "width", among=junk | st.lists(records("phrase", "x", "y", "width", "height"), max_size=3)),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("junk")
    (folder / "good.jpg").write_bytes(jpeg(0))
    return folder


def read_all(config: DataConfig) -> None:
    """Every record of a dataset, or the reason why there is none."""
    try:
        source = build(config)
    except DataError as error:
        assert len(str(error)) < 2000
        return
    for index in range(len(source)):
        try:
            conversation = source[index]  # not `read_record`, which would turn any exception into an error
        except DataError as error:
            assert len(str(error)) < 2000, error
            continue
        for message in conversation.messages:
            assert message.parts
        try:
            read_record(source, index)
        except DataError as error:
            assert "unexpected" not in str(error)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_whatever_stands_in_a_line_it_is_read_or_refused(kind: str, folder: Path, data: st.DataObject) -> None:
    config, strategy = KINDS[kind]
    lines = data.draw(st.lists(strategy | junk, min_size=1, max_size=3))
    path = folder / f"{kind}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    values: dict[str, Any] = {"path": path}
    if "images" in config.model_fields:
        values["images"] = folder
    read_all(config(**values))


images_ = records("id", "file_name", "width", "height")
annotations = records("id", "image_id", "category_id", "bbox", "segmentation", "iscrowd", "caption")
coco = st.fixed_dictionaries(
    {},
    optional={
        "images": junk | st.lists(images_, max_size=2),
        "annotations": junk | st.lists(annotations, max_size=3),
        "categories": junk | st.lists(records("id", "name"), max_size=2),
    },
)


@given(coco, st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_stands_in_coco_it_is_read_or_refused(folder: Path, content: Any, masks: bool) -> None:
    path = folder / "coco.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    read_all(CocoInstancesConfig(annotations=path, images=folder, masks=masks))
    read_all(CocoCaptionsConfig(annotations=path, images=folder))


@given(st.binary(max_size=300), st.sampled_from(["json", "jsonl", "parquet", "txt"]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_bytes_a_file_holds_they_are_read_or_refused(
    folder: Path, content: bytes, suffix: str, magic: bool
) -> None:
    path = folder / f"bytes.{suffix}"
    path.write_bytes(b"PAR1" + content + b"PAR1" if magic else content)
    read_all(LlavaConfig(path=path, images=folder))
    read_all(TextConfig(path=path))
