"""Retrieval, zero-shot naming and linear probes on directions that are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from triptych.conversation import Conversation, Image, assistant, user
from triptych.errors import EvaluationError
from triptych.evaluate.config import LinearProbeTaskConfig, RetrievalTaskConfig, ZeroShotTaskConfig
from triptych.evaluate.embedding.ranks import chance_at, ranks
from triptych.evaluate.run import evaluate
from triptych.recipe.messages import explain

NAMES = ["apple", "dog", "cup", "tree"]


class Known:
    """Pictures are named by their key, and directions looked up."""

    def __init__(self, pictures: dict[str, Sequence[float]], texts: dict[str, Sequence[float]]) -> None:
        self.pictures, self.said = pictures, texts

    def images(self, pictures: Sequence[Image]) -> Any:
        return np.array([self.pictures[str(picture.key)] for picture in pictures], dtype=float)

    def texts(self, texts: Sequence[str]) -> Any:
        return np.array([self.said[text] for text in texts], dtype=float)

    features = images


def told(number: int, *texts: str, label: str | None = None) -> Conversation:
    messages = [user(Image(b"", key=str(number)), "What?")]
    for text in texts:
        messages += [assistant(text), user("And?")]
    return Conversation.of(messages, id=f"s{number}", annotations={"phrases": [label] if label else []})


def test_ranks_of_a_matrix_worked_out_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.4], [0.5, 0.5, 0.1]])
    right = np.eye(3, dtype=bool)
    assert ranks(scores, right).tolist() == [1, 2, 3]
    tied = np.array([[0.5, 0.5]])
    assert ranks(tied, np.array([[True, False]])).tolist() == [2]  # a tie is no hit
    assert ranks(tied, np.array([[True, True]])).tolist() == [1]
    assert ranks(tied, np.array([[False, False]])).tolist() == [3]


def test_chance_is_what_shuffling_gives() -> None:
    assert chance_at(1, 200, 1) == pytest.approx(0.005)
    assert chance_at(10, 200, 1) == pytest.approx(0.05)
    assert chance_at(1, 10, 2) == pytest.approx(0.2)
    assert chance_at(5, 5, 1) == 1


def test_retrieval_counts_both_ways_and_forgives_equal_texts(tmp_path: Path) -> None:
    eye = np.eye(4)
    # Picture 0 is right; 1 and 2 are taken for each other; 3 and 0 have the same text.
    model = Known({"0": eye[0], "1": eye[2], "2": eye[1], "3": eye[0]}, {"a": eye[0], "b": eye[1], "c": eye[2]})
    source = [told(0, "a"), told(1, "b"), told(2, "c"), told(3, "a")]
    task = RetrievalTaskConfig(data="d", pool=4, at=(1, 2))
    result = evaluate(model, source, task, tmp_path, name="r")  # type: ignore[arg-type]
    scores = {name: interval.value for name, interval in result.metrics.items()}
    assert scores["image_to_text_r1"] == 0.5
    assert scores["text_to_image_r1"] == pytest.approx(1 / 3)
    assert result.chance["image_to_text_r1"] == pytest.approx(1 / 3)
    assert result.chance["text_to_image_r1"] == pytest.approx((0.5 + 0.25 + 0.25) / 3)
    assert (tmp_path / "evaluation" / "r.jsonl").read_text().count("\n") == 7
    assert result.metrics["image_to_text_r1"].low < 0.5 < result.metrics["image_to_text_r1"].high


def test_pools_do_not_see_each_other(tmp_path: Path) -> None:
    directions = {str(i): np.eye(2)[i % 2] for i in range(7)}
    model = Known(directions, {f"t{i}": np.eye(2)[i % 2] for i in range(7)})
    source = [told(i, f"t{i}") for i in range(7)]
    task = RetrievalTaskConfig(data="d", pool=2, at=(1,))
    result = evaluate(model, source, task, tmp_path)  # type: ignore[arg-type]
    assert result.metrics["image_to_text_r1"].value == 1.0  # among all seven there would be ties
    assert result.samples == 6  # the last pool is not full
    assert result.control["image_to_text_r1"].value == 0.0
    with pytest.raises(EvaluationError, match="fewer than a pool of 9"):
        evaluate(model, source, task.model_copy(update={"pool": 9}), tmp_path)  # type: ignore[arg-type]


def test_zero_shot_averages_its_templates(tmp_path: Path) -> None:
    eye = np.eye(4)
    said = {f"a {n}" if n != "apple" else "an apple": eye[i] for i, n in enumerate(NAMES)}
    said |= {f"photo of {n}": eye[i] * 0.5 + eye[(i + 1) % 4] for i, n in enumerate(NAMES)}
    model = Known({str(i): eye[i] for i in range(4)}, said)
    source = [told(i, label=name) for i, name in enumerate(NAMES)]
    one = ZeroShotTaskConfig(data="d", templates=("{a}",))
    assert evaluate(model, source, one, tmp_path).metrics["top1_accuracy"].value == 1.0  # type: ignore[arg-type]
    both = ZeroShotTaskConfig(data="d", templates=("{a}", "photo of {name}"))
    assert evaluate(model, source, both, tmp_path).metrics["top1_accuracy"].value == 1.0  # type: ignore[arg-type]
    wrong = ZeroShotTaskConfig(data="d", templates=("photo of {name}",))
    result = evaluate(model, source, wrong, tmp_path)  # type: ignore[arg-type]
    assert result.metrics["top1_accuracy"].value == 0.0
    assert result.chance["top1_accuracy"] == 0.25


@pytest.mark.parametrize("template", ["no name", "{b}", "{", "{0}"])
def test_a_template_must_name_the_class(template: str) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as error:
        ZeroShotTaskConfig(data="d", templates=(template,))
    assert "needs `{name}` or `{a}`" in explain(error.value, ZeroShotTaskConfig)[0]


def test_a_linear_probe_finds_what_is_linearly_there(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = {str(i): generator.normal(size=6) + 3 * np.eye(6)[i % 3] for i in range(60)}
    source = [told(i, label=NAMES[i % 3]) for i in range(60)]
    task = LinearProbeTaskConfig(data="d", train_data="t")
    result = evaluate(
        Known(rows, {}),
        source[40:],
        task,
        tmp_path,
        train_source=source[:40],  # type: ignore[arg-type]
    )
    assert result.metrics["top1_accuracy"].value > 0.8
    assert result.control["top1_accuracy"].value < 0.6
