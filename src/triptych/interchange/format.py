"""What a file of `systems/` says of a foreign system: the formats that runs are written in, and what is read as a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from triptych.interchange.chat import Reads, disagreement
from triptych.interchange.finished import Finished


@dataclass(frozen=True)
class Format:
    """One form of a trained run.

    Args:
        name: What `--format` takes.
        what: What is written, and what loads it.
        reasons: Yields a reason for everything of a run that the format cannot hold: `field: what, and what would fit`.
        write: Writes a run that fits into an empty folder, in files of weights of at most a size such as `5GB`; returns Python
            that loads what was written from `FOLDER`.
        reads: How transformers reads conversations from what was written, where it does.
        task: The model card's `pipeline_tag`; None where there is none.
        library: The model card's `library_name`.
    """

    name: str
    what: str
    reasons: Callable[[Finished], Iterator[str]]
    write: Callable[[Finished, Path, str], str]
    reads: Callable[[Path], Reads] | None = None
    task: str | None = None
    library: str = "transformers"

    def misfits(self, run: Finished) -> list[str]:
        """Everything of a run that this format cannot hold."""
        return list(self.reasons(run))

    def differs(self, run: Finished, folder: Path) -> str | None:
        """The first prompt that transformers reads otherwise from what was written than the run; None where there is none."""
        if self.reads is None:
            return None
        written = self.reads(folder)
        first = disagreement(run, written)
        return None if first is None else first.told(written.decode)


@dataclass(frozen=True)
class Contents:
    """What is read of a foreign model.

    Args:
        model: What the run's recipe says of the model.
        state: Weights by our names: those that are in no folder which the recipe names.
        recipe: What it says besides.
        notes: What a person should know.
    """

    model: dict[str, Any]
    state: dict[str, Tensor]
    recipe: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """A foreign model that is read as a run.

    Args:
        model_type: Of its configuration in transformers.
        name: What it is called.
        read: From its folder, the run's folder (its parts go into `parts/`), and `float32` or `bfloat16` (None: the precision
            of the weights). Raises ImportFailed where the model has something that ours do not have.
    """

    model_type: str
    name: str
    read: Callable[[Path, Path, str | None], Contents]
