"""The layers of any causal language model's decoder, and what is inside them, found by structure rather than by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from torch import nn

from triptych.errors import RecipeError


def decoder_of(model: Any) -> Any:
    """The part of a causal language model of transformers that makes hidden states of embeddings.

    Raises:
        RecipeError: It has none.
    """
    named = model.get_decoder()
    if named is not model and _reads_embeddings(type(named).forward):
        return named
    for module in (model.base_model, *model.children()):  # some classes name themselves, or their head
        if module is not model and _reads_embeddings(type(module).forward):
            return module
    raise RecipeError(f"model.language: {type(model).__name__} has no decoder that reads embeddings")


@cache
def _reads_embeddings(forward: Callable[..., Any]) -> bool:
    return "inputs_embeds" in inspect.signature(forward).parameters


def decoder_layers(model: Any) -> list[nn.Module]:
    """The layers, from the first to the last.

    Args:
        model: A `transformers` causal language model.

    Raises:
        RecipeError: It has no list of layers.
    """
    decoder = decoder_of(model)
    count = model.config.get_text_config(decoder=True).num_hidden_layers
    found = getattr(decoder, "layers", None)
    if not isinstance(found, nn.ModuleList):
        lists = [module for module in decoder.modules() if isinstance(module, nn.ModuleList) and len(module) == count]
        found = lists[0] if lists else None
    if found is None:
        raise RecipeError(f"{type(model).__name__} has no list of {count} layers")
    return list(found)


def hidden_size(model: Any) -> int:
    """Width of what the layers read, by the configuration; the probe checks it."""
    return int(model.config.get_text_config(decoder=True).hidden_size)


def heads_of(model: Any) -> int:
    """How many query heads the decoder's attention has, by the configuration; 0 where that does not say."""
    config = model.config.get_text_config(decoder=True)
    names = ("decoder_attention_heads", "num_attention_heads")  # of an encoder and decoder, the second is the encoder's
    return next((int(count) for name in names if (count := getattr(config, name, None))), 0)


def linear_layers(layer: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The linear layers of the pretrained model inside a layer, by name; not those that LoRA added."""
    for name, module in layer.named_modules():
        steps = name.split(".")
        if isinstance(module, nn.Linear) and not any(step.startswith("lora_") for step in steps):
            yield name.removesuffix(".base_layer"), module
