"""Pictures of coloured squares with their names and boxes: a dataset that a tiny detector learns in seconds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from tiny_world import World
from triptych.conversation import Conversation, Frame, Image, Region, assistant, user
from triptych.conversation.expression import Expression
from triptych.recipe import Recipe, parse_recipe

COLOURS = {"red": (220, 30, 30), "green": (20, 160, 60), "blue": (30, 60, 220), "yellow": (240, 220, 40)}
WIDTH, HEIGHT = 64, 48


class Squares:
    """One or two squares of different colours on grey, never over each other."""

    def __init__(self, base: Path | None = None, count: int = 200, seed: int = 0) -> None:
        del base
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Conversation:
        draw = random.Random(f"{self.seed}/{index}")
        picture = Pillow.new("RGB", (WIDTH, HEIGHT), (128, 128, 128))
        parts: list[str | Region] = []
        for half, name in enumerate(draw.sample(sorted(COLOURS), draw.randint(1, 2))):
            side = draw.randint(14, 24)
            left = 32 * half + draw.randint(0, 32 - side)
            top = draw.randint(0, HEIGHT - side)
            picture.paste(COLOURS[name], (left, top, left + side, top + side))
            region = Region((left, top, left + side, top + side), Frame(WIDTH, HEIGHT), name)
            parts += [f" {name}", region]
        shown = Image(picture, key=f"squares/{self.seed}/{index}")
        found = [part for part in parts if isinstance(part, Region)]
        asked = tuple(Expression(f"the {region.name}", (region,), "name") for region in found)
        return Conversation(
            (user(shown, "What is where?"), assistant(*parts)), f"squares/{self.seed}/{index}", {"grounding": asked}
        )


def recipe(world: World, steps: int = 4, **model: Any) -> Recipe:
    """A recipe of a detector over the tiny world; `model` are changes to it."""
    vision = {"kind": "huggingface", "weights": "file:vision", "precision": "float32", "layer": 1}
    return parse_recipe(
        {
            "name": "squares",
            "base": str(world.folder),
            "model": {
                "kind": "detector", "vision": vision, "text": {"kind": "embeddings", "weights": "file:language"},
                "width": 48, "blocks": 1, "embed_dim": 16, **model,
            },
            "data": {
                "squares": {"kind": "tiny_boxes:Squares", "count": 200},
                "test": {"kind": "tiny_boxes:Squares", "count": 12, "seed": 7},
            },
            "loading": {"workers": 0},
            "stages": [
                {"name": "detect", "train": ["heads", "text"], "mixture": {"squares": 1}, "steps": steps,
                 "objective": {"kind": "detection"}, "batch_size": 16, "learning_rate": 4e-3},
            ],
            "evaluation": {"ground": {"kind": "grounding", "data": "test"}},
        }
    )  # fmt: skip
