"""What a fusion asks of a language model, known from numbers alone: asked when a recipe is read, and when it is built."""

from __future__ import annotations

from triptych.fusion.config import CrossAttendConfig, FusionConfig, PromptConfig


def mistake(config: FusionConfig, layers: int, name: str = "the language model") -> str | None:
    """Why a fusion does not go with so many layers, with what would: `field: reason`; None where it does.

    Args:
        config: The fusion.
        layers: Of the language model.
        name: Of the language model.
    """
    match config:
        case PromptConfig() if config.layers > layers:
            return (
                f"model.fusion.layers: prompts in {config.layers} layers, but {name} has {layers}; "
                f"set it to {layers} or less"
            )
        case PromptConfig(early=early) if early is not None and early.layers + config.layers > layers:
            return (
                f"model.fusion.early.layers: media in the first {early.layers} and prompts in the last {config.layers} "
                f"layers overlap, for {name} has {layers}; lower one of them"
            )
        case CrossAttendConfig() if config.first >= layers:
            return f"model.fusion.first: {config.first}, but the layers of {name} go from 0 to {layers - 1}"
    return None
