"""What may be wrong with the true answer of a question: checks that several metrics share."""

from __future__ import annotations

from triptych.evaluate.benchmarks.items import Item


def none_given(item: Item) -> str | None:
    """Why an item has no true answer; `None` if it has one."""
    truths = item.truth if isinstance(item.truth, list) else [item.truth]
    return None if any(truth.strip() for truth in truths) else "has no true answer"


def neither_yes_nor_no(item: Item, allowed: tuple[str, ...] = ("yes", "no")) -> str | None:
    """Why the true answer is neither yes nor no; `None` if it is one of them.

    Args:
        item: The question.
        allowed: How yes and no may be written.
    """
    truth = str(item.truth).strip().lower()
    return None if truth in allowed else f"the true answer is neither yes nor no: {truth[:80]!r}"
