"""Triptych: compose, train, question and measure multimodal large language models.

from triptych import Image, load, load_recipe, train

run = train(load_recipe("quickstart"))
model = load(run)
model.ask(Image("picture.png"), "What is at the top left?")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.api import Model, load
    from triptych.conversation import (
        Conversation,
        Frame,
        Image,
        Medium,
        Message,
        Region,
        assistant,
        document,
        system,
        user,
    )
    from triptych.errors import TriptychError
    from triptych.generate.config import GenerationSettings, Reply
    from triptych.recipe import Recipe, load_recipe
    from triptych.training.loop import train
    from triptych.trusted import trust

__version__ = "0.1.0"

_HOMES = {
    "Conversation": "triptych.conversation",
    "Frame": "triptych.conversation",
    "GenerationSettings": "triptych.generate.config",
    "Image": "triptych.conversation",
    "Medium": "triptych.conversation",
    "Message": "triptych.conversation",
    "Model": "triptych.api",
    "Recipe": "triptych.recipe",
    "Region": "triptych.conversation",
    "Reply": "triptych.generate.config",
    "TriptychError": "triptych.errors",
    "assistant": "triptych.conversation",
    "document": "triptych.conversation",
    "load": "triptych.api",
    "load_recipe": "triptych.recipe",
    "system": "triptych.conversation",
    "train": "triptych.training.loop",
    "trust": "triptych.trusted",
    "user": "triptych.conversation",
}

__all__ = [
    "Conversation",
    "Frame",
    "GenerationSettings",
    "Image",
    "Medium",
    "Message",
    "Model",
    "Recipe",
    "Region",
    "Reply",
    "TriptychError",
    "assistant",
    "document",
    "load",
    "load_recipe",
    "system",
    "train",
    "trust",
    "user",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import triptych` itself takes no time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'triptych' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
