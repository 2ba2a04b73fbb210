"""AMBER as released: queries by id, annotations in the order of ids, association lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triptych.conversation import Image
from triptych.data.files import inside, parse_json, read_text
from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import AmberSource, TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.readers.tables import located, records

TYPES = {
    "discriminative-attribute-state": "attribute", "discriminative-attribute-number": "attribute",
    "discriminative-attribute-action": "attribute", "discriminative-hallucination": "existence",
    "discriminative-relation": "relation", "relation": "relation",
}  # fmt: skip


def read_amber(task: TaskFile, source: AmberSource, folder: Path) -> list[Item]:
    """Descriptions to write, or yes-or-no questions.

    Raises:
        DataError: A file is not there or malformed, or a query has no annotation.
    """
    from triptych.evaluate.benchmarks.readers import absent

    for name in (source.queries, source.annotations):
        if not (folder / name).is_file():
            raise absent(task, folder, name)
    annotated = {}
    for where, record in records(folder / source.annotations):
        with located(where):
            annotated[str(record["id"])] = where, record
    facts: dict[str, Any] = {}
    if source.part == "generative":
        facts = {"things": parse_json(read_text(folder / source.relations), folder / source.relations)}
        facts["harmless"] = read_text(folder / source.harmless).split("\n")
    items = []
    for where, query in records(folder / source.queries):
        id_ = str(query.get("id"))
        if id_ not in annotated:
            raise DataError(f"{where}: {folder / source.annotations} has no annotation with id {id_}")
        place, truth = annotated[id_]
        with located(place):
            kind, true = str(truth["type"]), truth["truth"]
            if (kind == "generative") != (source.part == "generative"):
                continue
            own = {}
            if source.part == "generative":
                own = {"likely": truth["hallu"], **_of(facts, [*true, *truth["hallu"]])}
        with located(where):
            image, asked = Image(inside(folder / source.images, str(query["image"]))), str(query["query"])
        if source.part == "generative":
            items.append(Item(id_, asked, list(true), (image,), facts=own, picture=str(image)))
        else:
            items.append(Item(id_, asked, str(true), (image,), TYPES.get(kind, kind), picture=str(image)))
    return items


def _of(facts: dict[str, Any], annotated: list[str]) -> dict[str, Any]:
    """The lists that an item's score needs: its own words with what is said for them, and all things by name."""
    things = facts["things"]
    return {
        "things": {**dict.fromkeys(things, ()), **{w: things.get(w, ()) for w in annotated}},
        "harmless": facts["harmless"],
    }
