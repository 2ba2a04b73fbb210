"""The language model inside a checkpoint of several parts (Gemma 3, Mistral 3, LLaVA, PaliGemma, InternVL …).

config.json ──► text configuration ──► its own causal class
tensors     ──► model.language_model.layers… | language_model.model.layers… ──► model.layers…
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from triptych.errors import RecipeError, WeightsError
from triptych.files import read_object


@dataclass(frozen=True)
class TextPart:
    """The language model of a configuration.

    Args:
        config: Its own configuration.
        renaming: Patterns of a checkpoint's names to those of the language model alone; empty where it stands alone.
        others: Glob patterns of the tensors of the other parts.
    """

    config: Any
    renaming: dict[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def is_part(folder: Path) -> bool:
    """Whether the language model of a folder in the hub's format is a part of a larger one."""
    config = folder / "config.json"
    return config.is_file() and "text_config" in read_object(config, WeightsError)


def text_config(config: Any) -> Any:
    """The configuration of the language model alone; the same where it stands alone.

    Raises:
        RecipeError: Transformers has no causal class for the text part by itself.
    """
    from transformers import AutoModelForCausalLM

    inner = config.get_text_config(decoder=True)
    if inner is config:
        return config
    if type(inner) not in AutoModelForCausalLM._model_mapping:
        if type(config) in AutoModelForCausalLM._model_mapping:
            return config
        raise RecipeError(
            f"model.language: {config.model_type!r} holds a language model of type {inner.model_type!r}, for which "
            "transformers has no causal class of its own; take a model whose text part stands alone"
        )
    own = copy.deepcopy(inner)
    own.tie_word_embeddings = getattr(config, "tie_word_embeddings", own.tie_word_embeddings)
    if getattr(own, "use_bidirectional_attention", None):
        own.use_bidirectional_attention = False  # PaliGemma's prompts, pictures among them, are read in both directions
    return own


def text_part(config: Any) -> TextPart:
    """The language model of a configuration, and how its tensors are called in a checkpoint of the whole.

    Raises:
        RecipeError: It has none that stands alone.
    """
    from transformers import AutoModel, AutoModelForCausalLM

    own = text_config(config)
    if own is config or type(own) is type(config):
        return TextPart(own)
    with torch.device("meta"):
        whole, alone = AutoModel.from_config(config), AutoModelForCausalLM.from_config(own)
    decoder = whole.get_decoder()
    inside = next(name for name, module in whole.named_modules() if module is decoder)
    place = next((name for name, module in alone.named_modules() if name and type(module) is type(decoder)), "")
    # Checkpoints of older versions have the whole causal model in the decoder's place, its head included.
    head = next(name for name, module in alone.named_modules() if module is alone.get_output_embeddings())
    before, after = rf"^(?:model\.)?{re.escape(inside)}\.", f"{place}." if place else ""
    renaming = {rf"{before}{re.escape(head)}\.": f"{head}.", rf"{before}(?:{re.escape(after)})?": after}
    others = [name for name, _ in whole.named_children() if name != inside.split(".")[0]]
    return TextPart(own, renaming, tuple(f"*{name}.*" for name in others))
