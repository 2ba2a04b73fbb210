"""The rows of all processes together, with gradient."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from triptych import distributed


def gather_rows(mine: Tensor) -> tuple[Tensor, int]:
    """The rows `[N, ...]` of all processes, by rank, and where those `[M, ...]` of this one begin.

    Every process must call it; each may have another number of rows. The gradient of a row is the sum of what all
    processes have for it.
    """
    if distributed.world_size() == 1:
        return mine, 0
    sizes = [torch.zeros(1, dtype=torch.long, device=mine.device) for _ in range(distributed.world_size())]
    dist.all_gather(sizes, torch.tensor([len(mine)], device=mine.device))
    counts = [int(size) for size in sizes]
    return _Gather.apply(mine, counts), sum(counts[: distributed.rank()])  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mine: Tensor, counts: list[int]) -> Tensor:
        ctx.start, ctx.length = sum(counts[: distributed.rank()]), len(mine)
        padded = mine.new_zeros(max(counts), *mine.shape[1:])
        padded[: len(mine)] = mine
        found = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(found, padded)
        return torch.cat([rows[:count] for rows, count in zip(found, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.start : ctx.start + ctx.length], None
