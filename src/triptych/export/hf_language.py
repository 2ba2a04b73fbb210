"""The language model alone, LoRA merged, as a folder for `AutoModelForCausalLM`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triptych.export.conversations import Reads, tokenizer_at
from triptych.export.finished import Finished
from triptych.export.language import misfits_of_language, plain, save_generation, tokenizer_for
from triptych.families.composed.config import ModelConfig
from triptych.fusion.config import CrossAttendConfig, PromptConfig


def misfits(run: Finished) -> Iterator[str]:
    """What of a run this folder cannot hold."""
    yield from misfits_of_language(run)
    model = run.recipe.model
    if isinstance(model, ModelConfig) and isinstance(model.fusion, PromptConfig | CrossAttendConfig):
        trained = sorted({name.split(".")[1] for name in run.learnt if name.startswith("fusion.")})
        yield (
            f"model.fusion: {model.fusion.kind!r} put layers into the language model ({', '.join(trained)}), which its own "
            "class has not"
        )


def write(run: Finished, folder: Path, shard: str) -> str:
    """Write it; what a composed run has beside the language model is left out on purpose."""
    assert run.language is not None
    plain(run.language, run.dtype).save_pretrained(folder, max_shard_size=shard)
    tokenizer = tokenizer_for(run)
    tokenizer.save_pretrained(folder)
    save_generation(folder, tokenizer, (run.language.template.end[-1],))
    return (
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        "model = AutoModelForCausalLM.from_pretrained(FOLDER)\n"
        "tokenizer = AutoTokenizer.from_pretrained(FOLDER)"
    )


def reads(folder: Path) -> Reads:
    """How transformers reads conversations from what was written."""
    return tokenizer_at(folder)
