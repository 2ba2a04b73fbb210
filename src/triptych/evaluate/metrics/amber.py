"""AMBER: what a description makes up and what it covers, and yes-or-no questions scored for the class "no".

A description's words that are on the benchmark's list of things are matched with what is
annotated as there and as likely to be made up. The script also takes a word for another where spaCy's vectors say they
are alike (> 0.8); here only the benchmark's own association lists do that, so words off these lists count as made up.

The questions' precision, recall and F1 are of "no": the claim that something is *not* there. The script compares with
"Yes" and "No" as exact strings, so "No." is wrong and is no "no"; it rounds precision and recall to a tenth of a
percent and adds 0.0001 to the denominator of F1 (`parity/official/ours.py` does the same).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.metrics.chair import lists_of_things
from triptych.evaluate.metrics.yes_no import answer_rule, is_yes
from triptych.evaluate.parsers.conclusion import final_text
from triptych.evaluate.parsers.yes_no import read_yes_no
from triptych.evaluate.scoring.detection import detection_counts, detection_scores
from triptych.evaluate.scoring.metric import AnswerMetric
from triptych.evaluate.scoring.rule import OURS, Parsed, Rule, rule_of, truths_of
from triptych.evaluate.scoring.tallies import ratio
from triptych.evaluate.scoring.truths import neither_yes_nor_no
from triptych.evaluate.tasks.question import Record

COLUMNS = 9
_WORD = re.compile(r"[^\W\d_]+")


class Amber(AnswerMetric):
    """AMBER, of descriptions or of questions, as the task says; see the module."""

    name = "amber"
    source = 'J. Wang et al., "AMBER", 2023'
    official: ClassVar[Mapping[str, str]] = {"amber_script": "github.com/junyangwang0410/AMBER, inference.py"}
    lower_is_better = ("chair", "hal", "cog")
    without_direction = ("no_ratio",)
    facts = ("likely", "things", "harmless")
    """What the question of a description says of itself."""

    def make_rules(self) -> dict[str, Rule]:
        """Ours; of questions also the script's."""
        if self.scoring.descriptive:
            return {OURS: rule_of(_things, lambda r, _: bool(final_text(r.answer).strip()), _row, amber_scores)}
        script = {"Yes": "yes", "No": "no"}
        return {OURS: _denial(read_yes_no), "amber_script": _denial(script.get)}

    def unscorable(self, item: Item) -> str | None:
        """A description needs lists of things, a question needs a yes or no."""
        if not self.scoring.descriptive:
            return neither_yes_nor_no(item)
        missing = [name for name in self.facts if name not in item.facts]
        return f"has no {', '.join(missing)}, which `metric: {self.name}` needs" if missing else None

    def constants(self, records: Sequence[Record]) -> Iterator[str]:
        """Lists of what is most often there; to questions, yes and no."""
        return lists_of_things(records) if self.scoring.descriptive else iter(("yes", "no"))


def _things(record: Record) -> str | None:
    text = final_text(record.answer)
    return ", ".join(amber_words(text, record.facts["things"])) if text.strip() else None


def _row(records: Sequence[Record]) -> NDArray[np.float64]:
    rows = []
    for record in records:
        words = (record.parsed or "").split(", ") if record.parsed else []
        rows.append(amber_row(words, truths_of(record), *(record.facts[name] for name in Amber.facts)))
    return np.asarray(np.sum(rows, axis=0))


def _denial(parse: Callable[[str], Parsed]) -> Rule:
    """Detection of what is *not* there."""

    def row(records: Sequence[Record]) -> NDArray[np.float64]:
        answers = [{"no": True, "yes": False}.get((record.parsed or "").lower()) for record in records]
        pairs = zip(records, answers, strict=True)
        return sum((detection_counts(not is_yes(record), answer) for record, answer in pairs), start=np.zeros(6))

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        scores = detection_scores(sums)
        return {**{k: v for k, v in scores.items() if k != "yes_ratio"}, "no_ratio": scores["yes_ratio"]}

    return answer_rule(parse, row, score)


def amber_words(text: str, things: Mapping[str, Sequence[str]]) -> list[str]:
    """The things a description mentions: words, or their singular, that are on the association lists."""
    known = set(things).union(*things.values()) if things else set()
    mentioned = []
    for match in _WORD.finditer(text.lower()):
        word = match.group()
        forms = (word, word.removesuffix("s"), word.removesuffix("es"), re.sub("ies$", "y", word))
        if form := next((form for form in forms if form in known), None):
            mentioned.append(form)
    return mentioned


def amber_row(
    words: Sequence[str],
    there: Sequence[str],
    likely: Sequence[str],
    things: Mapping[str, Sequence[str]],
    harmless: Sequence[str] = (),
) -> NDArray[np.float64]:
    """What one description adds: a row `[COLUMNS]`.

    Args:
        words: The things it mentions.
        there: What is annotated as in the picture.
        likely: What is annotated as likely to be made up.
        things: Association lists: a thing → other words for it.
        harmless: Words that never count.
    """

    def of(word: str, annotated: Sequence[str]) -> str | None:
        return next((thing for thing in annotated if word == thing or word in things.get(thing, ())), None)

    counted = [word for word in words if word not in harmless]
    covered = {thing for word in counted if (thing := of(word, there))}
    strangers = [word for word in counted if of(word, there) is None]
    guessed = {thing for word in strangers if (thing := of(word, likely))}
    row = [len(words), len(strangers), len(there), len(covered), len(likely), len(guessed), 1, bool(strangers)]
    row.append(len(set(strangers)))
    return np.array(row, dtype=np.float64)


def amber_scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """`chair`, `cover`, `hal`, `cog` and `object_f1` (each thing counted once a text), of summed rows `[..., COLUMNS]`."""
    words, strangers, there, covered, likely, guessed, texts, wrong, made_up = np.moveaxis(sums, -1, 0)
    return {
        "chair": ratio(strangers, words),
        "cover": ratio(covered, there),
        "hal": ratio(wrong, texts),
        "cog": ratio(guessed, likely),
        "object_f1": ratio(2 * covered, covered + made_up + there, empty=0.0),
    }
