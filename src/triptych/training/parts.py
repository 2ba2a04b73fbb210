"""What a stage trains and what it freezes, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import nn

from triptych.errors import TrainingError
from triptych.model.trainable import Trainable
from triptych.sequence.batch import StepBatch
from triptych.training.config import StageConfig

Trained: TypeAlias = dict[str, dict[str, nn.Parameter]]
"""Part → name → parameter, for what a stage trains."""


@dataclass(frozen=True)
class PartState:
    """One line of the table at the start of a stage.

    Args:
        part: Its name.
        parameters: How many it has.
        trained: How many of them are trained; 0 where it is frozen.
        precision: Of its parameters.
    """

    part: str
    parameters: int
    trained: int
    precision: str


def freeze(model: Trainable, stage: StageConfig) -> Trained:
    """Give gradients to exactly what the stage trains.

    Returns:
        Part → name → parameter, for the trained ones; a parameter named by two parts belongs to the first.

    Raises:
        TrainingError: A part has no parameters.
    """
    model.requires_grad_(False)
    trained: Trained = {}
    seen: set[int] = set()
    for part in stage.train:
        group = {name: parameter for name, parameter in model.part(part) if id(parameter) not in seen}
        if not group:
            raise TrainingError(f"stage {stage.name}: the part {part!r} has no parameters of its own to train")
        seen.update(map(id, group.values()))
        for parameter in group.values():
            parameter.requires_grad_(True)
        trained[part] = group
    return trained


@contextmanager
def teaching(model: Trainable, trained: Trained, parts: Sequence[str] | None) -> Iterator[None]:
    """While some conversations are read that teach only these of the trained parts; None is all of them."""
    if parts is None:
        yield
        return
    taught = {id(parameter) for part in parts for _, parameter in model.part(part)}
    others = [p for group in trained.values() for p in group.values() if id(p) not in taught]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def by_group(batch: StepBatch, groups: Mapping[str, Sequence[str]]) -> list[tuple[Sequence[str] | None, StepBatch]]:
    """A batch cut by what its rows teach: the parts, or None for all. A row holds conversations of one dataset."""
    if not groups:
        return [(None, batch)]
    rows: dict[tuple[str, ...] | None, list[int]] = {}
    for row, dataset in sorted({(document.row, document.dataset) for document in batch.conversations}):
        parts = groups.get(dataset)
        rows.setdefault(tuple(parts) if parts is not None else None, []).append(row)
    return [(parts, batch.rows(kept)) for parts, kept in rows.items()]


def describe_parts(model: Trainable) -> list[PartState]:
    """Every part of the model with its size, whether it is trained now, and its precision."""
    states = []
    for name in model.part_names:
        parameters = [parameter for _, parameter in model.part(name)]
        precisions = sorted({str(parameter.dtype).removeprefix("torch.") for parameter in parameters})
        states.append(
            PartState(
                name,
                sum(parameter.numel() for parameter in parameters),
                sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
                _precision(precisions, any(p.requires_grad for p in parameters)),
            )
        )
    return states


def _precision(precisions: list[str], trained: bool) -> str:
    text = ", ".join(precisions) or "—"
    return f"{text} (float32 master)" if trained and precisions == ["bfloat16"] else text


Mode = Literal["train", "eval"]


def set_mode(model: Trainable, trained: Trained, mode: Mode) -> None:
    """Training behaviour (dropout, batch statistics) only for modules that are trained, and only while training.

    A module without parameters, such as LoRA's dropout, goes with the one that holds it.
    """
    model.eval()
    if mode == "eval":
        return
    parameters = {id(parameter) for group in trained.values() for parameter in group.values()}
    for module in model.modules():
        learns = [id(parameter) in parameters for parameter in module.parameters()]
        if learns and all(learns):
            module.train()
        elif any(learns):
            for child in module.children():
                child.train(child.training or next(child.parameters(), None) is None)
