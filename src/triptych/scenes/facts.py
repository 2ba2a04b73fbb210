"""Scenes in words instead of pictures: the exact caption as text, then questions about it, for models without an encoder.

In a recipe: `kind: triptych.scenes.facts:SceneFacts`, beside it the options of `kind: scenes`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from triptych.conversation import Conversation, Message, assistant, user
from triptych.errors import RecipeError
from triptych.scenes.config import ScenesConfig
from triptych.scenes.dataset import Scenes


class SceneFacts:
    """Questions about scenes that are described in words; everything else as in `Scenes`.

    Args:
        base: The recipe's folder; not needed.
        options: The fields of `ScenesConfig`.

    Raises:
        RecipeError: The options are no `ScenesConfig`.
        WeightsError: The font cannot be had (which things a glyph can be drawn of decides what is in a scene).
    """

    def __init__(self, base: Path | None = None, **options: Any) -> None:
        del base
        try:
            config = ScenesConfig(style="questions", **options)
        except (ValidationError, TypeError) as error:
            raise RecipeError(f"kind 'triptych.scenes.facts:SceneFacts': {error}") from None
        self.scenes = Scenes(config)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Conversation:
        shown = self.scenes[index]
        told = f"There is {shown.annotations['scene']['captions']['full']}."
        turns = [{**turn, "question": f"{told} {turn['question']}"} for turn in shown.annotations["questions"]]
        messages: list[Message] = []
        for turn in turns:
            messages += [user(turn["question"]), assistant(turn["answer"])]
        return Conversation.of(messages, id=shown.id, annotations={**shown.annotations, "questions": turns})
