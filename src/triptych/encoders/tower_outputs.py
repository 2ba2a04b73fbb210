"""From what a vision model of transformers puts out to features `[N, T, D]` over a square grid.

[N, T, D]  a sequence: the tokens beside the grid are T - side²
[N·T, D], [1, N·T, D]  sequences of all pictures, one behind the other
[N, C, h, w], [N, h, w, C]  a grid
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from triptych.errors import RecipeError

MOST_BESIDE = 16
"""Tokens that may stand in front of the grid: class tokens and registers. More are something else (objects to detect)."""


@dataclass(frozen=True)
class Shape:
    """Of one picture's features.

    Args:
        side: Rows and columns of the grid.
        prefix: Tokens in front of it.
        dim: Channels.
    """

    side: int
    prefix: int
    dim: int


def chosen_state(out: Any, layer: int | str, name: str) -> Tensor:
    """The tensor that a recipe's `layer` names.

    Raises:
        RecipeError: The model gives none of that name.
    """
    if layer == "output":
        state = getattr(out, "last_hidden_state", None)
        if state is None:  # backbones answer with the maps of their stages
            maps = getattr(out, "feature_maps", None)
            state = maps[-1] if maps else None
        if state is None:
            raise RecipeError(f"encoder: {name} puts out neither a sequence nor a grid (`last_hidden_state`)")
        return state  # type: ignore[no-any-return]
    states = getattr(out, "hidden_states", None)
    if not states:
        raise RecipeError(f"encoder: `layer: {layer}`: {name} gives no hidden states; set `layer: output`")
    if not -len(states) <= int(layer) < len(states):
        raise RecipeError(
            f"encoder: `layer: {layer}` does not exist; {name} has hidden states 0 to {len(states) - 1}, or "
            f"-{len(states)} to -1"
        )
    return states[int(layer)]  # type: ignore[no-any-return]


def sequence(state: Tensor, pictures: int, name: str) -> Tensor:
    """A model's output as `[N, T, D]`, cells of grids row by row.

    Raises:
        RecipeError: It has another form.
    """
    match state.dim():
        case 4 if state.shape[2] == state.shape[3]:
            return state.flatten(2).transpose(1, 2)
        case 4 if state.shape[1] == state.shape[2]:
            return state.flatten(1, 2)
        case 3 if state.shape[0] == pictures:
            return state
        case 3 if state.shape[0] == 1 and state.shape[1] % pictures == 0:
            return state.reshape(pictures, -1, state.shape[-1])
        case 2 if state.shape[0] % pictures == 0:
            return state.view(pictures, -1, state.shape[-1])
    raise RecipeError(
        f"encoder: {name} puts out {list(state.shape)} for {pictures} square pictures, which is neither a sequence "
        "nor a square grid"
    )


def shape_of(state: Tensor, pictures: int, resolution: int, patch: int | None, name: str) -> Shape:
    """The grid in a model's output, and what stands in front of it.

    Args:
        state: The output, of at least two pictures: a batch of one looks like one of all pictures in a row.
        pictures: How many.
        resolution: Side of a picture in pixels.
        patch: Side of a patch where the configuration says it.
        name: Of the model, for messages.

    Raises:
        RecipeError: There is no square grid in it.
    """
    features = sequence(state, pictures, name)
    tokens, dim = features.shape[1], features.shape[2]
    if state.dim() == 4:
        return Shape(math.isqrt(tokens), 0, dim)
    side = next((side for side in _sides(tokens, resolution, patch) if side > 0), None)
    if side is None:
        raise RecipeError(
            f"encoder: {name} puts out {tokens} tokens for a picture of {resolution} pixels: no square grid with at most "
            f"{MOST_BESIDE} tokens in front of it"
        )
    return Shape(side, tokens - side * side, dim)


def _sides(tokens: int, resolution: int, patch: int | None) -> Iterator[int]:
    """Sides that a grid of a sequence may have, the likeliest first."""
    whole = resolution // (patch or 1)
    halves = [whole]
    while halves[-1] > 1:  # towers with stages halve the grid some times
        halves.append((halves[-1] + 1) // 2)
    beside = {side: tokens - side**2 for side in halves}
    yield from (side for side in halves if beside[side] == 0)
    if 0 <= beside[whole] <= MOST_BESIDE:
        yield whole
    if math.isqrt(tokens) ** 2 == tokens:
        yield math.isqrt(tokens)
    yield from (side for side in halves if 0 <= beside[side] <= MOST_BESIDE)
    if patch is None:
        squares = (math.isqrt(max(0, tokens - more)) for more in range(1, MOST_BESIDE + 1))
        yield from (side for more, side in enumerate(squares, 1) if side**2 == tokens - more)


def in_rows(cells: Tensor, side: int, merge: int) -> Tensor:
    """Cells `[N, h·w, D]` that come block by block, `merge` × `merge` each, put row by row."""
    if merge == 1:
        return cells
    count, _, dim = cells.shape
    blocks = side // merge
    return cells.view(count, blocks, blocks, merge, merge, dim).transpose(2, 3).reshape(count, side * side, dim)
