"""Asking a judge model about answers; its prompts and words are kept with the records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from triptych.conversation import Conversation, user
from triptych.errors import DataError, GenerationError
from triptych.evaluate.asking import progress_bar
from triptych.evaluate.benchmarks.config import Judge, TaskFile
from triptych.evaluate.tasks.question import Record
from triptych.generate.config import GenerationSettings

if TYPE_CHECKING:
    from triptych.generate.config import Responder

SETTINGS = GenerationSettings(max_new_tokens=256)


def judge_prompt(judge: Judge, record: Record) -> str:
    """What the judge is asked about a record."""
    truth = record.truth if isinstance(record.truth, str) else "; ".join(record.truth)
    values = {name: _text(value) for name, value in record.facts.items()}
    values |= {"question": record.question, "truth": truth, "answer": record.answer}
    prompt = judge.prompt
    # One pass over the template: braces in an answer are the answer's own.
    parts = prompt.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, closed, rest = part.partition("}")
        filled.append(values[name] + rest if closed and name in values else "{" + part)
    return "".join(filled)


def ask_judge(
    file: TaskFile,
    records: Sequence[Record],
    judge: Responder,
    save: Callable[[Sequence[Record]], None],
    progress: bool = True,
) -> list[Record]:
    """The records with the judge's verdicts; those that have one are not asked about again, and each batch is saved."""
    assert file.judge is not None
    done = list(records)
    waiting = [i for i, record in enumerate(done) if record.verdict is None and record.error is None]
    with progress_bar(f"{file.name}, judge", len(waiting), progress) as advance:
        for start in range(0, len(waiting), SETTINGS.batch_size):
            places = waiting[start : start + SETTINGS.batch_size]
            asked = [Conversation((user(judge_prompt(file.judge, done[i])),), id=done[i].id) for i in places]
            try:
                replies = [reply.text for reply in judge.respond(asked, SETTINGS)]
            except (GenerationError, DataError):
                save(done)
                raise
            for i, verdict in zip(places, replies, strict=True):
                done[i] = replace(done[i], verdict=verdict)
            save(done)
            advance(len(places))
    return done


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
