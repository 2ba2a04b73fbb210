"""Answers that another program wrote: a file of them as a responder, so that they are scored like anyone's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from triptych.conversation import Conversation
from triptych.errors import DataError, GenerationError
from triptych.evaluate.benchmarks.readers.tables import records
from triptych.generate.config import GenerationSettings, Reply


class Predictions:
    """Answers by the ids of their questions.

    Args:
        path: JSON lines, a JSON list, TSV or CSV with `id` (or `question_id`) and `answer`; a question's id is that of the
            task's records.

    Raises:
        DataError: The file cannot be read; an entry lacks its id or answer, its answer is no text, or its id stands there
            twice. File, line or record, and reason are told.
    """

    needs_media = False

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(f"{path}: there is no such file of predictions")
        self.path = path
        self._answers: dict[str, str] = {}
        for where, row in records(path):
            id_ = row.get("id", row.get("question_id"))
            if id_ is None or "answer" not in row:
                raise DataError(
                    f"{where}: a prediction has an `id` and an `answer`; this has {', '.join(row) or 'nothing'}"
                )
            answer = row["answer"]
            if not isinstance(answer, str):
                raise DataError(f"{where}: the answer to {id_} is {type(answer).__name__}, expected text: {answer!r}")
            if str(id_) in self._answers:
                raise DataError(f"{where}: there is an answer to {id_} already")
            self._answers[str(id_)] = answer
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:  # noqa: ARG002
        """See `Responder`. GenerationError: there is no answer to a question."""
        for conversation in conversations:
            if conversation.id not in self._answers:
                raise GenerationError(f"{self.path}: holds no answer to {conversation.id}")
        return [Reply(text, len(text.split()), "stop") for text in (self._answers[c.id] for c in conversations)]
