"""Matrix products of a computation on the meta device, told apart by whether a parameter takes part.

A product with a parameter costs as much per token however long the row is, and its gradient may be needed twice (of the
input, of the parameter). A product of activations is attention, or the mixing of a state-space layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

NO_WEIGHTS = frozenset({torch.ops.aten.embedding.default})
"""Operations that make activations out of parameters alone."""


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """FLOPs of all products while this is entered.

    Args:
        groups: Name → parameters. What is made of parameters alone (a cast, one expert of a stack) counts as they do.
    """

    def __init__(self, groups: Mapping[str, Iterable[nn.Parameter]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights: dict[str, float] = dict.fromkeys(groups, 0)
        self.activations = 0.0
        self.calls = 0
        self._group: dict[int, str] = {}
        self._held: list[Any] = []  # storages, so that their addresses are not used again
        for name, parameters in groups.items():
            for parameter in parameters:
                self._mark(parameter, name)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self.calls += 1
        tensors = [
            leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.is_floating_point()
        ]
        owners = [self._group.get(tensor.untyped_storage()._cdata) for tensor in tensors]
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self._add(next((owner for owner in owners if owner is not None), None), count(*args, **kwargs, out_val=out))
        elif owners and None not in owners and func not in NO_WEIGHTS:
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor):
                    self._mark(leaf, owners[0] or "")
        return out

    def _add(self, owner: str | None, flops: float) -> None:
        if owner is None:
            self.activations += flops
        else:
            self.weights[owner] += flops

    def _mark(self, tensor: Tensor, name: str) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._group:
            self._group[storage._cdata] = name
            self._held.append(storage)


def counted(run: Callable[[], Any], groups: Mapping[str, Iterable[nn.Parameter]]) -> Products:
    """The products of `run`, forward."""
    products = Products(groups)
    with torch.no_grad(), products:
        run()
    return products
