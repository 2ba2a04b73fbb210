"""Asking a judge model about answers; its prompts and words are kept with the records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from triptych.conversation import Conversation, user
from triptych.errors import EvaluationError
from triptych.evaluate.attempt import attempt, put_to
from triptych.evaluate.benchmarks.config import Judge, TaskFile
from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.tasks.question import Record
from triptych.generate.config import GenerationSettings, Reply
from triptych.progress import tracked

if TYPE_CHECKING:
    from triptych.generate.config import Responder

SETTINGS = GenerationSettings(max_new_tokens=256)


def judge_prompt(judge: Judge, record: Record) -> str:
    """What the judge is asked about a record."""
    truth = record.truth if isinstance(record.truth, str) else "; ".join(record.truth)
    values = {name: _text(value) for name, value in record.facts.items()}
    values |= {"question": record.question, "truth": truth, "answer": final_text(record.answer)}
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
    *,
    name: str = "",
    failed_share: float = 0.05,
    progress: bool = True,
) -> list[Record]:
    """The records with the judge's verdicts, saved after each batch.

    A verdict of the same judge to the same prompt is not asked for again; one of another, or to other words, is. An answer
    that the judge refuses to look at stays without a verdict, and is asked about again with the next start.

    Args:
        file: The task, with its `judge`.
        records: Answers.
        judge: Who judges.
        save: Keeps the records.
        name: The judge's, which its verdicts carry.
        failed_share: Of the records; if it refuses more, the evaluation stops.
        progress: Show a bar.

    Raises:
        EvaluationError: The judge refuses too many, or cannot be reached.
    """
    assert file.judge is not None
    done = list(records)
    prompts = {i: judge_prompt(file.judge, record) for i, record in enumerate(done) if record.error is None}
    signs = {i: {"judge": name, "prompt": _hash(prompt)} for i, prompt in prompts.items()}
    waiting = [i for i in prompts if done[i].verdict is None or done[i].judged != signs[i]]
    refused = 0
    with tracked(f"{file.name}, judge", len(waiting), "answers", shown=progress) as work:
        for start in range(0, len(waiting), SETTINGS.batch_size):
            places = waiting[start : start + SETTINGS.batch_size]
            asked = [Conversation((user(prompts[i]),), id=done[i].id) for i in places]
            said = attempt(lambda some: put_to(judge, some, SETTINGS), asked)
            for i, each in zip(places, said, strict=True):
                if isinstance(each, Reply):
                    done[i] = replace(done[i], verdict=each.text, judged=signs[i])
                else:
                    done[i] = replace(done[i], verdict=None, judged=None)
            save(done)
            for each in said:
                if isinstance(each, EvaluationError):
                    raise each
            reasons = [each for each in said if isinstance(each, str)]
            refused += len(reasons)
            if reasons and refused > failed_share * len(done):
                raise EvaluationError(
                    f"{file.name}: the judge refuses {refused} of {len(done)} answers, more than the allowed share of "
                    f"{failed_share:g}; the last reason: {reasons[-1]}"
                )
            work.advance(len(places))
    return done


def judges_of(records: Sequence[Record]) -> str:
    """The names of those whose verdicts the records hold."""
    return ", ".join(sorted({record.judged["judge"] for record in records if record.judged}))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
