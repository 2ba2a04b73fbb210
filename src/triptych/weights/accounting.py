"""Every tensor is accounted for: what is missing, unexpected or of another shape is an error with its name.

    places of a module ─┐
    tensors of files ───┴─► Difference ─► less what the caller allows by name ─► empty, or WeightsError ─► copied

A caller states what it allows as glob patterns (`text_model.*`): `may_lack` for places that need no tensor, `may_have`
for tensors that need no place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from triptych.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

SHOWN = 5
"""Names of a kind that a message shows."""

OLD_BUFFERS = (
    "*.position_ids",
    "position_ids",
    "*.rotary_emb.inv_freq",
    "*.attn.masked_bias",
    "*.attention.masked_bias",
)
"""Buffers that older versions of libraries saved and that follow from a model's shape."""


@dataclass(frozen=True)
class Difference:
    """How tensors differ from the places that they are for.

    Args:
        missing: Places without a tensor.
        unexpected: Tensors without a place.
        mismatched: Tensors of another shape or kind than their place, by name; the value says how.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: Mapping[str, str] | None = None

    def without(self, may_lack: Sequence[str] = (), may_have: Sequence[str] = ()) -> Difference:
        """The same without what is allowed."""
        return Difference(
            tuple(name for name in self.missing if not matches(name, may_lack)),
            tuple(name for name in self.unexpected if not matches(name, may_have)),
            self.mismatched,
        )

    def require_none(self, where: str, hint: str = "") -> None:
        """Return where there is no difference.

        Args:
            where: What was loaded, in front of the message.
            hint: What to try, behind it.

        Raises:
            WeightsError: There is one; the message counts and names.
        """
        mismatched = [f"{name} {how}" for name, how in sorted((self.mismatched or {}).items())]
        said = [
            f"{said.format(len(names), '' if len(names) == 1 else 's', 'is' if len(names) == 1 else 'are')} ({_some(names)})"
            for said, names in (
                ("{} tensor{} {} missing", sorted(self.missing)),
                ("the model has no place for {} tensor{}", sorted(self.unexpected)),
                ("{} tensor{} {} of another shape or kind", mismatched),
            )
            if names
        ]
        if said:
            raise WeightsError(f"{where}: {'; '.join(said)}{f'. {hint}' if hint else ''}")


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of the glob patterns; a `*` also stands for dots."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def difference(places: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Difference:
    """How given tensors differ from places. Of several names of one tensor (tied weights) one has to be given.

    Args:
        places: Parameters and buffers by name; one object under several names where they are tied.
        given: Tensors by the same names.
    """
    filled = {id(places[name]) for name in given if name in places}
    mismatched = {name: how for name in given if name in places and (how := mismatch(places[name], given[name]))}
    return Difference(
        tuple(name for name, place in places.items() if id(place) not in filled),
        tuple(name for name in given if name not in places),
        {**mismatched, **_disagreeing(places, given)},
    )


def mismatch(place: Tensor, tensor: Tensor) -> str | None:
    """How a tensor does not fit its place; None where it fits. Any floating precision fits any other."""
    if place.shape != tensor.shape:
        return f"{tuple(tensor.shape)} instead of {tuple(place.shape)}"
    if place.is_floating_point() != tensor.is_floating_point() or place.is_complex() != tensor.is_complex():
        return f"{_word(tensor)} instead of {_word(place)}"
    return None


def places_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers of a module by name; tied ones are one object under several names."""
    return dict(module.state_dict(keep_vars=True))


def fill(
    places: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    where: str,
    *,
    may_lack: Sequence[str] = (),
    may_have: Sequence[str] = (),
    hint: str = "",
) -> None:
    """Copy tensors into their places, in the places' precision and on their device, after all are accounted for.

    Args:
        places: As `places_of` gives them.
        given: Tensors by the same names.
        where: Where the tensors come from, for the message.
        may_lack: Patterns of places that need no tensor.
        may_have: Patterns of tensors that need no place.
        hint: What to try, for the message.

    Raises:
        WeightsError: A tensor is missing, unexpected, or of another shape; nothing is changed then.
    """
    import torch

    difference(places, given).without(may_lack, may_have).require_none(where, hint)
    with torch.no_grad():
        for name, place in places.items():
            if name in given:
                place.copy_(given[name])


def _disagreeing(places: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, str]:
    """Tensors given twice for one place, with other values."""
    import torch

    first: dict[int, str] = {}
    found = {}
    for name, place in places.items():
        if name not in given:
            continue
        other = first.setdefault(id(place), name)
        if other != name and given[other].shape == given[name].shape and not torch.equal(given[other], given[name]):
            found[name] = f"differs from {other}, with which it is one tensor"
    return found


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _word(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
