"""Retrieval as a picture: held-out pictures by their texts, the darker the nearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from triptych.errors import TriptychError
from triptych.report.folder import RunRecord, read_object
from triptych.report.gallery import OpenPicture, data_uri
from triptych.report.numbers import number


@dataclass(frozen=True)
class MatchCell:
    """A cosine, and where it stands between the lowest and the highest of the matrix."""

    cosine: float
    share: float
    own: bool
    best: bool


@dataclass(frozen=True)
class Matches:
    """A matrix: rows are pictures (as data URIs; empty where they could not be opened), columns their texts."""

    pictures: list[str]
    texts: list[str]
    rows: list[list[MatchCell]]

    @property
    def found(self) -> int:
        """Pictures whose own text is the nearest of these."""
        return sum(cell.own and cell.best for row in self.rows for cell in row)


def matches(run: RunRecord, open_picture: OpenPicture) -> dict[str, Matches]:
    """The matrix of every retrieval task that left one."""
    found = {}
    for file in sorted((run.path / "evaluation").glob("*.matrix.json")):
        try:
            made = _matches(read_object(file), open_picture)
        except TriptychError:
            continue
        if made is not None:
            found[file.name.removesuffix(".matrix.json")] = made
    return found


def _matches(matrix: Mapping[str, Any], open_picture: OpenPicture) -> Matches | None:
    pictures, texts = matrix.get("pictures") or [], [str(text) for text in matrix.get("texts") or []]
    cosines = [[number(value) or 0.0 for value in row] for row in matrix.get("cosines") or []]
    if len(texts) < 2 or len(pictures) != len(cosines) or any(len(row) != len(texts) for row in cosines):
        return None
    low, high = min(map(min, cosines)), max(map(max, cosines))
    rows = [
        [
            MatchCell(value, (value - low) / (high - low or 1.0), own=column == place, best=value == max(row))
            for column, value in enumerate(row)
        ]
        for place, row in enumerate(cosines)
    ]
    return Matches([_thumbnail(picture, open_picture) for picture in pictures], texts, rows)


def _thumbnail(picture: Mapping[str, Any], open_picture: OpenPicture) -> str:
    try:
        found = open_picture({"image": picture})
    except (TriptychError, OSError):
        return ""
    if found is None:
        return ""
    small = found.convert("RGB")
    small.thumbnail((96, 96))
    return data_uri(small)
