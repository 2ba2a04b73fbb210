"""Choosing the next token from logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from triptych.generate.config import GenerationSettings


def choose(logits_BV: Tensor, settings: GenerationSettings, generators: Sequence[torch.Generator]) -> Tensor:
    """The next token of each row, `[B]`.

    Args:
        logits_BV: `[B, V]`.
        settings: Greedy at temperature 0; otherwise top-k, then nucleus (Holtzman et al., 2020), then a draw.
        generators: One per row, so that what a row draws does not depend on its neighbours.
    """
    if settings.temperature == 0:
        return logits_BV.argmax(dim=-1)
    logits = logits_BV.float() / settings.temperature
    if 0 < settings.top_k < logits.shape[-1]:
        smallest = logits.topk(settings.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, float("-inf"))
    if settings.top_p < 1:
        ordered, index = logits.sort(dim=-1, descending=True)
        before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
        dropped = (before >= settings.top_p).scatter(-1, index, before >= settings.top_p)
        logits = logits.masked_fill(dropped, float("-inf"))
    probabilities = logits.softmax(dim=-1).cpu()
    drawn = [torch.multinomial(row, 1, generator=g) for row, g in zip(probabilities, generators, strict=True)]
    return torch.cat(drawn).to(logits_BV.device)
