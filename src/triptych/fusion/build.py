"""From a config to its fusion: the one place that pairs them. Modules are imported only when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from triptych.fusion.config import CrossAttendConfig, FusionConfig, PromptConfig, SpliceConfig

if TYPE_CHECKING:
    from triptych.fusion.fusion import Fusion
    from triptych.language.backbone import LanguageModel


def build(config: FusionConfig, language: LanguageModel, embedding_std: float) -> Fusion:
    """A fusion with fresh weights in the language model's precision, put into the language model.

    Args:
        config: Which, and how.
        language: What it is put into. A language model takes one fusion.
        embedding_std: Standard deviation of the language model's token embeddings.

    Raises:
        RecipeError: The language model does not have what the fusion needs.
    """
    match config:
        case SpliceConfig():
            from triptych.fusion.fusion import Splice

            return Splice()
        case CrossAttendConfig():
            from triptych.fusion.cross_attend import CrossAttend

            return CrossAttend(config, language, embedding_std)
        case PromptConfig():
            from triptych.fusion.prompt import Prompt

            return Prompt(config, language, embedding_std)
        case _:
            assert_never(config)
