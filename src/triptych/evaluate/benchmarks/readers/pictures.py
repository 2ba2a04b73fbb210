"""The pictures of a record: files, columns of a hub dataset, or base64 in a cell, which may name another row's."""

from __future__ import annotations

import ast
import base64
import binascii
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from triptych.conversation import Image
from triptych.data.files import inside
from triptych.errors import DataError
from triptych.evaluate.benchmarks.config import RecordsSource
from triptych.evaluate.benchmarks.items import fill

REFERENCE = 64
"""A cell of at most so many characters names another row: the smallest PNG is longer in base64."""

_PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")


class Pictures:
    """The pictures that a task's records name.

    Args:
        needed: Whether somebody opens them. Where nobody does, a picture that is not there is no fault of the record that
            names it; names that lead out of the folder, and records without a picture, are faults still.

    `cells` holds the picture cells of all rows by id, where pictures stand in cells; `left_out` says that no row has its
    cell; `missing` names what is not there.
    """

    def __init__(self, needed: bool = True) -> None:
        self.needed = needed
        self.cells: dict[str, str] = {}
        self.left_out = False
        self.missing: dict[str, None] = {}

    def file(self, folder: Path, name: str) -> Image:
        """The picture `name` of `folder`. DataError: as `inside`."""
        path = inside(folder, name, missing_ok=not self.needed)
        return Image(path) if self.needed or path.is_file() else self.absent(path)

    def absent(self, source: Path | str) -> Image:
        """A picture that is not there: its path, or its name where it belongs into no file of its own."""
        image = Image(source) if isinstance(source, Path) else Image(_not_there(source), name=source)
        self.missing[str(image)] = None
        return image


def _not_there(name: str) -> Callable[[], NoReturn]:
    def draw() -> NoReturn:
        raise DataError(f"{name}: is not there")

    return draw


def pictures_of(
    source: RecordsSource, values: Mapping[str, Any], folder: Path, where: str, pictures: Pictures
) -> Iterator[Image]:
    """The pictures of a record.

    Args:
        source: Where they are.
        values: Of the record.
        folder: Of the task.
        where: The record's place.
        pictures: Of the task.

    Raises:
        DataError: A file is not there, a cell is no base64, or names no row that has a picture.
    """
    if source.image_base64 is not None and (cell := str(values.get(source.image_base64) or "").strip()):
        for n, text in enumerate(_listed(followed(cell, pictures.cells, fill(source.id, values)))):
            try:
                content = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError) as error:
                raise DataError(f"{where}: {source.image_base64!r} is no base64 ({error})") from error
            yield Image(content, name=f"{where}, picture{f' {n}' if n else ''}")
    columns = [values.get(column) for column in source.hub.image] if source.hub else []
    held = [picture for column in columns for picture in (column if isinstance(column, list) else [column])]
    if decoded := [picture for picture in held if hasattr(picture, "save")]:
        for n, picture in enumerate(decoded):
            shown: Any = _encoded(picture) if pictures.needed else picture
            yield Image(shown, name=f"{where}, picture {n}")
        return
    for template in source.images:
        try:
            name = fill(template, values)
        except KeyError:
            continue
        if not name.rsplit("/", 1)[-1].strip():
            continue
        yield pictures.file(folder, name)


def followed(cell: str, cells: Mapping[str, str], own: str) -> str:
    """The picture of a cell, through rows that name other rows.

    Raises:
        DataError: A row is named that is not there or has no picture, or rows name each other in a circle.
    """
    passed = [own]
    while len(cell) <= REFERENCE:
        name = next((key for key in (cell, cell.removesuffix(".0")) if key in cells), None)
        if name is None:
            raise DataError(f"its picture is that of row {cell!r}, and there is no such row")
        passed.append(name)
        if name in passed[:-1]:
            raise DataError(f"its picture is that of another row, in a circle: {' → '.join(passed[-8:])}")
        cell = cells[name]
        if not cell:
            raise DataError(f"its picture is that of row {name!r}, which has none")
    return cell


def _listed(cell: str) -> list[str]:
    """Several pictures stand as a list that was written as text."""
    if not cell.startswith("["):
        return [cell]
    try:
        found = ast.literal_eval(cell)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise DataError(f"its list of pictures cannot be read ({type(error).__name__})") from error
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise DataError("its pictures are no list of texts")
    return found


def _encoded(picture: Any) -> bytes:
    """A picture as PNG, in its own mode, so that transparency is seen to where all pictures are read."""
    buffer = io.BytesIO()
    (picture if picture.mode in _PNG_MODES else picture.convert("RGB")).save(buffer, format="PNG")
    return buffer.getvalue()
