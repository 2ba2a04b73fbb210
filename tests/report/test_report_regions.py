"""Held-out pictures in the report show where things are, and where the model says they are."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image as Pillow

from triptych.conversation import Frame, Region
from triptych.grounding.draw import COLOURS, TRUTH
from triptych.grounding.serial import region_values
from triptych.report.gallery import gallery, with_regions
from triptych.report.mistakes import mistakes_by_kind

PICTURE = Pillow.new("RGB", (100, 100), "white")


def record(number: int, right: bool) -> dict[str, Any]:
    truth = Region((10, 10, 40, 40), Frame(100, 100))
    found = truth if right else Region((60, 60, 90, 90), Frame(100, 100))
    return {
        "id": f"r/{number}", "kind": "name", "question": "the dog", "truth": "(10, 10, 40, 40)", "answer": "dog", "correct": right,
        "parsed": "valid", "finish": "stop", "image": {"dataset": "boxes", "index": number // 5},
        "regions": {"truth": [region_values(truth)], "found": [region_values(found)]},
    }  # fmt: skip


def test_truth_and_answer_are_drawn_and_told_apart() -> None:
    pixels = np.asarray(with_regions(PICTURE, [record(0, False)]))
    assert pixels.shape == (640, 640, 3)
    assert pixels[160, 64].tolist() == list(TRUTH)
    assert pixels[480, 384].tolist() == list(COLOURS[0])


def test_a_card_shows_a_few_questions_on_a_picture_large_enough_to_read() -> None:
    cards = gallery([record(i, i % 2 == 0) for i in range(10)], lambda _: PICTURE)
    assert [len(card.answers) for card in cards] == [3, 3]
    assert [card.hidden for card in cards] == [2, 2]
    data = base64.b64decode(cards[0].source.partition(",")[2])
    assert Pillow.open(io.BytesIO(data)).size == (640, 640)


def test_records_that_are_damaged_cost_their_regions_and_not_the_report() -> None:
    broken = record(0, True)
    broken["regions"] = {"truth": [{"box": [1, 2]}, "nonsense"], "found": None}
    assert np.asarray(with_regions(PICTURE, [broken])).min() == 255


def test_boxes_are_no_answers_to_count_in_a_table_of_mistakes() -> None:
    assert mistakes_by_kind([record(i, False) for i in range(3)]) == []
