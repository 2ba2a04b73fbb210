"""From COCO annotations: captions to write, POPE's three kinds of questions, and CHAIR's things in pictures.

POPE (Y. Li et al., "Evaluating object hallucination in large vision-language models", EMNLP 2023): pictures with more than
three annotated things; of each, three that are there and three that are not, drawn at random, by how many pictures show
them (popular), or by how often they are seen together with what was just asked (adversarial).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from triptych.conversation import Image
from triptych.data.files import parse_json, read_text
from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import CocoSource, TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.readers.faults import Faults, located
from triptych.evaluate.benchmarks.readers.pictures import Pictures
from triptych.evaluate.scoring.chair_words import chair_words, synonyms
from triptych.paths import exists

SPLITS = ("random", "popular", "adversarial")

Show: TypeAlias = Callable[[str], Image]
"""From the name of a picture in the annotations to the picture."""


def read_coco(task: TaskFile, source: CocoSource, folder: Path, faults: Faults, finder: Pictures) -> list[Item]:
    """The items of a task whose source is COCO annotations; a picture with an annotation that cannot be read is left out.

    Raises:
        DataError: A file is not there or malformed.
    """
    files = {kind: _first(task, folder, getattr(source, kind)) for kind in ("instances", "captions")}
    show = partial(_image, finder, _first(task, folder, source.images, missing_ok=not finder.needed))
    if files["captions"] is not None and source.split is not None:
        return _captioned(*_karpathy(source, files["captions"], faults), show, faults)
    content = {kind: (path, _json(path)) for kind, path in files.items() if path is not None}
    pictures = _pictures(source, content.values(), folder, faults)
    captions: dict[int, list[str]] = defaultdict(list)
    if "captions" in content:
        for where, annotation in _each(*content["captions"], "annotations"):
            with faults.at(where):
                captions[annotation["image_id"]].append(str(annotation["caption"]).strip())
    if source.kind == "coco_captions":
        return _captioned(pictures, captions, show, faults)
    things, spoiled = _things(*content["instances"], faults)
    pictures = {id_: name for id_, name in pictures.items() if id_ not in spoiled}
    if source.kind == "coco_pope":
        return _pope(source, pictures, things, show, faults)
    items: list[Item] = []
    for id_, name in pictures.items():
        with faults.at(f"picture {id_}"):
            there = set(things.get(id_, ())) | {category for text in captions[id_] for _, category in chair_words(text)}
            image = show(name)
            said = {"captions": captions[id_]}
            items.append(Item(str(id_), "", sorted(there), (image,), facts=said, picture=str(id_)))
    return items


def pope_questions(
    things: Mapping[Any, Sequence[str]], split: str, objects: int, pictures: int, seed: int
) -> list[tuple[Any, str, bool]]:
    """POPE's questions: picture, thing, whether it is there; a thing that is there and one that is not in turn.

    Args:
        things: What is annotated in each picture, each thing once.
        split: One of `SPLITS`.
        objects: Pairs of questions a picture; only pictures with more things than that are asked about.
        pictures: At most this many.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    often = Counter(thing for there in things.values() for thing in there)
    together: dict[str, Counter[str]] = defaultdict(Counter)
    for there in things.values():
        for thing in there:
            together[thing].update(other for other in there if other != thing)
    known = sorted(often)
    rich = [picture for picture, there in things.items() if len(there) > objects and len(known) >= len(there) + objects]
    chosen = rich if len(rich) <= pictures else [rich[i] for i in sorted(generator.permutation(len(rich))[:pictures])]
    questions: list[tuple[Any, str, bool]] = []
    for picture in chosen:
        there = list(things[picture])
        asked: list[str] = []
        for i in generator.permutation(len(there))[:objects]:
            thing = there[int(i)]
            drawn = [known[int(j)] for j in generator.permutation(len(known))]
            ranked = {
                "random": drawn,
                "popular": [name for name, _ in often.most_common()],
                "adversarial": [*(name for name, _ in together[thing].most_common()), *drawn],
            }[split]
            other = next(name for name in ranked if name not in there and name not in asked)
            asked += [thing, other]
            questions += [(picture, thing, True), (picture, other, False)]
    return questions


