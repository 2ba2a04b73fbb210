"""AMBER as released: queries by id, annotations in the order of ids, association lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triptych.conversation import Image
from triptych.data.files import parse_json, read_text
from triptych.errors import quoted
from triptych.evaluate.benchmarks.config import AmberSource, TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.readers.faults import Faults, located
from triptych.evaluate.benchmarks.readers.pictures import Pictures
from triptych.evaluate.benchmarks.readers.tables import records

TYPES = {
    "discriminative-attribute-state": "attribute", "discriminative-attribute-number": "attribute",
    "discriminative-attribute-action": "attribute", "discriminative-hallucination": "existence",
    "discriminative-relation": "relation", "relation": "relation",
}  # fmt: skip


def read_amber(task: TaskFile, source: AmberSource, folder: Path, faults: Faults, pictures: Pictures) -> list[Item]:
    """Descriptions to write, or yes-or-no questions; a query without an annotation is a fault.

    Raises:
        DataError: A file is not there or malformed.
    """
    from triptych.evaluate.benchmarks.readers import absent

    for name in (source.queries, source.annotations):
        if not (folder / name).is_file():
            raise absent(task, folder, name)
    annotated = {}
    for where, record in records(folder / source.annotations, faults=faults):
        with faults.at(where):
            annotated[str(record["id"])] = where, record
    facts: dict[str, Any] = {}
    if source.part == "generative":
        facts = {"things": _relations(folder / source.relations)}
        facts["harmless"] = read_text(folder / source.harmless).split("\n")
    items: list[Item] = []
    for where, query in records(folder / source.queries, faults=faults):
        id_ = str(query.get("id"))
        if id_ not in annotated:
            faults.add(f"{where}: {folder / source.annotations} has no annotation with id {id_}")
            continue
        place, truth = annotated[id_]
        with faults.at(place):
            kind, true = str(truth["type"]), truth["truth"]
            if (kind == "generative") == (source.part == "generative"):
                with faults.at(where):
                    image, asked = pictures.file(folder / source.images, str(query["image"])), str(query["query"])
                    with located(place):
                        items.append(_item(id_, asked, kind, truth, true, image, facts))
    return items


def _item(
    id_: str, asked: str, kind: str, truth: dict[str, Any], true: Any, image: Image, facts: dict[str, Any]
) -> Item:
    if kind == "generative":
        named, likely = _words(true), _words(truth["hallu"])
        own = {"likely": likely, **_of(facts, [*named, *likely])}
        return Item(id_, asked, named, (image,), facts=own, picture=str(image))
    return Item(id_, asked, str(true), (image,), TYPES.get(kind, kind), picture=str(image))


def _words(value: Any) -> list[str]:
    """A list of words. ValueError: it is something else."""
    if not (isinstance(value, list) and all(isinstance(word, str) for word in value)):
        raise ValueError(f"expected a list of words, got {quoted(value)}")
    return value


def _relations(path: Path) -> dict[str, list[str]]:
    """What is said for each thing. DataError: the file is no mapping of words to lists of words."""
    listed = parse_json(read_text(path), path)
    with located(str(path)):
        return {thing: _words(words) for thing, words in listed.items()}


def _of(facts: dict[str, Any], annotated: list[str]) -> dict[str, Any]:
    """The lists that an item's score needs: its own words with what is said for them, and all things by name."""
    things = facts["things"]
    return {
        "things": {**dict.fromkeys(things, ()), **{w: things.get(w, ()) for w in annotated}},
        "harmless": facts["harmless"],
    }
