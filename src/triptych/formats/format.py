"""A format of weights: their names to ours, and what else differs, as data that is read forwards and backwards.

    their state ─► rename ─► fuse, part ─► turn, drop dimensions ─► ours        and back

Names of ours are those of a dual encoder: `vision.…`, `text.…`, `logit_scale`, `logit_bias`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from triptych.errors import WeightsError
from triptych.weights.names import NameMap

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Parts:
    """One tensor that is the concatenation of several, along the first dimension.

    Args:
        whole: Its name; `{}` stands for a number, the same in all names.
        parts: Names of the pieces in order; None is a piece of zeros that is not kept.
        shares: Length of each piece as a share of the whole; by default all are equally long.
    """

    whole: str
    parts: tuple[str | None, ...]
    shares: tuple[int, ...] = ()


@dataclass(frozen=True)
class Format:
    """How some other project names and shapes the weights of one kind of model.

    Args:
        name: `transformers CLIP`.
        marks: Names that are there in this format, and together in no other.
        names: Their names to ours, but for those of pieces.
        fused: What they keep in pieces and we keep whole, by our names; the pieces' names are those that `names` gives.
        parted: What they keep whole and we keep in pieces; the whole's name is the one that `names` gives.
        turned: Our names of matrices that they keep transposed.
        wrapped: Our names of tensors that have more dimensions there, and how many of length one in front.
    """

    name: str
    marks: tuple[str, ...]
    names: NameMap
    fused: tuple[Parts, ...] = ()
    parted: tuple[Parts, ...] = ()
    turned: tuple[str, ...] = ()
    wrapped: Mapping[str, int] = field(default_factory=dict)

    def ours(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our state of theirs. Tensors may be views of theirs.

        Raises:
            WeightsError: A name is unknown, or a piece is missing.
        """
        found = self.names.ours(state)
        for parts in self.fused:
            _fuse(found, parts)
        for parts in self.parted:
            _part(found, parts)
        for name in self.turned:
            if name in found:
                found[name] = found[name].t()
        for name, dimensions in self.wrapped.items():
            if name in found:
                found[name] = found[name].reshape(found[name].shape[dimensions:])
        return {name: tensor.contiguous() for name, tensor in found.items()}

    def theirs(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Their state of ours.

        Raises:
            WeightsError: The format has no name for a tensor.
        """
        found = dict(state)
        for name, dimensions in self.wrapped.items():
            if name in found:
                found[name] = found[name].reshape((1,) * dimensions + tuple(found[name].shape))
        for name in self.turned:
            if name in found:
                found[name] = found[name].t()
        for parts in self.parted:
            _fuse(found, parts)
        for parts in self.fused:
            _part(found, parts)
        return {name: tensor.contiguous() for name, tensor in self.names.theirs(found).items()}


def prefixed(table: Mapping[str, str], theirs: str, ours: str) -> dict[str, str]:
    """A table of names with something in front of each."""
    return {f"{theirs}{their}": f"{ours}{our}" for their, our in table.items()}


def attention(theirs: str, ours: str, output: str = "out_proj") -> dict[str, str]:
    """Names of queries, keys, values and outputs of attention: `q_proj` and so on behind `theirs`."""
    names = {"q_proj": "query", "k_proj": "key", "v_proj": "value", output: "output"}
    return prefixed(names, theirs, ours)


def separate(*blocks: str, kinds: tuple[str, ...] = ("weight", "bias")) -> tuple[Parts, ...]:
    """Queries, keys and values of the attention of `blocks` in matrices of their own."""
    return tuple(
        Parts(
            f"{block}.attention.qkv.{kind}",
            tuple(f"{block}.attention.{part}.{kind}" for part in ("query", "key", "value")),
        )
        for block in blocks
        for kind in kinds
    )


def _fuse(state: dict[str, Tensor], rule: Parts) -> None:
    """Replace pieces by their whole."""
    import torch

    names = [part for part in rule.parts if part is not None]
    for number in _numbers(state, names[0]):
        pieces: list[Tensor | None] = []
        for part in rule.parts:
            name = part.format(*number) if part is not None else None
            if name is not None and name not in state:
                raise WeightsError(f"{names[0].format(*number)} is there, but {name} is not; the two belong together")
            pieces.append(state.pop(name) if name is not None else None)
        first = next(piece for piece in pieces if piece is not None)
        state[rule.whole.format(*number)] = torch.cat(
            [torch.zeros_like(first) if piece is None else piece for piece in pieces]
        )


def _part(state: dict[str, Tensor], rule: Parts) -> None:
    """Replace a whole by its pieces."""
    shares = rule.shares or (1,) * len(rule.parts)
    for number in _numbers(state, rule.whole):
        whole = state.pop(rule.whole.format(*number))
        unit, rest = divmod(len(whole), sum(shares))
        if rest:
            raise WeightsError(
                f"{rule.whole.format(*number)}: {len(whole)} rows cannot be cut into pieces of {':'.join(map(str, shares))}"
            )
        begin = 0
        for name, share in zip(rule.parts, shares, strict=True):
            if name is not None:
                state[name.format(*number)] = whole[begin : begin + share * unit]
            begin += share * unit


def _numbers(state: Mapping[str, Tensor], pattern: str) -> list[tuple[str, ...]]:
    """What stands for the `{}` of a name, for every name in a state that fits."""
    expression = re.compile(r"(\d+)".join(map(re.escape, pattern.split("{}"))))
    return [found.groups() for name in state if (found := expression.fullmatch(name))]
