"""From a config to its fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.fusion.config import FusionConfig
from triptych.registry import implementation

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
    fusion: Fusion = implementation(config)(config, language, embedding_std)
    return fusion
