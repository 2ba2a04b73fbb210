"""The language model alone, LoRA merged, as a folder for `AutoModelForCausalLM`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triptych.families.composed.config import ModelConfig
from triptych.fusion.config import CrossAttendConfig, PromptConfig
from triptych.interchange.chat import tokenizer_at
from triptych.interchange.finished import Finished
from triptych.interchange.format import Format
from triptych.interchange.language import (
    causal,
    exported_tokenizer,
    merged_state,
    plain_config,
    save_generation,
)
from triptych.interchange.misfits import misfits_of_language


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
    state = merged_state(run.language, run.dtype)
    causal(plain_config(run.language), state, run.dtype).save_pretrained(folder, max_shard_size=shard)
    tokenizer = exported_tokenizer(run.language.template)
    tokenizer.save_pretrained(folder)
    save_generation(folder, tokenizer, run.language.template)
    return (
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        "model = AutoModelForCausalLM.from_pretrained(FOLDER)\n"
        "tokenizer = AutoTokenizer.from_pretrained(FOLDER)"
    )


FORMATS = (
    Format("hf-language", "the language model alone, LoRA merged", misfits, write, tokenizer_at, "text-generation"),
)
