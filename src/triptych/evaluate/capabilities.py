"""What tasks need of a model, and what is said where it cannot do it."""

from __future__ import annotations

from typing import Any

from triptych.errors import EvaluationError

CAPABILITIES = {
    "answers": "respond",
    "embeds": "images",
    "pools": "features",
    "grounds": "ground_many",
    "draws": "drawn",
}
"""What a model may be able to do → the method or attribute by which it is known."""

_REFUSALS = {
    ("answers", ""): "is answered in words, and this model answers nothing",
    ("answers", "embeds"): "is answered, and a dual encoder answers nothing; it takes retrieval benchmarks",
    ("answers", "draws"): "is answered in words; made pictures are scored by tasks of `metric: images`",
    ("embeds", ""): "compares directions of pictures and texts, which only a dual encoder has",
    ("pools", ""): "compares features of pictures, and this model gives none",
    ("grounds", ""): "asks where things are, and this model does not point at anything",
    ("draws", ""): "scores pictures; name a folder of them: triptych evaluate pictures:FOLDER",
}
"""What a task needs, and what the model can do instead."""


def check_capability(task: str, needs: str, model: Any) -> None:
    """Raise EvaluationError if a model cannot do what a task needs.

    Args:
        task: Its name.
        needs: One of `CAPABILITIES`, or a capability of a family of one's own, which `Model.require` has checked.
        model: Any.
    """
    if needs not in CAPABILITIES or hasattr(model, CAPABILITIES[needs]):
        return
    instead = next((name for name, member in CAPABILITIES.items() if hasattr(model, member)), "")
    raise EvaluationError(f"{task}: {_REFUSALS.get((needs, instead)) or _REFUSALS[needs, '']}")
