"""What a metric says of itself, whichever task it scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from triptych.errors import EvaluationError
from triptych.evaluate.results import Interval
from triptych.evaluate.scoring.bootstrap import RESAMPLES, Tally, intervals
from triptych.evaluate.scoring.rule import OURS, Rule, mean_of_kinds, truths_of
from triptych.evaluate.tasks.question import Record

if TYPE_CHECKING:
    from triptych.evaluate.benchmarks.config import Judge
    from triptych.evaluate.benchmarks.items import Item


@dataclass(frozen=True)
class Scoring:
    """What a task says of how its answers are scored.

    Args:
        box_unit: What the coordinates of boxes are written in.
        judge: How a judge model is asked, for metrics that need its verdicts.
        mean_of_kinds: The mean of the kinds' accuracies is one more score.
        descriptive: The answers describe pictures; they are not answers to questions (AMBER has both).
    """

    box_unit: Literal["fraction", "thousandth", "pixel"] = "fraction"
    judge: Judge | None = None
    mean_of_kinds: bool = False
    descriptive: bool = False


class Metric:
    """Scores of the records of a task.

    Attributes:
        name: The word for it in task files and recipes.
        inputs: What it reads: `answer`, `truth`, `verdict`, `regions`, `facts.NAME` of a record, `values.NAME` of a
            `Measured` one. A question without one of the `facts` cannot be scored, and is left out.
        lower_is_better: Scores of which lower values are better; of all others higher ones are.
        without_direction: Rates that only describe the answers.
        source: The paper that defines it.
        official: Rule → the script that it reproduces.
        needs: What a model has to be able to do: `answers`, `embeds`, `grounds` or `draws`.
        resamples: Of the bootstrap.
        of_writing: Scores of how answers are written, which a baseline, that writes nothing, does not have.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ("answer", "truth")
    lower_is_better: ClassVar[tuple[str, ...]] = ()
    without_direction: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str] = ""
    official: ClassVar[Mapping[str, str]] = {}
    needs: ClassVar[str] = "answers"
    resamples: ClassVar[int] = RESAMPLES
    of_writing: ClassVar[frozenset[str]] = frozenset()

    def takes(self, record: Record) -> bool:  # noqa: ARG002 - every record by default
        """Whether a record is one of those that it scores."""
        return True

    def tally(self, records: Sequence[Record]) -> Tally:
        """What the scores of judged records are made of: sums per group, which the bootstrap draws."""
        raise NotImplementedError(f"{type(self).__name__} has no scores that are functions of sums")

    def intervals(self, records: Sequence[Record], seed: int = 0) -> dict[str, Interval]:
        """Every score of judged records with its 95 % interval."""
        return intervals(self.tally(records), seed=seed, resamples=self.resamples)

    def chance(self, records: Sequence[Record]) -> dict[str, float]:  # noqa: ARG002 - none by default
        """What answers score that know nothing of the pictures, by the name of the score."""
        return {}

    def higher_is_better(self, score: str) -> bool:
        """Whether higher values of a score are better; `KIND_SCORE` is a score of one kind of question."""
        others = (*self.lower_is_better, *self.without_direction)
        return not any(score == other or score.endswith(f"_{other}") for other in others)


class AnswerMetric(Metric):
    """A metric with rules: ours, and those of official scripts, each of which reads and scores the same answers.

    Args:
        scoring: What the task says of it.

    Attributes:
        same_question: Every picture is asked the same, so that the control needs no further answers.
        constant_answers: Tried to know what chance is, instead of what is most often true.
        rules: By name, ours first.
    """

    same_question: ClassVar[bool] = False
    constant_answers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, scoring: Scoring | None = None) -> None:
        self.scoring = scoring or Scoring()
        rules = self.make_rules()
        self.rules = {n: mean_of_kinds(rule) for n, rule in rules.items()} if self.scoring.mean_of_kinds else rules

    @property
    def is_judged(self) -> bool:
        """Whether scores are made of a judge model's verdicts, so that nothing can be scored that it has not read."""
        return "verdict" in self.inputs

    def make_rules(self) -> dict[str, Rule]:
        """The rules by name; ours is called `triptych`."""
        raise NotImplementedError

    def tally(self, records: Sequence[Record]) -> Tally:
        """What our scores are made of; records are read by our rule, whoever judged them before."""
        rule = self.rules[OURS]
        return rule.tally([rule.judge(record) for record in records])

    def variants(self, item: Item) -> Iterable[Item]:
        """The questions that are asked for one of the benchmark."""
        return (item,)

    def unscorable(self, item: Item) -> str | None:
        """Why an item cannot be scored; `None` if it can.

        An item without what the metric needs would be scored as a wrong answer, or end the task.
        """
        needed = [path.removeprefix("facts.") for path in self.inputs if path.startswith("facts.")]
        if missing := [name for name in needed if not (item.options if name == "options" else name in item.facts)]:
            return f"has no {', '.join(missing)}, which `metric: {self.name}` needs"
        return self.check_truth(item)

    def check_truth(self, item: Item) -> str | None:  # noqa: ARG002 - anything by default
        """Why the true answer of an item cannot be scored; `None` if it can."""
        return None

    def external_rules(self) -> dict[str, Rule]:
        """Rules that need other programs.

        Raises:
            EvaluationError: A program is missing.
        """
        return {}

    def constants(self, records: Sequence[Record]) -> Iterator[str]:
        """Answers that know nothing of the picture: by default `constant_answers`, or what is most often true."""
        truths = Counter(truth for record in records for truth in truths_of(record))
        yield from self.constant_answers or (truth for truth, _ in truths.most_common(8))

    def blind(self, records: Sequence[Record]) -> dict[str, float]:  # noqa: ARG002 - nothing by default
        """What guesses are expected to score where that can be computed."""
        return {}

    def chance(self, records: Sequence[Record]) -> dict[str, float]:
        """What the best constant answer scores, or a blind guess where that is better.

        Only scores of which more is better have a chance: saying nothing has a perfect rate of hallucinations. What a
        judge would say is not known.
        """
        if self.is_judged:
            return {}
        best: dict[str, float] = {}
        for constant in self.constants(records):
            tally = self.tally([replace(r, answer=constant, error=None, verdict=None) for r in records])
            for name, score in tally.score(tally.sums.sum(axis=0)).items():
                if not np.isnan(score):
                    best[name] = max(best.get(name, -np.inf), float(score))
        for name, value in self.blind(records).items():
            best[name] = max(best.get(name, 0.0), value)
        return {name: value for name, value in best.items() if self.higher_is_better(name)}


def all_right_by_coin(records: Sequence[Record], group: Callable[[Record], Any]) -> float:
    """The share of groups of questions that a coin answers right as a whole."""
    return float(np.mean([0.5**size for size in Counter(group(record) for record in records).values()]))


def check_inputs(metric: Metric, records: Iterable[Record], where: str) -> None:
    """Raise EvaluationError if a record lacks what a metric reads.

    Args:
        metric: The metric.
        records: Those that it takes.
        where: The task, for the message.
    """
    facts = [path.removeprefix("facts.") for path in metric.inputs if path.startswith("facts.")]
    for record in records:
        if missing := [name for name in facts if name not in record.facts]:
            raise EvaluationError(
                f"{where}: {record.id} has no {', '.join(missing)}, which the metric `{metric.name}` needs"
            )
