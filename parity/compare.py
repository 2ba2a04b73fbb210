"""Checks out of tensors: ours beside theirs, and a whole module in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from parity.check import BOUND, Check
from parity.tiny.weights import draw_normal

T = TypeVar("T")

Numbers = Tensor | Sequence[Tensor]

Outputs = Callable[[], Iterable[tuple[str, Tensor, Tensor]]]
"""Runs both and gives what is compared, our numbers, and theirs."""


class Names(Protocol):
    """Names of tensors in both directions, as `NameMap` and `Format` have them."""

    def ours(self, state: Any, /) -> dict[str, Any]:
        """Our names for their tensors."""

    def theirs(self, state: Any, /) -> dict[str, Any]:
        """Their names for our tensors."""


def compare(what: str, reference: str, ours: Numbers, theirs: Numbers, bound: float = BOUND) -> Check:
    """A check of the largest difference of two tensors, or of several.

    Raises:
        ValueError: The shapes differ, or the number of tensors.
    """
    return Check(what, reference, largest_difference(ours, theirs), bound)


def largest_difference(ours: Numbers, theirs: Numbers) -> float:
    """The largest absolute difference of two tensors of one shape, or of several such pairs, in float64.

    Raises:
        ValueError: The shapes differ, or the number of tensors.
    """
    if not isinstance(ours, Tensor) or not isinstance(theirs, Tensor):
        return max(largest_difference(mine, other) for mine, other in zip(ours, theirs, strict=True))
    if ours.shape != theirs.shape:
        raise ValueError(f"shapes differ: {tuple(ours.shape)} and {tuple(theirs.shape)}")
    return float((ours.detach().double() - theirs.detach().double()).abs().max())


@torch.no_grad()
def both_ways(
    what: str,
    reference: str,
    ours: nn.Module,
    theirs: nn.Module,
    names: Names,
    outputs: Outputs,
    own: tuple[str, ...] = (),
    draw: Callable[[nn.Module, int], object] = draw_normal,
) -> Iterator[Check]:
    """Compare with weights of theirs copied to ours, then with weights of ours copied to theirs.

    Args:
        what: Is compared.
        reference: With what.
        ours: Our module.
        theirs: The reference.
        names: Their names to ours, and back.
        outputs: Runs both.
        own: Beginnings of our names that the reference has no counterpart of; the scale of an output never has one.
        draw: Gives a module random weights by a seed.

    Raises:
        ValueError: A tensor has no counterpart.
    """

    def shared(state: Mapping[str, T]) -> dict[str, T]:
        return {name: tensor for name, tensor in state.items() if name.split(".")[0] not in (*own, "scale")}

    draw(ours.eval(), 0)
    draw(theirs.eval(), 1)
    keys = ours.load_state_dict(names.ours(theirs.state_dict()), strict=False)
    if (missing := [*shared(dict.fromkeys(keys.missing_keys))]) or keys.unexpected_keys:
        raise ValueError(f"{what}: {missing} have no counterpart, {keys.unexpected_keys} do not exist")
    for part, mine, other in outputs():
        yield compare(f"{what}: {part}, their weights", reference, mine, other)
    draw(ours, 2)
    theirs.load_state_dict(names.theirs(shared(ours.state_dict())))
    for part, mine, other in outputs():
        yield compare(f"{what}: {part}, our weights", reference, mine, other)
