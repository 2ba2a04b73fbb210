"""A benchmark as a task: its items as questions, judged and scored by each of its rules."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from triptych.conversation import Message, assistant, user
from triptych.errors import RecipeError
from triptych.evaluate.asking import control_questions
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.judge import ask_judge, judges_of
from triptych.evaluate.benchmarks.options import Options
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.contamination import contamination
from triptych.evaluate.results import TaskResult
from triptych.evaluate.scoring.metric import AnswerMetric, Metric
from triptych.evaluate.scoring.rule import OURS
from triptych.evaluate.task import AskedTask, errors_of
from triptych.evaluate.tasks.question import Question, Reading, Record


class BenchmarkTask(AskedTask):
    """The questions of a benchmark that is answered in words.

    Args:
        file: The task file.
        items: What its reader found.
        options: How the benchmark is run; `limit` keeps whole pictures and groups, spread over the dataset, and `shots`
            puts solved examples before each question, of pictures that are then not asked about.
        unreadable: The records that the reader could not use.
        missing: The names of pictures that are not there.

    Raises:
        RecipeError: The task file names a rule that its metric does not have, or a metric that scores no answers.
        EvaluationError: A program that a rule needs is missing.
    """

    kind = "benchmark"

    def __init__(
        self,
        file: TaskFile,
        items: Sequence[Item],
        options: Options | None = None,
        unreadable: Faults | None = None,
        missing: Collection[str] = (),
    ) -> None:
        self.file, self.options = file, options or Options()
        self.unreadable, self.missing = unreadable or Faults(), missing
        self.metric = answer_metric(file)
        self.metrics, self.official = [self.metric], file.official
        rules = self.metric.rules
        if unknown := [name for name in file.rules if name not in rules]:
            raise RecipeError(
                f"task {file.name}: `metric: {file.metric}` has no rule {unknown[0]!r}; it has {', '.join(rules)}"
            )
        self.rules = {name: rules[name] for name in file.rules}
        self.parsers = {name: f"{file.metric}{' (official)' if name == file.official else ''}" for name in self.rules}
        if self.options.java:
            self.rules |= self.metric.external_rules()
        self.dataset, self.prompt, self.seed = file.name, file.prompt, self.options.seed
        self.decoding, self.failed_share = file.generation, self.options.failed_share
        self.same_question = self.metric.same_question
        variants = [variant for item in items for variant in self.metric.variants(item)]
        places = {picture: i for i, picture in enumerate(dict.fromkeys(item.picture for item in variants))}
        questions = [self._question(item, places[item.picture]) for item in variants]
        if self.options.shots:
            questions = _with_examples(questions, self.options.shots)
        kept = _limited(questions, self.options.limit)
        self.reading = Reading(
            kept, {question.sample: question.media for question in questions if question.media}, Counter()
        )
        samples = {question.sample for question in kept if question.media}
        wanted = not self.metric.is_judged and (self.same_question or self.options.control)
        self.has_control = wanted and len(samples) > 1
        self.sha256 = _hash_of(questions)

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

    @classmethod
    def metric_of(cls, result: TaskResult) -> Metric:
        """That of the benchmark's task file."""
        return catalogue.load(result.facts["task"]).build_metric()

    def settings(self) -> dict[str, Any]:
        """What answers depend on."""
        return {
            "task": self.file.name,
            "prompt": self.file.prompt,
            "generation": self.decoding.model_dump(exclude={"batch_size"}),
            "dataset": self.sha256,
            "shots": self.options.shots,
            "likelihood": self.options.likelihood,
        }

    def control_questions(self) -> list[Question]:
        """The questions about pictures, each about another one; of pictures that a limit left out nothing was said."""
        shown = [question for question in self.reading.questions if question.media]
        media = self.reading.media
        if self.same_question:
            media = {question.sample: media[question.sample] for question in shown}
        return control_questions(shown, media, self.seed)

    def judge(self, records: Sequence[Record]) -> list[Record]:
        """The records as our rule reads them."""
        return self.judge_by(OURS, records)

    def judge_by(self, rule: str, records: Sequence[Record]) -> list[Record]:
        """The records as one of the rules reads them."""
        return [self.rules[rule].judge(record) for record in records]

    def review(self, records: list[Record], save: Callable[[Sequence[Record]], None]) -> list[Record]:
        """The records with the verdicts of a judge model, where the benchmark wants one and one is there."""
        options = self.options
        if self.file.judge is None or options.judge is None:
            return records
        judged = ask_judge(
            self.file, records, options.judge, save,
            name=options.judge_name, failed_share=options.failed_share, progress=options.progress,
        )  # fmt: skip
        return self.judge(judged)

    def failed(self, records: Sequence[Record]) -> dict[str, int]:
        return dict(errors_of(records) + Counter(self.unreadable.by_reason()))

    def facts(self, records: Sequence[Record]) -> dict[str, Any]:
        """Where the benchmark comes from, hashes of what scores rest on, and which pictures were seen in training."""
        options, file = self.options, self.file
        prompt = f"{file.prompt}\n{file.judge.prompt if file.judge else ''}"
        answered = f"{self.decoding.model_dump_json(exclude={'batch_size'})} {options.shots} {options.likelihood}"
        facts: dict[str, Any] = {
            "prompt_sha256": _hash(prompt),
            "dataset_sha256": self.sha256,
            "task_sha256": _hash(file.model_dump_json()),
            "title": file.title,
            "paper": file.paper,
            "headline": file.headline,
            "official": file.official,
            "task": file.name,
            "settings_sha256": _hash(answered),
            "shots": options.shots,
            "answered_by": f"likelihood of the {options.likelihood}" if options.likelihood else "generation",
        }
        if file.judge is not None:
            facts["judged"] = sum(record.verdict is not None for record in records)
            facts["judge"] = judges_of(records)
        facts |= self.unreadable.facts
        media = (medium for question in self.reading.questions for medium in question.media)
        checked = contamination(media, options.trained, self.missing)
        return facts if checked is None else {**facts, "contamination": checked}


def answer_metric(file: TaskFile) -> AnswerMetric:
    """The metric of a benchmark that is answered in words.

    Raises:
        RecipeError: It scores something else.
    """
    metric = file.build_metric()
    if not isinstance(metric, AnswerMetric):
        raise RecipeError(f"task {file.name}: `metric: {file.metric}` scores no answers of benchmarks")
    return metric


def _hash_of(questions: Sequence[Question]) -> str:
    lines = [f"{q.id}\t{q.text}\t{q.truth}\t{[str(m).rsplit('/', 1)[-1] for m in q.media]}" for q in questions]
    return hashlib.sha256("\n".join(lines).encode("utf-8", errors="backslashreplace")).hexdigest()[:16]


def filled(prompt: str, question: str, options: str) -> str:
    """A prompt with its question and options; a line of it that only held the options goes where there are none."""
    if not options:
        prompt = prompt.replace("\n{options}", "")
    parts = {"{question}": question, "{options}": options}
    return re.sub(r"\{question\}|\{options\}", lambda match: parts[match.group()], prompt).strip()


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
        answer = q.truth if isinstance(q.truth, str) else Counter(q.truth).most_common(1)[0][0]
        turns += (user(*q.media, q.text), assistant(answer))
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


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
