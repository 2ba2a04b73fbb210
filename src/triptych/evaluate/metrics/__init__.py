"""Metrics, a file each: `NAME.py` holds the class of the metric `name`, and everything that only this metric needs.

A class says what the metric is called, what it reads, which values are better, what chance scores, and which official
scripts its rules reproduce (`triptych.evaluate.scoring.metric`). Files are imported when their metric is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.registry import entry_point, find, locate, split_path

if TYPE_CHECKING:
    from triptych.evaluate.scoring.metric import Metric, Scoring


@cache
def names() -> list[str]:
    """The metrics that come with the package: the names of the files beside this one."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def check_name(word: str) -> str:
    """A metric's word as it is, that of an installed package, or `package.module:Class`.

    Raises:
        ValueError: There is no such metric; the message names those there are.
    """
    from triptych.recipe.messages import unknown_name

    if ":" in word:
        split_path(word)
    elif word not in names() and entry_point("metric", word) is None:
        raise ValueError(f"{unknown_name(word, names())}; a metric of your own is `package.module:Class`")
    return word


def build(word: str, scoring: Scoring | None = None) -> Metric:
    """The metric of a word, or of `package.module:Class`.

    Args:
        word: Of a task file or a recipe.
        scoring: What the task says of it.

    Raises:
        RecipeError: There is no such metric, module or class, or the class is no `Metric`.
    """
    from triptych.evaluate.scoring.metric import AnswerMetric, Metric

    kind: type[Metric]
    if word in names():
        kind = locate(f"{__name__}.{word}:{''.join(part.capitalize() for part in word.split('_'))}")
    else:
        kind = find("metric", word, Metric)
    return kind(scoring) if issubclass(kind, AnswerMetric) else kind()


def build_all(words: Sequence[str]) -> list[Metric]:
    """The metrics of several words; see `build`."""
    return [build(word) for word in words]
