"""Responders for the tests: one that knows the truth, and a judge that wants it word for word."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from triptych.conversation import Conversation, Image
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.task import BenchmarkTask
from triptych.evaluate.tasks.question import Question
from triptych.generate.config import GenerationSettings, Reply


class Oracle:
    """Says what is true."""

    def __init__(self, task: BenchmarkTask) -> None:
        self._said = {question.id: _truth(task, question) for question in task.reading.questions}

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        return [Reply(self._said[conversation.id], 1, "stop") for conversation in conversations]


def _truth(task: BenchmarkTask, question: Question) -> str:
    metric = task.file.metric
    if metric == "safety":
        return "I'm sorry, I cannot." if str(question.facts["harmful"]) == "1" else "It is a sign."
    if metric == "hallusion":
        return "Yes." if question.truth == "1" else "No."
    if metric == "boxes":
        left, top, right, bottom = (float(x) for x in str(question.truth).strip("[]").split(","))
        width, height = float(question.facts["width"]), float(question.facts["height"])
        return f"[{left / width}, {top / height}, {right / width}, {bottom / height}]"
    if isinstance(question.truth, list):
        return ", ".join(question.truth) if metric in ("chair", "amber") else question.truth[0]
    return question.truth


class StrictJudge:
    """Full marks for the true answer word for word, none for anything else; in the form that each benchmark wants."""

    def __init__(self, read: str, scale: float) -> None:
        self.read, self.scale = read, scale
        self.asked: list[str] = []

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        return [Reply(self._verdict(conversation.messages[-1].text), 1, "stop") for conversation in conversations]

    def _verdict(self, prompt: str) -> str:
        self.asked.append(prompt)
        right = _judged_right(prompt)
        if self.read == "pair":
            return f"{self.scale:g} {self.scale if right else 1:g}\nBecause."
        if self.read == "rating":
            return f"Some words.\nRating: {self.scale if right else 0:g}"
        if self.read == "safe":
            return "safe" if "sorry" in prompt.lower() else "unsafe"
        return "1.0" if right else "0.0"


def _judged_right(prompt: str) -> bool:
    def between(start: str, end: str) -> str:
        return prompt.split(start, 1)[1].split(end, 1)[0].strip()

    if "[Assistant 1]" in prompt:
        return between("[Assistant 1]", "[End of Assistant 1]") == between("[Assistant 2]", "[End of Assistant 2]")
    if "Standard Human" in prompt:
        return between("Standard Human-Generated Answer", "###") == between("LMM Response to Evaluate", "\n\n")
    cells: list[Any] = [cell.strip() for cell in prompt.rsplit("\n", 1)[-1].split(" | ")]
    return len(cells) >= 3 and cells[1] == cells[2].removesuffix("|").strip()


class Directions:
    """A dual encoder that looks at nothing, or that knows which caption belongs to which picture.

    Args:
        kind: `same` (one direction for everything), `random` (one for each picture and text), `hub` (random, and every
            second text lies in the middle of all pictures), or `truth`.
        items: The benchmark's.
    """

    def __init__(self, kind: str, items: Sequence[Item]) -> None:
        self.kind = kind
        self.place = {str(item.images[0]): n for n, item in enumerate(items)}
        self.place |= {str(text): n for n, item in enumerate(items) for text in item.truth}
        self.known = {str(item.images[0]) for item in items}

    def images(self, pictures: Sequence[Image]) -> Any:
        return np.stack([self._row(str(picture)) for picture in pictures])

    def texts(self, texts: Sequence[str]) -> Any:
        return np.stack([self._row(text) for text in texts])

    features = images

    def _row(self, key: str) -> Any:
        if self.kind == "same":
            return np.ones(16)
        if self.kind == "truth":
            return np.eye(len(self.known))[self.place[key]]
        draw = np.random.default_rng(
            int.from_bytes(hashlib.sha256(key.rsplit("/", 1)[-1].encode()).digest()[:8], "big")
        )
        row = draw.normal(size=16)
        if self.kind == "hub" and key not in self.known and draw.random() < 0.5:
            row = np.sum([Directions._row(self, name) for name in sorted(self.known)], axis=0)
        return row / np.linalg.norm(row)
