"""AMBER as released: queries by id, annotations in the order of ids, association lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triptych.conversation import Image
from triptych.data.files import inside, parse_json, read_text
from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import AmberSource, TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.readers.tables import records

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
    annotated = {str(record["id"]): record for _, record in records(folder / source.annotations)}
    facts: dict[str, Any] = {}
    if source.part == "generative":
        facts = {"things": parse_json(read_text(folder / source.relations), folder / source.relations)}
        facts["harmless"] = read_text(folder / source.harmless).split("\n")
    items = []
    for where, query in records(folder / source.queries):
        id_ = str(query.get("id"))
        if id_ not in annotated:
            raise DataError(f"{where}: {folder / source.annotations} has no annotation with id {id_}")
        truth = annotated[id_]
        if (truth["type"] == "generative") != (source.part == "generative"):
            continue
        image = Image(inside(folder / source.images, str(query["image"])))
        if source.part == "generative":
            own = {"likely": truth["hallu"], **_of(facts, [*truth["truth"], *truth["hallu"]])}
            items.append(Item(id_, str(query["query"]), list(truth["truth"]), (image,), facts=own, picture=str(image)))
        else:
            kind = TYPES.get(str(truth["type"]), str(truth["type"]))
            items.append(Item(id_, str(query["query"]), str(truth["truth"]), (image,), kind, picture=str(image)))
    return items


def _of(facts: dict[str, Any], annotated: list[str]) -> dict[str, Any]:
    """The lists that an item's score needs: its own words with what is said for them, and all things by name."""
    things = facts["things"]
    return {
        "things": {**dict.fromkeys(things, ()), **{w: things.get(w, ()) for w in annotated}},
        "harmless": facts["harmless"],
    }
