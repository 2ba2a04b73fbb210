"""COCO's instances (https://cocodataset.org/#format-data) as expressions: what a picture shows of a category.

{"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
 "annotations": [{"id", "image_id", "category_id", "bbox": [x, y, width, height], "segmentation", "iscrowd"}]}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from triptych.conversation import Conversation, Frame, Region
from triptych.conversation.expression import Expression
from triptych.data.boxes.config import CocoInstancesConfig
from triptych.data.boxes.conversations import box_of, entries, found, frame_of, in_turns, picture, spread, with_mask
from triptych.data.files import data_path, parse_json, read_text
from triptych.errors import DataError


class CocoInstancesSource:
    """Conversations that ask for the categories of a picture: "the dog" where there is one, "every dog" where there are several.

    A category that includes a crowd is not asked for: nobody counted it. A picture whose annotations cannot be used is a
    record that raises DataError, so that the ledger counts it; one without any is left out.

    Args:
        annotations: The JSON file.
        images: The folder of the pictures.
        config: What the recipe says.

    Raises:
        DataError: The file or the folder is missing, or the file has another form.
    """

    def __init__(self, annotations: Path, images: Path, config: CocoInstancesConfig) -> None:
        if not images.is_dir():
            raise DataError(f"{images}: the images folder of {annotations} does not exist")
        self.path, self.images, self.config = annotations, images, config
        content = parse_json(read_text(annotations), annotations)
        lists = [content.get(key) if isinstance(content, dict) else None for key in _LISTS]
        if not all(isinstance(each, list) for each in lists):
            raise DataError(
                f"{annotations}: expected COCO's format, an object with the lists {', '.join(map(repr, _LISTS))}; boxes are in "
                "instances_*.json"
            )
        keys = (("id",), ("image_id", "category_id"), ("id",))
        pictures, held, categories = (
            entries(each or (), annotations, part, *own) for each, part, own in zip(lists, _LISTS, keys, strict=True)
        )
        self._names = {entry.get("id"): str(entry.get("name")) for entry in categories}
        self._held: dict[Any, list[dict[str, Any]]] = {}
        for annotation in held:
            self._held.setdefault(annotation.get("image_id"), []).append(annotation)
        self._records: list[tuple[dict[str, Any], tuple[tuple[Any, bool], ...]]] = []
        for entry in pictures:
            if entry.get("id") in self._held:
                self._records += [(entry, tuple(part)) for part in in_turns(list(self._wanted(entry)), config.turns)]
        self._records = self._records[: config.limit]
        if not self._records:
            raise DataError(f"{annotations}: none of its {len(pictures)} pictures has an instance to ask for")

    @classmethod
    def from_config(cls, config: CocoInstancesConfig, base: Path) -> CocoInstancesSource:
        """Open it; relative paths start from `base`. Raises DataError where the dataset as a whole is unusable."""
        return cls(data_path(config.annotations, base), data_path(config.images, base), config)

    def __len__(self) -> int:
        return len(self._records)

    def where(self, index: int) -> str:
        """File and picture of a record."""
        return f"{self.path}: image {self._records[index][0].get('id')!r}"

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`; DataError, with the picture's id, when it cannot be used."""
        entry, wanted = self._records[index]
        try:
            image = picture(self.images, entry.get("file_name"))
            frame = frame_of(entry, image)
            expressions = [self._expression(entry, category, there, frame) for category, there in wanted]
        except DataError as error:
            raise DataError(f"{self.where(index)}: {error}") from error
        first = str(wanted[0][0])
        return found(image, expressions, f"{entry['id']}/{first}", self.config, image_id=entry["id"])

    def _wanted(self, entry: dict[str, Any]) -> Iterator[tuple[Any, bool]]:
        """Categories to ask for, and whether they are there."""
        instances: dict[Any, list[dict[str, Any]]] = {}
        for annotation in self._held[entry.get("id")]:
            instances.setdefault(annotation.get("category_id"), []).append(annotation)
        absent = sorted(set(self._names) - set(instances), key=lambda each: spread(entry.get("id"), each))
        share = self.config.none
        for category, held in instances.items():
            crowded = any(annotation.get("iscrowd") for annotation in held)
            if crowded or (len(held) > 1 and not self.config.several) or self._tiny(entry, held):
                continue
            yield category, True
            # Every n-th expression, on average, is about nothing: which, is decided by the ids alone.
            if share and absent and spread("none", entry.get("id"), category) % 10_000 < 10_000 * share / (1 - share):
                yield absent.pop(), False

    def _tiny(self, entry: dict[str, Any], held: list[dict[str, Any]]) -> bool:
        try:
            whole = float(entry["width"]) * float(entry["height"])
            areas = [float(a["bbox"][2]) * float(a["bbox"][3]) for a in held]
        except (LookupError, TypeError, ValueError, OverflowError):
            return False  # found out, and told, when the record is read
        return any(area < self.config.smallest * whole for area in areas)

    def _expression(self, entry: dict[str, Any], category: Any, there: bool, frame: Frame) -> Expression:
        name = self._names.get(category)
        if name is None:
            raise DataError(f"category {category!r} is not in 'categories'")
        if not there:
            return Expression(f"the {name}", (), "none")
        regions: list[Region] = []
        for annotation in self._held[entry["id"]]:
            if annotation.get("category_id") == category:
                region = box_of(annotation.get("bbox"), frame)
                regions.append(with_mask(region, annotation.get("segmentation")) if self.config.masks else region)
        named = tuple(Region(r.box, r.frame, name, r.mask) for r in sorted(regions, key=lambda r: (r.box[0], r.box[1])))
        return Expression(f"the {name}", named, "one") if len(named) == 1 else Expression(f"every {name}", named, "all")


_LISTS = ("images", "annotations", "categories")
