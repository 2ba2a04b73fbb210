"""Items from records: the templates and paths of a task file, applied to each."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.conversation import Image
from triptych.data.files import inside
from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import Hub, RecordsSource, TaskFile
from triptych.evaluate.benchmarks.items import LETTERS, Item, fill, take
from triptych.evaluate.benchmarks.readers.tables import MISTAKES, Located, records
from triptych.evaluate.tasks.question import Truth

_NOTHING = frozenset({"", "nan", "none", "null"})


def read_records(task: TaskFile, source: RecordsSource, folder: Path) -> list[Item]:
    """The items of a task whose source is records.

    Raises:
        DataError: A file is not there, or a record lacks what the task file names; with file, line or record, and reason.
    """
    items = []
    source, rows = _found(task, source, folder)
    for number, (where, record) in enumerate(rows):
        values = {**record, "n": number, "where": where}
        try:
            if all(fill(template, values) in kept for template, kept in source.where.items()):
                items += [_item(source, part, folder, where) for part in _each(source, values)]
        except KeyError as error:
            raise DataError(f"{where}: has no {error.args[0]!r}; its keys are {', '.join(map(str, record))}") from error
        except MISTAKES as error:
            raise DataError(f"{where}: {error}") from error
    if source.unique:
        items = list({item.id: item for item in reversed(items)}.values())[::-1]
    return items


def _found(task: TaskFile, source: RecordsSource, folder: Path) -> tuple[RecordsSource, Iterator[Located]]:
    """The records of the files, or of the hub dataset where these are absent, and how they are to be read."""
    from triptych.evaluate.benchmarks.readers import absent

    files = sorted(folder.glob(source.file)) if "*" in source.file else [folder / source.file]
    if files and files[0].is_file():
        return source, _of_files(task, source, folder, files)
    if source.hub is not None and (rows := _hub(source.hub)) is not None:
        return RecordsSource.model_validate(
            {**source.model_dump(), "join": None, "each": "", **source.hub.change}
        ), rows
    raise absent(task, folder, source.file)


def _of_files(task: TaskFile, source: RecordsSource, folder: Path, files: Sequence[Path]) -> Iterator[Located]:
    from triptych.evaluate.benchmarks.readers import absent

    joined: dict[str, dict[str, Any]] = {}
    if source.join is not None:
        other = folder / source.join.file
        if not other.is_file():
            raise absent(task, folder, source.join.file)
        joined = {str(record.get(source.join.key)): record for _, record in records(other, source.join.list)}
    for file in files:
        for where, record in records(file, source.list):
            more: dict[str, Any] = {"file": file.stem, "folder": file.parent.relative_to(folder).as_posix()}
            if source.join is not None:
                key = str(record.get(source.join.key))
                if key not in joined:
                    raise DataError(
                        f"{where}: {folder / source.join.file} has no record with {source.join.key} = {key}"
                    )
                more |= {**joined[key], "joined": joined[key]}
            yield where, {**more, **record}


def _hub(hub: Hub) -> Iterator[Located] | None:
    """Rows of a hub dataset, if the user has `datasets` and can reach the hub or holds a copy; otherwise nothing."""
    try:
        import datasets  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    try:
        rows = datasets.load_dataset(hub.path, hub.name, split=hub.split)
    except (OSError, ValueError, ConnectionError):
        return None
    return ((f"{hub.path}, row {i}", {"key": str(i), "file": hub.path, **row}) for i, row in enumerate(rows))


def _each(source: RecordsSource, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not source.each:
        yield dict(values)
        return
    parts = take(values, source.each)
    for i, part in enumerate(parts.values() if isinstance(parts, Mapping) else parts):
        yield {**values, "i": i, **(part if isinstance(part, Mapping) else {"value": part})}


def _item(source: RecordsSource, values: Mapping[str, Any], folder: Path, where: str) -> Item:
    options = _options(source, values)
    facts = {name: _fact(template, values) for name, template in source.facts.items()}
    facts |= {name: "1" if any(_has(values, path) for path in paths) else "0" for name, paths in source.flags.items()}
    images = tuple(_images(source, values, folder, where))
    id_ = fill(source.id, values)
    return Item(
        id=id_,
        question=fill(source.question, values).strip(),
        truth=_truth(source, values, options),
        images=images,
        kind=fill(source.type, values),
        options=options,
        facts=facts,
        picture=str(images[0]) if images else id_,
    )


def _fact(template: str, values: Mapping[str, Any]) -> Any:
    if template.startswith("="):
        return template[1:]
    return fill(template, values) if "{" in template else take(values, template)


def _has(values: Mapping[str, Any], path: str) -> bool:
    try:
        return take(values, path) not in (None, "", False)
    except KeyError:
        return False


def _options(source: RecordsSource, values: Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(source.options, str):
        found = take(values, source.options) if source.options else []
        if isinstance(found, str):  # a list that was written as text, as MMMU's are
            import ast

            try:
                found = ast.literal_eval(found)
            except (SyntaxError, ValueError) as error:
                raise ValueError(f"the options {found!r} are no list ({error})") from error
        if not isinstance(found, list | tuple):
            raise ValueError(f"the options at {source.options!r} are no list")
        return tuple(str(option) for option in found)
    filled = []
    for template in source.options:
        try:
            filled.append(fill(template, values).strip())
        except KeyError:
            continue
    return tuple(option for option in filled if option.lower() not in _NOTHING)


def _truth(source: RecordsSource, values: Mapping[str, Any], options: tuple[str, ...]) -> Truth:
    if source.truths is not None:
        found = take(values, source.truths)
        return [str(truth) for truth in found] if isinstance(found, list | tuple) else [str(found)]
    truth = fill(source.truth, values).strip() if source.truth is not None else ""
    if not options or source.truth is None:
        return truth
    if source.truth_as == "letter":
        letter = truth.upper()
    elif source.truth_as == "index":
        letter = LETTERS[int(truth)] if 0 <= int(truth) < min(len(options), len(LETTERS)) else ""
    else:
        letter = LETTERS[options.index(truth)] if truth in options else ""
    if letter not in LETTERS[: len(options)] or not letter:
        raise ValueError(f"the true answer {truth!r} is none of its {len(options)} options")
    return letter


def _images(source: RecordsSource, values: Mapping[str, Any], folder: Path, where: str) -> Iterator[Image]:
    if source.image_base64 is not None and values.get(source.image_base64):
        try:
            content = base64.b64decode(str(values[source.image_base64]), validate=True)
        except (binascii.Error, ValueError) as error:
            raise DataError(f"{where}: {source.image_base64!r} is no base64 ({error})") from error
        yield Image(content, name=f"{where}, picture")
    columns = [values.get(column) for column in source.hub.image] if source.hub else []
    held = [picture for column in columns for picture in (column if isinstance(column, list) else [column])]
    if pictures := [picture for picture in held if hasattr(picture, "save")]:
        for n, picture in enumerate(pictures):
            yield Image(_encoded(picture), name=f"{where}, picture {n}")
        return
    for template in source.images:
        try:
            name = fill(template, values)
        except KeyError:
            continue
        if name.rsplit("/", 1)[-1].lower() in _NOTHING:
            continue
        yield Image(_path(folder, name, where))


def _encoded(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()


def _path(folder: Path, name: str, where: str) -> Path:
    try:
        return inside(folder, name)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
