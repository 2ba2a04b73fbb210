"""Putting questions to a responder, with a record on the disk before the next batch is asked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triptych.conversation import Medium
from triptych.errors import EvaluationError
from triptych.evaluate import shares
from triptych.evaluate.attempt import Said, attempt, put_to
from triptych.evaluate.records import RecordFile, check_belonging
from triptych.evaluate.tasks.question import Question, Record
from triptych.progress import tracked

if TYPE_CHECKING:
    from triptych.generate.config import GenerationSettings, Reply, Responder


@dataclass(frozen=True)
class Asking:
    """How questions are put to the responder.

    Args:
        responder: Answers conversations.
        settings: How it does; also how many questions it gets at once.
        dataset: The name of the dataset, for the records.
        failed_share: Of the questions; if more cannot be asked, the evaluation stops.
        progress: Show how far it is.
    """

    responder: Responder
    settings: GenerationSettings
    dataset: str
    failed_share: float
    progress: bool

    def ask(self, questions: Sequence[Question], path: Path, title: str) -> list[Record]:
        """Records of all questions in order: those already on the disk, and those asked now.

        Raises:
            EvaluationError: The records on the disk are about other questions, or too many cannot be asked.
        """
        share = shares.Share.begin(path) if shares.world_size() > 1 else None
        if share is None:
            shares.absorb(path)
        done = shares.answered(path)
        check_belonging(done, questions, path)
        file = RecordFile(path) if share is None else share.file
        everything, questions = questions, questions if share is None else shares.own(questions)
        failed = 0
        with tracked(title, len(questions), "questions", shown=self.progress, lasting=True) as work:
            size = self.settings.batch_size
            for start in range(0, len(questions), size):
                # Questions about one picture are side by side: a responder may read the picture once for all of them.
                batch = questions[start : start + size]
                waiting = [question for question in batch if question.id not in done]
                work.skip(len(batch) - len(waiting))
                if waiting:
                    new, stopped = self._ask_batch(waiting)
                    file.append(new)
                    if stopped is not None:
                        raise stopped
                    done |= {record.id: record for record in new}
                    failed += sum(record.error is not None for record in new)
                    if failed > self.failed_share * len(questions):
                        reason = next(record.error for record in new if record.error is not None)
                        raise EvaluationError(
                            f"{title}: {failed} of {len(questions)} questions cannot be asked, more than the allowed "
                            f"share of {self.failed_share:g}; the last reason: {reason}"
                        )
                work.advance(len(waiting))
        if share is not None:
            done = share.gather(everything, done)
        return [done[question.id] for question in everything]

    def _ask_batch(self, questions: Sequence[Question]) -> tuple[list[Record], EvaluationError | None]:
        """Records of what was answered or failed, and what stops the evaluation, if something does."""
        started = time.perf_counter()
        said = attempt(self._put, questions)
        share = (time.perf_counter() - started) / len(questions)
        new = [
            self._record(question, each, share)
            for question, each in zip(questions, said, strict=True)
            if not isinstance(each, EvaluationError)
        ]
        return new, next((each for each in said if isinstance(each, EvaluationError)), None)

    def _put(self, questions: Sequence[Question]) -> Sequence[Said]:
        """What the responder says to each."""
        return put_to(self.responder, [question.conversation for question in questions], self.settings)

    def _record(self, question: Question, reply: Reply | str, seconds: float) -> Record:
        return Record(
            id=question.id,
            kind=question.kind,
            question=question.text,
            truth=question.truth,
            answer="" if isinstance(reply, str) else reply.text,
            finish="failed" if isinstance(reply, str) else reply.finish,
            tokens=0 if isinstance(reply, str) else reply.tokens,
            seconds=round(seconds, 6),
            sample=question.sample,
            image={"dataset": self.dataset, "index": question.shown},
            error=reply if isinstance(reply, str) else None,
            facts=dict(question.facts),
        )


def control_questions(
    questions: Sequence[Question], media: Mapping[int, tuple[Medium, ...]], seed: int
) -> list[Question]:
    """The same questions, each about the picture of another sample; those of one sample all about the same one.

    The pairing is a single cycle through the samples of `media` (Sattolo's algorithm), so none keeps its own picture.

    Raises:
        EvaluationError: There is only one sample.
    """
    samples = list(media)
    if len(samples) < 2:
        raise EvaluationError(
            "the shuffled-image control needs the pictures of two samples at least; set `control: false`"
        )
    shuffled = samples.copy()
    generator = np.random.default_rng(seed)
    for i in range(len(shuffled) - 1, 0, -1):
        j = int(generator.integers(i))
        shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
    other = dict(zip(samples, shuffled, strict=True))
    return [replace(q, shown=other[q.sample], media=media[other[q.sample]]) for q in questions]