def _pope(
    source: CocoSource, pictures: dict[int, str], things: dict[int, list[str]], show: Show, faults: Faults
) -> list[Item]:
    shown: dict[int, Image] = {}
    for id_, name in pictures.items():
        if things.get(id_):
            with faults.at(f"picture {id_}"):
                shown[id_] = show(name)
    annotated = {id_: things[id_] for id_ in shown}
    items = []
    for split in SPLITS:
        for n, (id_, thing, there) in enumerate(
            pope_questions(annotated, split, source.objects, source.pictures, source.seed)
        ):
            article = "an" if thing[0] in "aeiou" else "a"
            question = f"Is there {article} {thing} in the image?"
            items.append(
                Item(f"{split}/{n}", question, "yes" if there else "no", (shown[id_],), split, picture=str(id_))
            )
    # Questions about one picture side by side: a responder reads it once for all of them.
    order = {id_: place for place, id_ in enumerate(dict.fromkeys(item.picture for item in items))}
    return sorted(items, key=lambda item: order[item.picture])


def _captioned(pictures: dict[int, str], captions: dict[int, list[str]], show: Show, faults: Faults) -> list[Item]:
    items: list[Item] = []
    for id_, name in pictures.items():
        if captions.get(id_):
            with faults.at(f"picture {id_}"):
                items.append(Item(str(id_), "", captions[id_], (show(name),), picture=str(id_)))
    return items


def _things(path: Path, instances: Any, faults: Faults) -> tuple[dict[int, list[str]], set[Any]]:
    """The names of the categories annotated in each picture, each once, in order; synonyms as CHAIR names them.

    And the pictures of which an annotation cannot be read: what they show is not known.
    """
    names: dict[int, str] = {}
    for where, category in _each(path, instances, "categories"):
        with faults.at(where):
            names[category["id"]] = str(category["name"])
    found: dict[int, dict[str, None]] = defaultdict(dict)
    spoiled: set[Any] = set()
    for where, annotation in _each(path, instances, "annotations"):
        before = faults.count
        with faults.at(where):
            if annotation["category_id"] not in names:
                raise ValueError(f"no category has the id {annotation['category_id']!r}")
            name = names[annotation["category_id"]]
            found[annotation["image_id"]][synonyms().get(name, name)] = None
        if faults.count > before and isinstance(annotation, dict) and isinstance(annotation.get("image_id"), int | str):
            spoiled.add(annotation["image_id"])
    return {id_: list(things) for id_, things in found.items()}, spoiled


def _pictures(source: CocoSource, contents: Iterable[tuple[Path, Any]], folder: Path, faults: Faults) -> dict[int, str]:
    wanted = None
    if source.ids is not None and (folder / source.ids).is_file():
        with located(str(folder / source.ids)):
            wanted = {int(line) for line in read_text(folder / source.ids).split()}
    pictures: dict[int, str] = {}
    for path, content in contents:
        for where, image in _each(path, content, "images"):
            with faults.at(where):
                pictures[image["id"]] = str(image["file_name"])
    return {id_: name for id_, name in pictures.items() if wanted is None or id_ in wanted}


def _karpathy(source: CocoSource, path: Path, faults: Faults) -> tuple[dict[int, str], dict[int, list[str]]]:
    """Pictures and captions of a split of `dataset_coco.json` or `dataset_flickr30k.json`."""
    pictures, captions = {}, {}
    for where, image in _each(path, _json(path), "images"):
        with faults.at(where):
            if image["split"] == source.split:
                id_ = int(image["cocoid"] if "cocoid" in image else image["imgid"])
                pictures[id_] = "/".join(filter(None, (image.get("filepath"), image["filename"])))
                captions[id_] = [str(sentence["raw"]).strip() for sentence in image["sentences"]]
    return pictures, captions


def _each(path: Path, content: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The records under a name of an annotation file, each with its place."""
    if not isinstance(content.get(name), list):
        raise DataError(f"{path}: expected a list of records under {name!r}, as in COCO's annotation files")
    for number, record in enumerate(content[name], start=1):
        yield f"{path}, {name}, record {number}", record


def _json(path: Path) -> Any:
    content = parse_json(read_text(path), path)
    if not isinstance(content, dict) or "images" not in content:
        raise DataError(f"{path}: expected an object with `images`, as COCO's annotation files are")
    return content


def _first(task: TaskFile, folder: Path, names: Sequence[str], missing_ok: bool = False) -> Path | None:
    from triptych.evaluate.benchmarks.readers import absent

    if not names:
        return None
    found = next((folder / name for name in names if (folder / name).exists()), None)
    if found is None and missing_ok:
        return folder / names[0]
    if found is None:
        raise absent(task, folder, " or ".join(names))
    return found


def _image(finder: Pictures, images: Path | None, name: str) -> Image:
    assert images is not None
    return finder.file(images, name if exists(images / name) else Path(name).name)
