"""The formats that a run can be written in. Importable without torch: each names the module that writes it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.errors import TriptychError

if TYPE_CHECKING:
    from triptych.export.finished import Finished


class UnknownFormat(TriptychError):
    """There is no format of that name."""


@dataclass(frozen=True)
class Format:
    """One form of a trained run.

    Args:
        name: What `--format` takes.
        what: What is written, and what loads it.
        module: It has `misfits(run)`, which yields a reason for everything of a run that the format cannot hold, and
            `write(run, folder, options)`, which writes it. Where conversations can be had of what is written, it also has
            `reads(folder)`, which says how transformers reads them (`triptych.export.conversations`).
        task: The model card's `pipeline_tag`; None where there is none.
        library: The model card's `library_name`.
    """

    name: str
    what: str
    module: str
    task: str | None = None
    library: str = "transformers"

    def misfits(self, run: Finished) -> list[str]:
        """Everything of a run that this format cannot hold: `field: what, and what would fit`."""
        found: Iterator[str] = importlib.import_module(self.module).misfits(run)
        return list(found)

    def write(self, run: Finished, folder: Path, shard: str) -> str:
        """Write a run that fits.

        Args:
            run: The run.
            folder: An empty folder.
            shard: Size of a file of weights, such as `5GB`.

        Returns:
            Python that loads what was written from `FOLDER`.
        """
        loads: str = importlib.import_module(self.module).write(run, folder, shard)
        return loads

    def differs(self, run: Finished, folder: Path) -> str | None:
        """The first prompt that transformers reads otherwise from what was written than the run; None where there is none."""
        from triptych.export.conversations import disagreement

        reads = getattr(importlib.import_module(self.module), "reads", None)
        if reads is None:
            return None
        written = reads(folder)
        first = disagreement(run, written)
        return None if first is None else first.told(written.decode)


FORMATS: tuple[Format, ...] = (
    Format("llava", "LlavaForConditionalGeneration with its processor", "triptych.export.llava", "image-text-to-text"),
    Format("blip2", "Blip2ForConditionalGeneration with its processor", "triptych.export.blip2", "image-text-to-text"),
    Format(
        "instructblip",
        "InstructBlipForConditionalGeneration with its processor",
        "triptych.export.instructblip",
        "image-text-to-text",
    ),
    Format("clip", "CLIPModel with its processor", "triptych.export.clip", "zero-shot-image-classification"),
    Format("siglip", "SiglipModel with its processor", "triptych.export.siglip", "zero-shot-image-classification"),
    Format("hf-language", "the language model alone, LoRA merged", "triptych.export.hf_language", "text-generation"),
    Format("peft", "the language model's LoRA alone, for peft", "triptych.export.peft", "text-generation", "peft"),
    Format(
        "gguf-adapter", "the language model's LoRA alone, for llama.cpp", "triptych.export.gguf_adapter", None, "gguf"
    ),
)
"""All of them."""


def format_called(name: str) -> Format:
    """The format of a name.

    Raises:
        UnknownFormat: There is none; the message has the nearest one and all names.
    """
    found = {known.name: known for known in FORMATS}
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1, cutoff=0.4)
        listed = "\n".join(f"  {known.name}: {known.what}" for known in FORMATS)
        raise UnknownFormat(
            f"format {name!r} is not known{f'; did you mean {near[0]!r}?' if near else ''} Known are\n{listed}"
        )
    return found[name]
