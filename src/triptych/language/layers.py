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


PROJECTIONS = (("k_proj", "v_proj"), ("key", "value"))
"""What attention calls its projections for keys and values; the second pair is BERT's."""


def attention_of(layer: nn.Module) -> Any | None:
    """The one module of a layer that has projections of its own for keys and for values; None where there is none."""
    modules = [module for module in layer.modules() if projections_of(module) is not None]
    return modules[0] if len(modules) == 1 else None


def projections_of(module: nn.Module) -> tuple[nn.Module, nn.Module] | None:
    """The projections for keys and for values of an attention module; None where it has none."""
    for names in PROJECTIONS:
        key, value = (getattr(module, name, None) for name in names)
        if isinstance(key, nn.Module) and isinstance(value, nn.Module):
            return key, value
    return None


def head_dim_of(attention: nn.Module) -> int:
    """Width of a head; 0 where the module does not say it."""
    return int(getattr(attention, "head_dim", 0) or getattr(attention, "attention_head_size", 0))


def linear_layers(layer: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The linear layers of the pretrained model inside a layer, by name; not those that LoRA added."""
    for name, module in layer.named_modules():
        steps = name.split(".")
        if isinstance(module, nn.Linear) and not any(step.startswith("lora_") for step in steps):
            yield name.removesuffix(".base_layer"), module
