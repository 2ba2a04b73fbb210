"""The layers of any causal language model's decoder, and what is inside them, found by structure rather than by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from triptych.errors import RecipeError


def decoder_layers(model: Any) -> list[nn.Module]:
    """The layers, from the first to the last.

    Args:
        model: A `transformers` causal language model.

    Raises:
        RecipeError: It has no list of layers.
    """
    decoder, count = model.get_decoder(), model.config.num_hidden_layers
    found = getattr(decoder, "layers", None)
    if not isinstance(found, nn.ModuleList):
        lists = [module for module in decoder.modules() if isinstance(module, nn.ModuleList) and len(module) == count]
        found = lists[0] if lists else None
    if found is None or len(found) != count:
        raise RecipeError(
            f"model.fusion: {type(model).__name__} has no list of {count} layers, which layers could be inserted into; "
            "use `fusion: splice`"
        )
    return list(found)


def attention_of(layer: nn.Module) -> Any | None:
    """The one module of a layer that has projections of its own for keys and for values; None where there is none."""
    found = [module for module in layer.modules() if hasattr(module, "k_proj") and hasattr(module, "v_proj")]
    return found[0] if len(found) == 1 else None


def linear_layers(layer: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The linear layers of the pretrained model inside a layer, by name; not those that LoRA added."""
    for name, module in layer.named_modules():
        steps = name.split(".")
        if isinstance(module, nn.Linear) and not any(step.startswith("lora_") for step in steps):
            yield name.removesuffix(".base_layer"), module
