"""Tiny composed models out of their parts, and their logits of documents that are packed into one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from triptych.adapters.build import build as build_adapter
from triptych.adapters.config import AdapterConfig
from triptych.encoders.encoder import Encoder
from triptych.language.backbone import LanguageModel
from triptych.model.composed import MultimodalModel
from triptych.sequence.config import SequenceConfig
from triptych.sequence.pack import pack
from triptych.sequence.plan import Layout


def composed(language: LanguageModel, encoder: Encoder, adapter: AdapterConfig) -> MultimodalModel:
    """A composed model that shows pictures to a language model, for checks that bring their own ids."""
    made = build_adapter(adapter, encoder.dim, encoder.grid, language.dim, 1.0)
    return MultimodalModel(language, {"image": encoder}, {"image": made}, SequenceConfig(max_tokens=64)).eval()


@torch.inference_mode()
def packed_logits(
    model: MultimodalModel, layouts: Sequence[Layout], pixels: Sequence[Sequence[Tensor]], row: int = 256, pad: int = 0
) -> list[Tensor]:
    """Logits `[L, V]` of each document.

    Args:
        model: A composed model with one encoder.
        layouts: The documents.
        pixels: Per document, those of its pictures `[3, H, W]`.
        row: Tokens in the row.
        pad: The id behind the documents.
    """
    layouts = [replace(layout, id=str(number)) for number, layout in enumerate(layouts)]
    batch = pack(layouts, row, pad=pad)
    by_hash = {
        span.medium.content_hash: one
        for layout, own in zip(layouts, pixels, strict=True)
        for span, one in zip(layout.spans, own, strict=True)
    }
    batch = batch.with_prepared("image", tuple(by_hash[medium.content_hash] for medium in batch.media))
    logits = model.language.logits(model(batch))[0]
    places = {document.id: number for number, document in enumerate(batch.conversations)}
    return [logits[batch.documents[0] == places[layout.id]] for layout in layouts]
