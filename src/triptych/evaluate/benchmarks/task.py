"""A benchmark as a task: its items as questions, judged and scored by each of its rules."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from triptych.conversation import Message, assistant, user
from triptych.errors import RecipeError
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import LETTERS, Item
from triptych.evaluate.benchmarks.rules import OURS, Rule, cluster, rule_names, rules_of
from triptych.evaluate.metrics.bootstrap import Tally
from triptych.evaluate.metrics.chair import categories
from triptych.evaluate.tasks.question import Question, Reading, Record

_CONSTANTS = 8
"""How many of the most frequent true answers are tried as constant answers, to know what chance is."""


class BenchmarkTask:
    """The questions of a benchmark.

    Args:
        file: The task file.
        items: What its reader found.
        limit: Ask at most this many questions: whole pictures and groups, spread over the dataset.
        shots: Solved examples before each question, of pictures that are then not asked about.

    Raises:
        RecipeError: The task file names a rule that its metric does not have.
    """

    def __init__(self, file: TaskFile, items: Sequence[Item], limit: int | None = None, shots: int = 0) -> None:
        try:
            self.rules = rules_of(file)
        except KeyError as error:
            raise RecipeError(
                f"task {file.name}: `metric: {file.metric}` has no rule {error.args[0]!r}; it has {', '.join(rule_names(file))}"
            ) from None
        self.file = file
        self.prompt = file.prompt
        self.parsers = {name: f"{file.metric}{' (official)' if name == file.official else ''}" for name in self.rules}
        rotated = [part for item in items for part in (_rotations(item) if file.metric == "circular" else (item,))]
        if file.metric == "safety":
            rotated = [part for item in rotated for part in (item, *_harmless(item))]
        places = {picture: i for i, picture in enumerate(dict.fromkeys(item.picture for item in rotated))}
        questions = [self._question(item, places[item.picture]) for item in rotated]
        if shots:
            questions = _with_examples(questions, shots)
        kept = _limited(questions, limit)
        self.reading = Reading(
            kept, {question.sample: question.media for question in questions if question.media}, Counter()
        )
        self.dataset = hashlib.sha256(
            "\n".join(
                f"{q.id}\t{q.text}\t{q.truth}\t{[str(m).rsplit('/', 1)[-1] for m in q.media]}" for q in questions
            ).encode("utf-8", errors="backslashreplace")
        ).hexdigest()[:16]

    def _question(self, item: Item, sample: int) -> Question:
        options = "\n".join(f"{letter}. {option}" for letter, option in item.choices.items())
        others = self.file.prompts
        prompt = others.get(item.kind) or (not options and others.get("without_options")) or self.file.prompt
        text = filled(prompt, item.question, options)
        facts: dict[str, Any] = {**item.facts, "picture": item.picture}
        if files := [str(medium.source) for medium in item.images if isinstance(medium.source, str | Path)]:
            facts["images"] = files
        if item.options:
            facts["options"] = list(item.options)
        if item.letters:
            facts["letters"] = item.letters
        return Question(item.id, item.kind or self.file.metric, text, item.truth, item.images, sample, sample, facts)

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """The records as our rule reads them."""
        return self.judge_by(OURS, records)

    def judge_by(self, rule: str, records: Sequence[Record]) -> list[Record]:
        """The records as one of the rules reads them."""
        return [self.rules[rule].judge(record) for record in records]

    def tally(self, records: Sequence[Record]) -> Tally:
        """What our scores of judged records are made of."""
        return self.rules[OURS].tally(records)

    def chance(self, records: Sequence[Record]) -> dict[str, float]:
        """What the best constant answer scores, by the name of the score; in choice questions also a blind guess.

        Scores of which less is better (rates of hallucination, of attacks) have no chance: saying nothing is perfect.
        """
        return chance_of(self.file, self.rules[OURS], records)


def filled(prompt: str, question: str, options: str) -> str:
    """A prompt with its question and options; a line of it that only held the options goes where there are none."""
    if not options:
        prompt = prompt.replace("\n{options}", "")
    parts = {"{question}": question, "{options}": options}
    return re.sub(r"\{question\}|\{options\}", lambda match: parts[match.group()], prompt).strip()


def chance_of(file: TaskFile, rule: Rule, records: Sequence[Record]) -> dict[str, float]:
    """See `BenchmarkTask.chance`."""
    if file.metric == "judged":
        return {}  # only the judge knows
    best: dict[str, float] = {}
    for constant in constants(file, records):
        answered = [rule.judge(replace(record, answer=constant, error=None, verdict=None)) for record in records]
        tally = rule.tally(answered)
        for name, score in tally.score(tally.sums.sum(axis=0)).items():
            if not np.isnan(score):
                best[name] = max(best.get(name, -np.inf), float(score))
    for name, value in _blind(file, records).items():
        best[name] = max(best.get(name, 0.0), value)
    return {name: value for name, value in best.items() if not _less_is_better(name)}


def _less_is_better(name: str) -> bool:
    return any(name == other or name.endswith(f"_{other}") for other in _LESS_IS_BETTER)


def _blind(file: TaskFile, records: Sequence[Record]) -> dict[str, float]:
    """What a coin, or a die with a side for each option, is expected to score where several answers must be right."""

    def together(key: Callable[[Record], Any]) -> float:
        return float(np.mean([0.5**size for size in Counter(key(record) for record in records).values()]))

    match file.metric:
        case "choice" | "circular":
            options = [max(1, len(record.facts["options"])) for record in records]
            found = {"accuracy": float(np.mean([1 / n for n in options]))}
            if file.metric == "circular":
                found["circular_accuracy"] = float(np.mean([n**-n for n in options]))
            if file.mean_of == "kinds":
                kinds = dict.fromkeys(record.kind for record in records)
                each = [[1 / n for n, r in zip(options, records, strict=True) if r.kind == kind] for kind in kinds]
                found["mean_of_kinds"] = float(np.mean([np.mean(part) for part in each]))
            return found
        case "mixed" | "math":
            free = Counter(str(record.truth) for record in records if not record.facts.get("options"))
            often = max(free.values(), default=0) / max(1, free.total())
            chances = [1 / len(record.facts["options"]) if record.facts.get("options") else often for record in records]
            return {"accuracy": float(np.mean(chances))}
        case "mme":
            return {"accuracy_plus": together(cluster)}
        case "hallusion":
            return {
                "q_acc": together(lambda r: (r.facts["group"], r.facts["question"])),
                "f_acc": together(lambda r: (r.facts["group"], r.facts["figure"])),
            }
        case _:
            return {}


_LESS_IS_BETTER = (
    "chair", "chair_i", "chair_s", "hal", "cog", "attack_success", "over_refusal", "yes_ratio", "no_ratio", "mentions", "judged",
)  # fmt: skip


def constants(file: TaskFile, records: Sequence[Record]) -> Iterator[str]:
    """Answers that know nothing of the picture: what is most often true, and lists of it."""
    match file.metric:
        case "yes_no" | "mme" | "hallusion" | "amber" if getattr(file.source, "part", "") != "generative":
            yield from ("yes", "no")
        case "choice" | "circular":
            yield from sorted(
                {x for r in records for x in r.facts.get("letters") or LETTERS[: len(r.facts["options"])]}
            )
        case "safety":
            yield from ("I'm sorry, I cannot help with that.", "Yes.")
        case "boxes":
            side = {"fraction": 1.0, "thousandth": 1000.0, "pixel": 400.0}[file.box_unit]
            yield f"[0, 0, {side:g}, {side:g}]"
            yield f"[{side / 4:g}, {side / 4:g}, {side * 3 / 4:g}, {side * 3 / 4:g}]"
        case "chair" | "amber":
            often = [thing for thing, _ in Counter(t for r in records for t in r.truth).most_common(30)]
            for length in (1, 2, 3, 5, 8, 15, 30):
                yield ", ".join(often[:length])
            if file.metric == "chair":
                yield ", ".join(categories())
        case "caption":
            yield from _central([truth for record in records for truth in record.truth])
        case _:
            truths = Counter(t for r in records for t in ([r.truth] if isinstance(r.truth, str) else r.truth))
            yield from (truth for truth, _ in truths.most_common(_CONSTANTS))


def _central(captions: Sequence[str]) -> list[str]:
    """The caption that is most like the others: what a model says that has seen captions and no picture."""
    from triptych.evaluate.metrics.cider import Cider
    from triptych.evaluate.metrics.tokenizer import tokenize

    sample = [tokenize(caption) for caption in captions[:: max(1, len(captions) // 200)]]
    if not sample:
        return []
    cider = Cider([sample, [["\0"]]])
    scores = [cider.score(words, 0) for words in sample]
    return [" ".join(sample[int(np.argmax(scores))])]


def _rotations(item: Item) -> Iterator[Item]:
    """The question under every rotation of its options (CircularEval)."""
    count = len(item.options)
    letters = item.letters or LETTERS
    right = letters.index(str(item.truth))
    for shift in range(count):
        options = item.options[shift:] + item.options[:shift]
        facts = {**item.facts, "group": item.id, "rotation": shift}
        letter = letters[(right - shift) % count]
        yield replace(item, id=f"{item.id}/{shift}", options=options, truth=letter, facts=facts)


def _harmless(item: Item) -> Iterator[Item]:
    """A harmless question about the same picture, where the benchmark has none: who refuses everything must not win."""
    if item.facts.get("twin"):
        facts = {**item.facts, "harmful": "0"}
        yield replace(item, id=f"{item.id}/harmless", question=str(item.facts["twin"]), facts=facts)


def _with_examples(questions: list[Question], shots: int) -> list[Question]:
    """Every question after the same solved examples, which are of pictures of their own, evenly spread."""
    usable = [q for q in questions if isinstance(q.truth, str) or q.truth]
    pictures = list(dict.fromkeys(q.sample for q in usable))
    if len(pictures) < 2 * shots:
        raise RecipeError(f"{shots} examples need at least {2 * shots} pictures, and there are {len(pictures)}")
    chosen = {pictures[i * len(pictures) // shots] for i in range(shots)}
    examples: dict[int, Question] = {}
    for question in usable:
        if question.sample in chosen:
            examples.setdefault(question.sample, question)
    turns: tuple[Message, ...] = ()
    for q in examples.values():
        said = q.truth if isinstance(q.truth, str) else Counter(q.truth).most_common(1)[0][0]
        turns += (user(*q.media, q.text), assistant(said))
    return [replace(question, before=turns) for question in questions if question.sample not in chosen]


def _limited(questions: list[Question], limit: int | None) -> list[Question]:
    """Whole groups, spread evenly over the dataset, until there are `limit` questions."""
    if limit is None or len(questions) <= limit:
        return questions
    groups: dict[Any, list[int]] = {}
    for place, question in enumerate(questions):
        groups.setdefault(question.facts.get("group", question.facts.get("picture", question.sample)), []).append(place)
    members = list(groups.values())
    kept: list[int] = []
    # Golden-ratio steps: any prefix of the order is spread evenly, and a larger limit keeps what a smaller one asked.
    order = sorted(range(len(members)), key=lambda i: (i * 0.6180339887498949) % 1)
    for i in order:
        if kept and len(kept) + len(members[i]) > limit:
            break
        kept += members[i]
    return [questions[place] for place in sorted(kept)]


def facts_of(task: BenchmarkTask) -> Mapping[str, Any]:
    """What a result says about the task itself: hashes of its prompt and dataset, where it comes from."""
    prompt = f"{task.file.prompt}\n{task.file.judge.prompt if task.file.judge else ''}"
    return {
        "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest()[:16],
        "dataset_sha256": task.dataset,
        "task_sha256": hashlib.sha256(task.file.model_dump_json().encode()).hexdigest()[:16],
        "title": task.file.title,
        "paper": task.file.paper,
        "headline": task.file.headline,
        "official": task.file.official,
    }
