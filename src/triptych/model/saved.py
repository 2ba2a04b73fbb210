"""What of a model a run keeps: all that was trained, the running statistics beside it, and all that comes from no weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from safetensors.torch import save_file
from torch import Tensor

from triptych.files import writing
from triptych.model.trainable import Trainable
from triptych.weights.accounting import fill


class Stage(Protocol):
    """What has to be known of a stage: the parts that it trains."""

    @property
    def train(self) -> Sequence[str]: ...


def names_of(model: Trainable, stages: Iterable[Stage]) -> set[str]:
    """The names of the parameters that stages train, of the parts that the model has."""
    names: set[str] = set()
    for part in dict.fromkeys(part for stage in stages for part in stage.train):
        with suppress(KeyError):  # of another model: its tensors then have no place in this one, which is said by name
            names.update(name for name, _ in model.part(part))
    return names


def kept_places(model: Trainable, trained: set[str]) -> dict[str, Tensor]:
    """The trained parameters, the buffers beside them (running statistics), and all of `saved`, by name."""
    beside = {name.rpartition(".")[0] for name in trained}
    places = _places(model)
    buffers = {name for name, _ in model.named_buffers() if name in places and name.rpartition(".")[0] in beside}
    return {
        name: place
        for name, place in places.items()
        if name in trained or name in buffers or name.startswith(model.saved)
    }


def kept_weights(model: Trainable, trained: set[str]) -> dict[str, Tensor]:
    """Copies on the CPU of what `kept_places` names."""
    return {name: place.detach().cpu().contiguous().clone() for name, place in kept_places(model, trained).items()}


def save_weights(model: Trainable, trained: set[str], path: Path) -> None:
    """Write what a run keeps; the file appears whole or not at all.

    Raises:
        FolderError: It cannot be written, or the run's folder is gone.
    """
    work = path.with_name(f".{path.name}")
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        save_file(kept_weights(model, trained), work)
        work.replace(path)


def load_weights(
    model: Trainable, trained: set[str], tensors: Mapping[str, Tensor], where: str, may_lack: Sequence[str] = ()
) -> None:
    """Put what a run kept in place.

    Args:
        model: Changed.
        trained: Names of the parameters that were trained.
        tensors: What was kept, by name.
        where: Where it comes from, for the message.
        may_lack: Patterns of what need not be there.

    Raises:
        WeightsError: A tensor is missing, has no place in the model, or is of another shape; nothing is changed then.
    """
    places = kept_places(model, trained)
    beside = {name: place for name, place in _places(model).items() if name in tensors}
    hint = "These weights belong to another model than this recipe's, or the file has lost some"
    fill({**places, **beside}, tensors, where, may_lack=may_lack, hint=hint)


def _places(model: Trainable) -> dict[str, Tensor]:
    """All parameters and the buffers that belong to the state of a model."""
    state = model.state_dict()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in state}
    return {**dict(model.named_parameters()), **buffers}
