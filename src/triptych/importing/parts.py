"""What is found in a foreign model: its parts, as a run of ours has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

from triptych.errors import TriptychError
from triptych.grounding.config import TextRegionsConfig
from triptych.grounding.formats.build import build_format
from triptych.language.new_tokens import new_names


class ImportFailed(TriptychError):
    """A folder holds no model that a run could be made of, or one with something that ours do not have."""


@dataclass(frozen=True)
class Parts:
    """A model taken apart.

    Args:
        system: What it is.
        language: The language model, a causal one of transformers.
        vision: The vision tower, a model of transformers that an encoder of `kind: huggingface` reads.
        encoder: What the recipe says of it beside kind and weights.
        adapter: What the recipe says of the adapter.
        state: Weights of adapter and fusion, by the names of a composed model.
        fusion: What the recipe says of the fusion.
        template: The chat template that the system is asked in, where its folder does not say.
        regions: What the recipe says of regions, of a system that points.
        tokenizers: Folders of more tokenizers, by the name that they get.
        notes: What a person should know.
    """

    system: str
    language: Any
    vision: Any
    encoder: dict[str, Any]
    adapter: dict[str, Any]
    state: dict[str, Tensor]
    fusion: dict[str, Any] = field(default_factory=lambda: {"kind": "splice"})
    template: str | None = None
    regions: dict[str, Any] | None = None
    tokenizers: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


PLAIN = {"normalise": False, "positions": False, "output_scale": None}
"""An adapter with nothing around it."""


def expect(good: bool, what: str) -> None:
    """Refuse a model that has something which ours do not have."""
    if not good:
        raise ImportFailed(f"it cannot be imported: {what}")


def widened(weight: Tensor, columns: int) -> Tensor:
    """A matrix that takes more channels, and does nothing with those that are new."""
    return pad(weight, (0, columns - weight.shape[1]))


def identity(rows: int, columns: int) -> Tensor:
    """A matrix that changes nothing and puts zeros behind what it takes."""
    return nn.init.eye_(nn.Linear(columns, rows, bias=False).weight.detach().clone())


def fit_of(pictures: Mapping[str, Any]) -> str:
    """How pictures become square there."""
    if pictures.get("do_pad"):
        return "pad"
    size = pictures.get("size")
    shortest = isinstance(size, int) or (isinstance(size, dict) and "shortest_edge" in size)
    return "crop" if pictures.get("do_center_crop") and shortest else "squash"


def regions_of(regions: dict[str, Any] | None, tokenizer: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """The recipe's `regions`, and notes: none where the tokenizer has not got the tokens that they are written in."""
    if regions is None:
        return None, []
    lacking = new_names(tokenizer, build_format(TextRegionsConfig(**regions)).tokens)
    if lacking:
        return None, [f"it does not point: the tokenizer has no {lacking[0]} and {len(lacking) - 1} more of its tokens"]
    return regions, []
