"""Instructions in Alpaca's format (Taori et al. 2023, https://github.com/tatsu-lab/stanford_alpaca), as JSON or JSON lines.

{"instruction": "Name three primary colours.", "input": "", "output": "Red, yellow and blue."}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from triptych.conversation import Conversation, Message, assistant, document, system, user
from triptych.data.config import AlpacaConfig
from triptych.data.dialects.keys import refuse_pictures, refuse_unread
from triptych.data.files import data_path
from triptych.data.records import open_records
from triptych.errors import DataError, quoted

WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)
WITHOUT_INPUT = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)
"""The prompts of the published training script, to the letter; the response follows without a space."""


class AlpacaSource:
    """Instructions with their responses, each read when it is asked for. Only the response is supervised.

    Args:
        path: A JSON list or JSON lines.
        form: `prompt`: the published prompt as it stands, a document without the model's chat template. `turns`: the
            instruction is the user's message and the response the assistant's, in the model's own template.
        limit: Read only the first records, this many.

    Raises:
        DataError: The file is missing, the JSON is malformed, or there are no records.
    """

    def __init__(self, path: Path, *, form: Literal["prompt", "turns"] = "prompt", limit: int | None = None) -> None:
        self.form = form
        self.records = open_records(path, limit)

    @classmethod
    def from_config(cls, config: AlpacaConfig, base: Path) -> AlpacaSource:
        """Open it; relative paths start from `base`. Raises DataError where the dataset as a whole is unusable."""
        return cls(data_path(config.path, base), form=config.form, limit=config.limit)

    def __len__(self) -> int:
        return len(self.records)

    def where(self, index: int) -> str:
        """File and line of a record."""
        return self.records.where(range(len(self))[index])

    def __getitem__(self, index: int) -> Conversation:
        """Conversation number `index`; DataError, with file and line, when that record cannot be used."""
        index = range(len(self))[index]
        record = self.records[index]
        try:
            messages = self._messages(record)
        except DataError as error:
            raise DataError(f"{self.records.where(index)}: {error}") from error
        return Conversation(messages, id=str(index), whole=True)

    def _messages(self, record: Mapping[str, Any]) -> tuple[Message, ...]:
        refuse_unread(record)
        refuse_pictures(record, "write it as 'messages' (`kind: llava`)")
        instruction, output = _text(record, "instruction"), _text(record, "output")
        told = record.get("system") or ""
        if not isinstance(told, str):
            raise DataError(f"expected 'system' to be text or left out, got {quoted(told)}")
        context = record.get("input") or ""
        if not isinstance(context, str):
            raise DataError(f"expected 'input' to be text or left out, got {quoted(context, 80)}")
        if self.form == "turns":
            asked = user(f"{instruction}\n\n{context}" if context.strip() else instruction)
            return (*([system(told)] if told.strip() else []), asked, assistant(output))
        if told.strip():
            raise DataError("has 'system', which Alpaca's published prompt has no place for; use `form: turns`")
        prompt = WITH_INPUT if context.strip() else WITHOUT_INPUT
        said = prompt.format(instruction=instruction, input=context)
        return document(said, supervised=False), document(output)


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"expected {key!r} to be text that is not empty, got {quoted(value, 80)}")
    return value
