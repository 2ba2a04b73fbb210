"""Several processes, one step: every rank plans the same batch, computes its share of the rows, and sums gradients.

Started by `torchrun`; a single process is rank 0 of 1 and pays nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Item = TypeVar("Item")


def start() -> None:
    """Join the process group that `torchrun` describes in the environment; nothing to do for a single process."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if cuda else "gloo")


def rank() -> int:
    """This process's number."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(items: Sequence[Item]) -> Sequence[Item]:
    """The items that this process computes: every `world_size`-th, from its rank."""
    return items[rank() :: world_size()]


def wait() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        dist.barrier()


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process, before there is a model with a device."""
    cuda = dist.is_initialized() and dist.get_backend() == "nccl"
    return any_rank(flag, torch.device("cuda" if cuda else "cpu"))


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process: all of them get the same answer."""
    if world_size() == 1:
        return flag
    flags = torch.tensor(float(flag), device=device)
    dist.all_reduce(flags)
    return bool(flags > 0)


def sum_over_ranks(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in place, so that all hold the same bits."""
    if world_size() == 1:
        return
    for tensor in tensors:
        dist.all_reduce(tensor)
