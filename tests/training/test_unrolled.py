"""Answers that one sequence cannot teach are learned in sequences of their own, in training and in the plan of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from template_combinations import SOURCES
from tiny_world import World
from triptych.data.mixture import Mixture
from triptych.data.sources import build as build_source
from triptych.families.composed.sizes import dataset_sizes
from triptych.model.build import build
from triptych.sequence.pack import Batch
from triptych.sequence.plan import IGNORE
from triptych.training.data import make_reader

pytestmark = pytest.mark.usefixtures("tiny_cache")


@pytest.mark.parametrize(("template", "sequences"), [("qwen3", 24), ("chatml", 12)])
def test_every_answer_is_learned_once(template: str, sequences: int, world: World) -> None:
    recipe = world.recipe({"model.language.chat_template": SOURCES[template], "sequence.max_tokens": 256})
    model = build(recipe)
    source = build_source(recipe.data["colours"], Path(recipe.base))
    reader = make_reader(
        model, recipe, {"colours": source}, Mixture({"colours": 12}, {"colours": 1.0}, 0), 12, recipe.stages[0]
    )
    data = reader(0)
    assert isinstance(data.batch, Batch) and not data.events
    records = json.loads((world.folder / "data.json").read_text())
    answers = sorted(turn["value"] for record in records for turn in record["conversations"] if turn["from"] == "gpt")
    assert len(answers) == 24 and len(data.batch.conversations) == sequences
    tokenizer = model.language.tokenizer
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    learned: list[list[int]] = [[]]
    for token in (int(t) for row in data.batch.targets for t in row if t != IGNORE):
        learned[-1].append(token)
        if token == end:
            learned.append([])
    said = sorted(
        tokenizer.decode(ids).removeprefix("<think>\n\n</think>\n\n").removesuffix("<|im_end|>")
        for ids in learned
        if ids
    )
    assert said == answers
    size = dataset_sizes(recipe, tokenizer)["colours"]
    supervised = sum(int((row != IGNORE).sum()) for row in data.batch.targets)
    assert size.supervised * len(records) == pytest.approx(supervised)
    assert size.media == sequences / len(records)
