"""Measuring a model's own code on the meta device: FLOPs and kept bytes, of a whole computation or part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.flop_counter import FlopCounterMode

from triptych.encoders.encoder import Encoder
from triptych.encoders.precision import resolve
from triptych.planner.activations import FusedAttention, KeptBytes, SpelledOutAttention
from triptych.planner.devices import DeviceSpec

T = TypeVar("T")


class Parts(Protocol):
    """Runs the parts of a step, each under its name, and answers what they answer."""

    def __call__(self, name: str, run: Callable[[], T]) -> T:
        """What `run` answers."""
        ...


class CountedParts:
    """FLOPs of a step part by part, forward and backward.

    Every part hands copies without history on to the next, so that its share of the gradient is computed by itself:
    together the parts compute what the whole does, which tests hold against the real objectives.
    """

    def __init__(self) -> None:
        self.flops: dict[str, int] = {}
        self._cuts: list[tuple[str, list[tuple[Tensor, Tensor]]]] = []

    def __call__(self, name: str, run: Callable[[], T]) -> T:
        """What `run` answers, its tensors cut off."""
        found = self._counted(name, run)
        leaves, structure = tree_flatten(found)
        cut = [
            leaf.detach().requires_grad_(leaf.requires_grad) if isinstance(leaf, Tensor) else leaf for leaf in leaves
        ]
        self._cuts.append((name, [(own, new) for own, new in zip(leaves, cut, strict=True) if isinstance(own, Tensor)]))
        handed: T = tree_unflatten(cut, structure)
        return handed

    def backward(self, loss: Tensor) -> dict[str, int]:
        """The FLOPs of all parts, once the gradient of the step's loss has gone through them, last part first."""
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        for name, tensors in reversed(self._cuts):
            reached = [(own, new.grad) for own, new in tensors if new.grad is not None]
            if reached:
                owns, gradients = zip(*reached, strict=True)
                self._counted(name, partial(torch.autograd.backward, owns, gradients))
        return self.flops

    def _counted(self, name: str, run: Callable[[], T]) -> T:
        with FlopCounterMode(display=False) as counter:
            found = run()
        self.flops[name] = self.flops.get(name, 0) + int(counter.get_total_flops())
        return found


class KeptParts:
    """Bytes that autograd keeps of a step, by the part that keeps them first.

    Args:
        known: Tensors that are there anyway, such as parameters.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        self._bytes = KeptBytes(known)
        self.bytes: dict[str, int] = {}

    def __call__(self, name: str, run: Callable[[], T]) -> T:
        """What `run` answers."""
        before = self._bytes.total
        with self._bytes:
            found = run()
        self.bytes[name] = self.bytes.get(name, 0) + self._bytes.total - before
        return found


def attention(device: DeviceSpec, by_products: bool, dropout: bool) -> AbstractContextManager[Any]:
    """Attention as a device computes it, for counting bytes.

    Args:
        device: Which one.
        by_products: Whether the model's code spells the scores out on the CPU.
        dropout: Whether attention weights are dropped: no fused kernel of the CPU does that.
    """
    if not device.is_cpu:
        return FusedAttention()
    if by_products:
        return SpelledOutAttention()
    return nullcontext() if dropout else FusedAttention()


def counted_flops(run: Callable[[], Any]) -> int:
    """Forward alone."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return int(counter.get_total_flops())


def learned_flops(run: Callable[[], Tensor], again: bool = False) -> int:
    """Forward, and as far backward as something learns; forward once more where that is computed again."""
    with FlopCounterMode(display=False) as counter:
        out = run()
        if out.requires_grad:
            out.float().sum().backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops()) + (counted_flops(run) if again and out.requires_grad else 0)


def in_bfloat16(device: DeviceSpec) -> bool:
    """Whether `precision: auto` is bfloat16 there: on every accelerator, and on this CPU where it gains by it."""
    return not device.is_cpu or resolve("auto") == torch.bfloat16


def rate(module: nn.Module, device: DeviceSpec) -> float:
    """FLOP/s in the precision that a module computes in: that of its largest parameter."""
    largest = max(module.parameters(), key=lambda parameter: parameter.numel())
    return device.bfloat16 if largest.dtype.itemsize == 2 else device.float32


def feature_bytes(encoder: nn.Module) -> float:
    """Of one picture in the feature cache."""
    assert isinstance(encoder, Encoder)
    return float(encoder.usual_tokens * encoder.dim * encoder.dtype.itemsize)


def empty_features(encoder: Encoder, pictures: int) -> Tensor:
    """Features `[N, T, D]` of pictures, of which only the shape is real."""
    return torch.empty(pictures, encoder.usual_tokens, encoder.dim, dtype=encoder.dtype, device="meta")


def empty_pixels(size: int, pictures: int) -> Tensor:
    """The same of pixels `[N, 3, size, size]`."""
    return torch.empty(pictures, 3, size, size, dtype=torch.uint8, device="meta")
