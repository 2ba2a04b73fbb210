"""A whole world in miniature, made without a network: a language model, an encoder, pictures, conversations.

A recipe over it trains in about a second on one core, so every test can afford a real run.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image as Pillow
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from parity.tiny.systems import LLAMA, TOWER
from parity.tiny.words import CHATML as CHATML
from parity.tiny.words import SPECIAL as SPECIAL
from parity.tiny.words import tokenizer as tokenizer
from triptych.conversation import Conversation, Image, assistant, user
from triptych.recipe import Recipe, parse_recipe

COLOURS = {"red": (220, 30, 30), "green": (20, 160, 60), "blue": (30, 60, 220), "yellow": (240, 220, 40)}


def llama(**changes: Any) -> LlamaConfig:
    """Two layers, two query heads for each key head."""
    own = {"vocab_size": len(tokenizer()), "tie_word_embeddings": True, "initializer_range": 0.1}
    return LlamaConfig(**(LLAMA | own | changes))


@dataclass(frozen=True)
class World:
    """Where the pieces are: `language/`, `vision/`, `pictures/`, `data.json`."""

    folder: Path

    def values(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The values of a recipe over this world; `changes` are dotted paths."""
        values: dict[str, Any] = {
            "name": "tiny",
            "base": str(self.folder),
            "model": {
                "language": {"weights": "file:language", "precision": "float32"},
                "encoders": {"image": {"kind": "huggingface", "weights": "file:vision", "precision": "float32"}},
                "adapters": {"image": {"kind": "mlp", "pool": 2, "reduction": "average"}},
            },
            "sequence": {"max_tokens": 96},
            "data": {"colours": {"kind": "llava", "path": "data.json", "images": "pictures"}},
            "loading": {"workers": 0},
            "stages": [
                {"name": "align", "train": ["adapters"], "mixture": {"colours": 1}, "steps": 4, "batch_size": 4,
                 "learning_rate": 1e-2, "micro_rows": 2, "checkpoint_every": 2},
                {"name": "instruct", "train": ["adapters", "language"], "mixture": {"colours": 1}, "steps": 4,
                 "batch_size": 4, "learning_rate": 1e-3, "micro_rows": 2, "checkpoint_every": 2},
            ],
        }  # fmt: skip
        for path, value in (changes or {}).items():
            *parents, last = path.split(".")
            target: Any = values
            for step in parents:
                target = target[int(step)] if isinstance(target, list) else target.setdefault(step, {})
            if isinstance(target, list):
                target[int(last)] = value
            else:
                target[last] = value
        return copy.deepcopy(values)

    def recipe(self, changes: Mapping[str, Any] | None = None) -> Recipe:
        """A recipe over this world."""
        return parse_recipe(self.values(changes))

    def picture(self, number: int) -> Image:
        """One of the twelve pictures."""
        return Image(self.folder / "pictures" / f"{number:02}.png")


def make(folder: Path) -> World:
    """Write a world into a folder."""
    torch.manual_seed(0)
    LlamaForCausalLM(llama()).save_pretrained(folder / "language")
    tokenizer().save_pretrained(folder / "language")
    vision = CLIPVisionConfig(**(TOWER | {"intermediate_size": 32, "num_hidden_layers": 2}))
    CLIPVisionModel(vision).save_pretrained(folder / "vision")
    (folder / "pictures").mkdir()
    names = list(COLOURS)
    records = []
    for i in range(12):
        name = names[i % len(names)]
        picture = Pillow.new("RGB", (40 + i, 32), COLOURS[name])
        picture.paste((i * 20, 0, 0), (0, 0, 8, 8))
        picture.save(folder / "pictures" / f"{i:02}.png")
        turns = [("human", "<image>\nWhat colour is this?"), ("gpt", f"It is {name}.")]
        turns += [("human", "And on the left?"), ("gpt", f"{name}, too " * (1 + i % 3))] * (i % 3)
        records.append(
            {
                "id": f"r{i}",
                "image": f"{i:02}.png",
                "conversations": [{"from": who, "value": text} for who, text in turns],
            }
        )
    (folder / "data.json").write_text(json.dumps(records))
    text = [{k: v for k, v in r.items() if k != "image"} for r in records]
    for record in text:
        record["conversations"] = [
            {**turn, "value": turn["value"].replace("<image>\n", "")} for turn in record["conversations"]
        ]
    (folder / "text.json").write_text(json.dumps(text))
    return World(folder)


def talk(*said: str | Image) -> Conversation:
    """A conversation in which user and assistant take turns."""
    return Conversation(tuple(user(part) if i % 2 == 0 else assistant(part) for i, part in enumerate(said)))
