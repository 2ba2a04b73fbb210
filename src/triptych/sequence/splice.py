"""Splicing: adapted features take the place of the tokens that the plan kept for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from triptych.sequence.pack import Placement


def splice(embeddings_RLD: Tensor, placements: Sequence[Placement], features: Sequence[Tensor]) -> Tensor:
    """Put features into a batch of embeddings.

    Args:
        embeddings_RLD: Token embeddings `[R, L, D]`.
        placements: Where each medium goes; a medium may go to several places.
        features: Per medium `[T, D]`.

    Returns:
        `[R, L, D]`: a new tensor; gradients flow to both inputs.

    Raises:
        ValueError: A medium's length differs from its placement's, a placement names no medium or leaves its row, or
            a medium is left over.
    """
    used = {place.medium for place in placements}
    if used != set(range(len(features))):
        missing, left_over = sorted(used - set(range(len(features)))), sorted(set(range(len(features))) - used)
        raise ValueError(f"media and placements do not match: no features for {missing}, no place for {left_over}")
    if not placements:
        return embeddings_RLD
    length = embeddings_RLD.shape[1]
    index, rows = [], []
    for place in placements:
        tokens = features[place.medium]
        if len(tokens) != place.length:
            raise ValueError(
                f"medium {place.medium} has {len(tokens)} positions, but {place.length} were planned for it "
                f"(row {place.row}, from {place.start})"
            )
        if not 0 <= place.start <= length - place.length:
            raise ValueError(
                f"positions {place.start} to {place.start + place.length} are not all in a row of {length}"
            )
        first = place.row * length + place.start
        index.append(torch.arange(first, first + place.length, device=embeddings_RLD.device))
        rows.append(tokens)
    flat = embeddings_RLD.flatten(0, 1)
    flat = flat.index_copy(0, torch.cat(index), torch.cat(rows).to(flat.dtype))
    return flat.view_as(embeddings_RLD)
