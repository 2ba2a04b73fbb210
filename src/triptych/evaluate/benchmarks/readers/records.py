"""Items from records: the templates and paths of a task file, applied to each."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import Hub, RecordsSource, TaskFile
from triptych.evaluate.benchmarks.items import LETTERS, Item, fill, take
from triptych.evaluate.benchmarks.readers.choices import Choices, choices_of, letter_of, options_in
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.readers.pictures import Pictures, pictures_of
from triptych.evaluate.benchmarks.readers.tables import Located, records
from triptych.evaluate.tasks.question import Truth


def read_records(task: TaskFile, source: RecordsSource, folder: Path, faults: Faults, pictures: Pictures) -> list[Item]:
    """The items of a task whose source is records; a record that lacks what the task file names is a fault.

    Raises:
        DataError: A file is not there or malformed.
    """
    items: list[Item] = []
    source, rows = _found(task, source, folder, faults)
    if source.image_base64 is not None:
        rows = iter(held := list(rows))
        pictures.left_out = all(source.image_base64 not in record for _, record in held)
        for number, (where, record) in enumerate(held):
            with Faults().at(where):  # a row without an id is noted below
                cell = str(record.get(source.image_base64) or "").strip()
                pictures.cells[fill(source.id, {**record, "n": number})] = cell
    for number, (where, record) in enumerate(rows):
        values = {**record, "n": number, "where": where}
        with faults.at(where), _keyed(record, where):
            if all(fill(template, values) in kept for template, kept in source.where.items()):
                for part in _each(source, values):
                    with faults.at(where), _keyed(record, where):
                        items.append(_item(source, part, folder, where, pictures))
    if source.unique:
        items = list({item.id: item for item in reversed(items)}.values())[::-1]
    return items


@contextmanager
def _keyed(record: Mapping[str, Any], where: str) -> Iterator[None]:
    """A key that is missing is named beside those that are there."""
    try:
        yield
    except KeyError as error:
        keys = ", ".join(map(str, list(record)[:20]))
        raise DataError(f"{where}: has no {error.args[0]!r}; its keys are {keys}") from error


def _found(
    task: TaskFile, source: RecordsSource, folder: Path, faults: Faults
) -> tuple[RecordsSource, Iterator[Located]]:
    """The records of the files, or of the hub dataset where these are absent, and how they are to be read."""
    from triptych.evaluate.benchmarks.readers import absent

    files = sorted(folder.glob(source.file)) if "*" in source.file else [folder / source.file]
    if files and files[0].is_file():
        return source, _of_files(task, source, folder, files, faults)
    if source.hub is not None and (rows := _hub(source.hub)) is not None:
        return RecordsSource.model_validate(
            {**source.model_dump(), "join": None, "each": "", **source.hub.change}
        ), rows
    raise absent(task, folder, source.file)


def _of_files(
    task: TaskFile, source: RecordsSource, folder: Path, files: Sequence[Path], faults: Faults
) -> Iterator[Located]:
    from triptych.evaluate.benchmarks.readers import absent

    joined: dict[str, dict[str, Any]] = {}
    if source.join is not None:
        other = folder / source.join.file
        if not other.is_file():
            raise absent(task, folder, source.join.file)
        joined = {str(record.get(source.join.key)): record for _, record in records(other, source.join.list, faults)}
    for file in files:
        for where, record in records(file, source.list, faults):
            more: dict[str, Any] = {"file": file.stem, "folder": file.parent.relative_to(folder).as_posix()}
            if source.join is not None:
                key = str(record.get(source.join.key))
                if key not in joined:
                    faults.add(f"{where}: {folder / source.join.file} has no record with {source.join.key} = {key}")
                    continue
                more |= {**joined[key], "joined": joined[key]}
            yield where, {**more, **record}


def _hub(hub: Hub) -> Iterator[Located] | None:
    """Rows of a hub dataset, if the user has `datasets` and can reach the hub or holds a copy; otherwise nothing."""
    try:
        import datasets  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    names = hub.names or (hub.name,)
    try:
        parts = [(name, datasets.load_dataset(hub.path, name, split=hub.split)) for name in names]
    except (OSError, ValueError, ConnectionError):
        return None
    return (
        (f"{hub.path}{f', {name}' if hub.names else ''}, row {i}", {"key": str(i), "file": name or hub.path, **row})
        for name, rows in parts
        for i, row in enumerate(rows)
    )


def _each(source: RecordsSource, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not source.each:
        yield dict(values)
        return
    parts = take(values, source.each)
    for i, part in enumerate(parts.values() if isinstance(parts, Mapping) else parts):
        yield {**values, "i": i, **(part if isinstance(part, Mapping) else {"value": part})}


def _item(source: RecordsSource, values: Mapping[str, Any], folder: Path, where: str, pictures: Pictures) -> Item:
    choices = choices_of(source, values)
    facts = {name: _fact(template, values) for name, template in source.facts.items()}
    facts |= {name: "1" if any(_has(values, path) for path in paths) else "0" for name, paths in source.flags.items()}
    images = tuple(pictures_of(source, values, folder, where, pictures))
    if pictures.left_out and not images and not pictures.needed:  # the file without its column of pictures
        images = (pictures.absent(f"{where}, picture"),)
    id_ = fill(source.id, values)
    if not images and not source.images_optional and (source.images or source.image_base64 or source.hub):
        raise ValueError("has no picture")
    question = fill(source.question, values).strip()
    notes = [fill(note, values) for note in source.notes if all(_fields(note, values))]
    letters = "".join(choices)
    return Item(
        id=id_,
        question=" ".join((options_in(question)[0] if source.options_in_question else question, *notes)),
        truth=_truth(source, values, choices),
        images=images,
        kind=fill(source.type, values),
        options=tuple(choices.values()),
        facts=facts,
        picture=str(images[0]) if images else id_,
        letters="" if LETTERS.startswith(letters) else letters,
    )


def _fields(template: str, values: Mapping[str, Any]) -> Iterator[str]:
    """What the fields of a template are, each for itself; nothing where a record lacks it."""
    for _, name, _, _ in string.Formatter().parse(template):
        if name is not None:
            try:
                yield fill(f"{{{name}}}", values).strip()
            except KeyError:
                yield ""


def _fact(template: str, values: Mapping[str, Any]) -> Any:
    if template.startswith("="):
        return template[1:]
    return fill(template, values) if "{" in template else take(values, template)


def _has(values: Mapping[str, Any], path: str) -> bool:
    try:
        return take(values, path) not in (None, "", False)
    except KeyError:
        return False


def _truth(source: RecordsSource, values: Mapping[str, Any], choices: Choices) -> Truth:
    if source.truths is not None:
        found = take(values, source.truths)
        return [str(truth) for truth in found] if isinstance(found, list | tuple) else [str(found)]
    truth = fill(source.truth, values).strip() if source.truth is not None else ""
    if source.truth is None or not (choices or source.options):
        return truth
    if not choices and source.options_optional:
        return truth
    return letter_of(source, truth, choices)
