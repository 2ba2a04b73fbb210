"""Conversations with pictures, as JSON, JSON lines or parquet, in LLaVA's format (Liu et al. 2023, https://arxiv.org/abs/2304.08485)

    {"id": "000000033471", "image": "coco/train2017/000000033471.jpg",
     "conversations": [{"from": "human", "value": "<image>\\nWhat is the bus painted with?"},
                       {"from": "gpt", "value": "An advertisement."}]}

and in the dialects that came of it, each record in its own (`dialects`). Keys of which nothing becomes a part of the
conversation are annotations, but for those that mean something else there (`RESERVED`).
"""

from __future__ import annotations

from pathlib import Path

from triptych.conversation import Conversation
from triptych.conversation.conversation import RESERVED
from triptych.data.config import LlavaConfig
from triptych.data.dialects.conversations import messages_of, used_keys
from triptych.data.files import data_path
from triptych.data.records import open_records
from triptych.errors import DataError, excerpt, quoted


class LlavaSource:
    """A file of conversations, each read when it is asked for.

    Args:
        path: A JSON list, JSON lines or parquet.
        images: The folder that the records' pictures are in; records cannot name anything outside of it.
        limit: Read only the first records, this many.

    Raises:
        DataError: The file or the folder is missing, the JSON is malformed, or there are no records.
    """

    def __init__(self, path: Path, images: Path, limit: int | None = None) -> None:
        self.records = open_records(path, limit)
        if not images.is_dir():
            raise DataError(f"{images}: the images folder of {path} does not exist")
        self.images = images

    @classmethod
    def from_config(cls, config: LlavaConfig, base: Path) -> LlavaSource:
        """Open it; relative paths start from `base`. Raises DataError where the dataset as a whole is unusable."""
        path = data_path(config.path, base)
        folder = data_path(config.images, base) if config.images else path.parent
        if config.boxes == "text":
            return cls(path, folder, config.limit)
        from triptych.data.boxes.llava import LlavaBoxesSource  # which builds on this class

        return LlavaBoxesSource(path, folder, config.boxes, config.limit)

    def __len__(self) -> int:
        return len(self.records)

    def where(self, index: int) -> str:
        """File and line of a record."""
        return self.records.where(range(len(self))[index])

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`, named `NUMBER:ID`; ids alone repeat in datasets in use.

        Raises:
            DataError: This record is malformed, something in it is not read, or its pictures are missing, outside of the
                folder, or more or fewer than its markers.
        """
        index = range(len(self))[index]
        record = self.records[index]
        try:
            messages = messages_of(record, self.images)
        except DataError as error:
            raise DataError(f"{self.records.where(index)} (id {quoted(record.get('id'))}): {error}") from error
        used = used_keys(record) | RESERVED
        facts = {key: value for key, value in record.items() if key not in used}
        name = f"{index}:{excerpt(record['id'])}" if "id" in record else str(index)
        return Conversation(messages, name, facts)
