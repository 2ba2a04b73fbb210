"""Kosmos-2's text decoder (sub-LN, sinusoidal positions) as a language model like any other.

transformers' class reads positions and masks that it made itself. Two of its modules get a subclass with the same
parameters, so that it also takes those of packed rows:

    positions from zero in each document ──► + offset of the table (its first rows stand for padding)
    4-D masks ─────────────────────────────► taken as they are
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.models.kosmos2.modeling_kosmos2 import (
    Kosmos2TextForCausalLM,
    Kosmos2TextSinusoidalPositionalEmbedding,
    Kosmos2TextTransformer,
)

from triptych.errors import WeightsError
from triptych.files import read_object

MODEL_TYPE = "kosmos_2_text_model"
"""The decoder's name in a transformers configuration."""


class Positions(Kosmos2TextSinusoidalPositionalEmbedding):  # type: ignore[misc]
    """The table of positions; given positions count from zero."""

    def forward(self, *arguments: Any, position_ids: Tensor | None = None, **options: Any) -> Tensor:
        """Embeddings `[B, L, D]`; without `position_ids` those that transformers counts itself."""
        given = None if position_ids is None else position_ids + self.padding_idx + 1
        embedded: Tensor = super().forward(*arguments, position_ids=given, **options)
        return embedded


class Decoder(Kosmos2TextTransformer):  # type: ignore[misc]
    """The stack of layers; masks that are complete already are used as they are."""

    def _prepare_decoder_attention_mask(self, attention_mask: Tensor | None, *arguments: Any) -> Tensor | None:
        if attention_mask is not None and attention_mask.dim() == 4:
            return attention_mask
        made: Tensor | None = super()._prepare_decoder_attention_mask(attention_mask, *arguments)
        return made


class KosmosDecoder(Kosmos2TextForCausalLM):  # type: ignore[misc]
    """The language model, fit for packed rows.

    Args:
        config: A `Kosmos2TextConfig`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model.__class__ = Decoder
        self.model.embed_positions.__class__ = Positions

    def get_decoder(self) -> Any:
        """The stack of layers without the head."""
        return self.model


def build(config: Any, dtype: torch.dtype) -> KosmosDecoder:
    """The decoder of a configuration with random weights."""
    model: KosmosDecoder = KosmosDecoder(config).to(dtype)
    return model


def is_there(folder: Path) -> bool:
    """Whether a folder in the hub's format holds such a decoder, which transformers' automatic classes do not know."""
    path = folder / "config.json"
    return path.is_file() and read_object(path, WeightsError).get("model_type") == MODEL_TYPE
