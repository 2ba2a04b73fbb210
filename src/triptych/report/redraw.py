"""Opening the pictures of per-sample records again, from the datasets of the run's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.errors import TriptychError
from triptych.report.folder import Record, RunRecord
from triptych.report.gallery import reference

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


class PictureOpener:
    """Opens the picture of a record; a dataset that is gone costs the pictures, not the report.

    Args:
        run: The run, whose recipe names the datasets.
    """

    def __init__(self, run: RunRecord) -> None:
        self._datasets: Mapping[str, Any] = run.recipe.get("data") or {}
        self._base = Path(str(run.recipe.get("base") or "."))
        self._sources: dict[str, Any] = {}

    def __call__(self, record: Record) -> PILImage | None:
        """The picture, or None when it cannot be had any more."""
        dataset, index = reference(record)
        held = (record.get("facts") or {}).get("images")  # a benchmark's records name their files
        try:
            if held:
                from triptych.conversation import Image

                return Image(str(held[0])).open()
            if dataset is not None and index is not None:
                source = self._source(dataset)
                if source is None:
                    return None
                from triptych.data.reading import read_record

                conversation = read_record(source, index)
                media = list(conversation.media)
                return media[conversation.annotations.get("asked_about", 0)].picture() if media else None
            if isinstance(record.get("image"), str):
                from triptych.conversation import Image

                return Image(Path(self._base, record["image"])).open()
        except (TriptychError, IndexError):
            return None
        return None

    def _source(self, dataset: str) -> Any:
        if dataset not in self._sources:
            self._sources[dataset] = self._build(dataset)
        return self._sources[dataset]

    def _build(self, dataset: str) -> Any:
        from pydantic import TypeAdapter, ValidationError

        from triptych.data.config import DataConfig
        from triptych.data.sources import build

        try:
            config: Any = TypeAdapter(DataConfig).validate_python(self._datasets[dataset])
            return build(config, self._base)
        except (KeyError, ValidationError, TriptychError):
            return None
