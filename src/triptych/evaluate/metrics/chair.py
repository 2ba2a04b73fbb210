"""CHAIR: which of the things that a caption mentions are not in the picture.

    CHAIRi = mentions of things that are not there / mentions of things
    CHAIRs = captions with at least one such mention / captions

A thing is one of COCO's 80 categories, named by its synonyms; it is there if an annotated box *or* a reference caption
says so. Saying nothing scores a perfect 0, so `recall` (things that are there and are mentioned) and `object_f1` stand
beside it: the F1 of things, each counted once a caption, since CHAIRi gets better when what is surely there is said
over and over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.scoring.chair_script import script_words
from triptych.evaluate.scoring.chair_words import categories, chair_words
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Rule, rule_of, truths_of
from triptych.evaluate.scoring.tallies import ratio
from triptych.evaluate.tasks.question import Record

COLUMNS = 7
"""Mentions, mentions of what is not there, captions, captions with one, things there, things there and
mentioned, things mentioned that are not there; of the last two each counts once a caption."""


class Chair(AnswerMetric):
    """Hallucinated things of captions; see the module."""

    name = "chair"
    source = 'A. Rohrbach et al., "Object hallucination in image captioning", EMNLP 2018'
    official: ClassVar[Mapping[str, str]] = {"chair_script": "github.com/LisaAnne/Hallucination, utils/chair.py"}
    lower_is_better = ("chair_i", "chair_s")
    without_direction = ("mentions",)
    same_question = True

    def make_rules(self) -> dict[str, Rule]:
        """Ours, and one that reads captions as the script does."""
        return {OURS: _rule(lambda text: chair_words(final_text(text))), "chair_script": _rule(script_words)}

    def constants(self, records: Sequence[Record]) -> Iterator[str]:
        """Lists of what is most often there, and of everything."""
        yield from lists_of_things(records)
        yield ", ".join(categories())


def lists_of_things(records: Sequence[Record]) -> Iterator[str]:
    """Descriptions that know nothing of a picture: the one, two, three, … things that are most often there."""
    often = [thing for thing, _ in Counter(thing for record in records for thing in record.truth).most_common(30)]
    for length in (1, 2, 3, 5, 8, 15, 30):
        yield ", ".join(often[:length])


def _rule(words: Callable[[str], list[tuple[str, str]]]) -> Rule:
    def row_of(record: Record) -> NDArray[np.float64]:
        return chair_row([name for _, name in words(record.answer)], set(truths_of(record)))

    def row(records: Sequence[Record]) -> NDArray[np.float64]:
        return np.asarray(np.sum([row_of(record) for record in records], axis=0))

    def right(record: Record, _: str | None) -> float:
        return float(chair_scores(row_of(record))["object_f1"])

    def parse(record: Record) -> str | None:
        return ", ".join(word for word, _ in words(record.answer)) or None

    return rule_of(parse, right, row, chair_scores)


def chair_row(mentioned: Sequence[str], there: Collection[str]) -> NDArray[np.float64]:
    """What one caption adds: a row `[COLUMNS]`. Categories that it mentions, and those that are in the picture."""
    wrong = sum(category not in there for category in mentioned)
    seen, made_up = len(set(mentioned) & set(there)), len(set(mentioned) - set(there))
    return np.array([len(mentioned), wrong, 1, wrong > 0, len(set(there)), seen, made_up], dtype=np.float64)


def chair_scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """`chair_i`, `chair_s`, `recall`, `object_f1` and `mentions` per caption, of summed rows `[..., COLUMNS]`."""
    mentions, wrong, captions, with_wrong, there, seen, made_up = np.moveaxis(sums, -1, 0)
    return {
        "chair_i": ratio(wrong, mentions),
        "chair_s": ratio(with_wrong, captions),
        "recall": ratio(seen, there),
        "object_f1": ratio(2 * seen, seen + made_up + there, empty=0.0),
        "mentions": ratio(mentions, captions),
    }
