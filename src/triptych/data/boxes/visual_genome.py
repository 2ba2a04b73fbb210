"""Visual Genome's region descriptions (Krishna et al. 2016).

[{"id": 2, "regions": [{"region_id", "image_id", "phrase", "x", "y", "width", "height"}]}]
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.conversation import Conversation, Frame, Image
from triptych.conversation.expression import Expression
from triptych.data.boxes.config import VisualGenomeConfig
from triptych.data.boxes.conversations import box_of, found, frame_of, in_turns
from triptych.data.files import data_path, inside
from triptych.data.records import open_records
from triptych.errors import DataError, quoted

KIND = "region"
FOLDERS = ("VG_100K", "VG_100K_2", "")
"""Where the pictures are, by the folders that the dataset comes in."""


class VisualGenomeSource:
    """Conversations about pictures' described regions, so many turns each.

    Args:
        path: `region_descriptions.json`.
        images: The folder of the pictures, or the one that holds `VG_100K` and `VG_100K_2`.
        config: What the recipe says.

    Raises:
        DataError: The file or the folder is missing, or it has another form.
    """

    def __init__(self, path: Path, images: Path, config: VisualGenomeConfig) -> None:
        if not images.is_dir():
            raise DataError(f"{images}: the images folder of {path} does not exist")
        self.images, self.config = images, config
        self._records = open_records(path)
        self._places: list[tuple[int, int]] = []  # picture, which of its conversations
        for number in range(len(self._records)):
            try:
                regions = self._records[number].get("regions")
                count = len(regions) if isinstance(regions, list) else 1
            except DataError:
                count = 1  # raised again when the record is asked for, so that the ledger counts it
            self._places += [(number, part) for part in range(-(-count // config.turns))]
            if config.limit is not None and len(self._places) >= config.limit:
                del self._places[config.limit :]
                break
        if not self._places:
            raise DataError(f"{path}: describes no regions")

    @classmethod
    def from_config(cls, config: VisualGenomeConfig, base: Path) -> VisualGenomeSource:
        """Open it; relative paths start from `base`. Raises DataError where the dataset as a whole is unusable."""
        return cls(data_path(config.path, base), data_path(config.images, base), config)

    def __len__(self) -> int:
        return len(self._places)

    def where(self, index: int) -> str:
        """File and line of a record."""
        return str(self._records.where(self._places[index][0]))

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`; DataError, with file and line, when it cannot be used."""
        number, part = self._places[index]
        try:
            record = self._records[number]
            regions = record.get("regions")
            if not isinstance(regions, list) or not all(isinstance(region, Mapping) for region in regions):
                raise DataError("expected 'regions', a list of {phrase, x, y, width, height}")
            chosen = list(in_turns(regions, self.config.turns))[part]
            name = record.get("id", chosen[0].get("image_id"))
            image = self._picture(name)
            frame = frame_of(record, image)
            expressions = [_expression(region, frame) for region in chosen]
        except DataError as error:
            raise DataError(f"{self._records.where(number)}: {error}") from error
        return found(image, expressions, f"{name}/{part}", self.config, image_id=name)

    def _picture(self, number: Any) -> Image:
        if isinstance(number, bool) or not isinstance(number, int | str):
            raise DataError(f"expected the number of a picture as 'id', got {quoted(number, 80)}")
        for folder in FOLDERS:
            name = f"{folder}/{number}.jpg" if folder else f"{number}.jpg"
            try:
                return Image(inside(self.images, name))
            except DataError as error:
                last = error
        raise last


def _expression(region: Mapping[str, Any], frame: Frame) -> Expression:
    phrase = region.get("phrase")
    if not isinstance(phrase, str) or not phrase.strip():
        raise DataError(f"region {region.get('region_id')!r} has no phrase")
    box = box_of([region.get(key) for key in ("x", "y", "width", "height")], frame)
    return Expression(phrase.strip(), (box,), KIND)
