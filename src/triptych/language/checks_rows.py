"""The probe's comparisons of rows: packed, padded on the left, continued from a cache, each against reading alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from triptych.language.cache import new_cache, select_rows
from triptych.language.capabilities import Caching, Capabilities, Packing
from triptych.language.checks import holds, read, run, same, tokens


def packing(model: Any, capabilities: Capabilities) -> Capabilities:
    """How documents in one row are kept apart: each has the hidden states that it has alone."""
    lengths = (5, 1, 4, 3)
    behind = sum(lengths)
    ids = tokens(model, length=behind + 2)
    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    parts = [ids[:, start : start + length] for start, length in zip(starts, lengths, strict=True)]
    alone = torch.cat([read(model, capabilities, part) for part in parts], dim=1)
    positions = torch.cat([torch.arange(length) for length in (*lengths, 2)])[None].to(ids.device)
    numbers = torch.cat([torch.full((length,), n) for n, length in zip((*range(4), -1), (*lengths, 2), strict=True)])
    numbers = numbers[None].to(ids.device)

    def check(trial: Capabilities) -> bool:
        together = run(model, trial, ids, positions, documents=numbers)
        changed = ids.clone()
        changed[:, 0] = tokens(model, seed=2)[:, 0]
        after = run(model, trial, changed, positions, documents=numbers)
        return (
            same(together[:, :behind], alone)
            and same(after[:, lengths[0] :], together[:, lengths[0] :])
            and not torch.equal(after[:, 0], together[:, 0])
        )

    # Masks that transformers makes of positions know about windows and chunks; faster attention has neither.
    ways: tuple[Packing, ...] = ("mask", "positions") if capabilities.accelerated else ("positions", "mask")
    for way in ways:
        trial = replace(capabilities, packing=way)
        if holds(lambda trial=trial: check(trial)):  # type: ignore[misc]
            return trial
    return replace(capabilities, packing="rows")


def padding(model: Any, capabilities: Capabilities) -> Capabilities:
    """Whether rows padded on the left have the hidden states that they have alone."""
    ids = tokens(model, rows=2)

    def check() -> bool:
        mask, positions = _left_padded(ids, 3)
        found = run(model, capabilities, ids, positions, mask=mask)
        alone = read(model, capabilities, ids[1:, 3:])
        return same(found[:1], read(model, capabilities, ids[:1])) and same(found[1:, 3:], alone)

    return replace(capabilities, pads=holds(check))


def caching(model: Any, capabilities: Capabilities) -> Capabilities:
    """Whether what was read can be kept, in steps and behind padding, with the hidden states of reading it all."""
    if not capabilities.cache_argument:
        return replace(capabilities, cache="none")
    ways: tuple[tuple[Caching, bool], ...] = (("shared", True), ("steps", True), ("steps", False))
    for way, masks_past in ways:
        trial = replace(capabilities, cache=way, masks_past=masks_past)
        cuts = ((0, 4), (4, 7), (7, 8), (8, 9)) if way == "shared" else ((0, 6), (6, 7), (7, 8), (8, 9))
        if not holds(lambda trial=trial, cuts=cuts: _cached(model, trial, cuts, 0)):  # type: ignore[misc]
            continue
        if not trial.pads or holds(lambda trial=trial, cuts=cuts: _cached(model, trial, cuts, 2)):  # type: ignore[misc]
            return trial
        if not masks_past:  # a cache is worth more than rows side by side
            return replace(trial, pads=False)
    return replace(capabilities, cache="none")


def _cached(model: Any, capabilities: Capabilities, cuts: tuple[tuple[int, int], ...], pads: int) -> bool:
    """Reading in pieces equals reading whole: two rows, of which the second is padded on the left of its first piece.

    Where pieces may be continued behind padding, the second row is padded again in front of its second piece. In the
    end the rows change places.
    """
    ids = tokens(model, rows=2 if capabilities.pads else 1)
    cache: Any = new_cache(model, capabilities)
    gaps = [pads if row else 0 for row in range(len(ids))]
    whole = [read(model, capabilities, ids[row : row + 1, gaps[row] :]) for row in range(len(ids))]
    mask = ids.new_zeros(len(ids), 0)
    done = [0] * len(ids)
    order = list(range(len(ids)))
    for number, (start, end) in enumerate(cuts):
        piece = ids[order, start:end]
        new = torch.ones_like(piece)
        positions = torch.stack([torch.arange(start - gaps[row], end - gaps[row]) for row in order]).clamp(min=0)
        for place, row in enumerate(order):
            if number == 0:
                new[place, : gaps[row]] = 0
        if capabilities.cache == "shared" and number == 1 and pads and len(ids) > 1:
            # A gap between what was shared and what follows: one more column of padding in the second row.
            piece = torch.cat([piece[:, :1], piece], dim=1)
            new = torch.cat([new[:, :1], new], dim=1)
            new[:, 0] = 0
            positions = torch.cat([positions[:, :1], positions], dim=1)
        mask = torch.cat([mask, new], dim=1)
        found = run(model, capabilities, piece, positions.to(ids.device), mask=mask, cache=cache)
        for place, row in enumerate(order):
            expected = whole[row][:, max(0, start - gaps[row]) : end - gaps[row]]
            if not same(found[place : place + 1, found.shape[1] - expected.shape[1] :], expected):
                return False
        done = [end] * len(ids)
        if number == len(cuts) - 3 and len(ids) > 1:
            index = torch.tensor([1, 0], device=ids.device)
            select_rows(cache, index)
            order, mask = [order[1], order[0]], mask[index]
    return bool(done)


def _left_padded(ids: Tensor, gap: int) -> tuple[Tensor, Tensor]:
    """Mask and positions of two rows, the second of which begins `gap` places later."""
    mask = torch.ones_like(ids)
    mask[1, :gap] = 0
    positions = torch.stack([torch.arange(ids.shape[1]), (torch.arange(ids.shape[1]) - gap).clamp(min=0)])
    return mask, positions.to(ids.device)
