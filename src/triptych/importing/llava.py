"""LLaVA (`LlavaForConditionalGeneration`) in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.encoders.huggingface import FAMILIES
from triptych.importing.parts import PLAIN, Parts, expect
from triptych.language.assembled import causal

ACTIVATIONS = {"gelu": "gelu", "silu": "silu", "swish": "silu", "relu": "relu", "linear": None}
"""Theirs to ours; None is none at all."""


def parts(model: Any, folder: Path, dtype: torch.dtype) -> Parts:  # noqa: ARG001 - others need the folder
    """The parts of a loaded model.

    Raises:
        ImportFailed: It has something that ours do not have.
    """
    config = model.config
    tower = config.vision_config
    layer, strategy = config.vision_feature_layer, config.vision_feature_select_strategy
    expect(isinstance(layer, int), f"features of several layers ({layer}) side by side")
    expect(tower.model_type in FAMILIES, f"a vision tower of type {tower.model_type!r} (known: {', '.join(FAMILIES)})")
    classes = FAMILIES[tower.model_type].cls
    expect(strategy == "full" or classes == 1, f"features `{strategy}` of a tower without a class token")
    activation = config.projector_hidden_act
    expect(activation in ACTIVATIONS, f"a projector with {activation!r} (known: {', '.join(ACTIVATIONS)})")
    inner, text = model.model, config.text_config
    text.tie_word_embeddings = config.tie_word_embeddings
    state = {f"model.{name}": tensor for name, tensor in inner.language_model.state_dict().items()}
    language = causal(text, {**state, "lm_head.weight": model.lm_head.weight.detach()}, dtype)

    first, second = inner.multi_modal_projector.linear_1, inner.multi_modal_projector.linear_2
    biases = [
        torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach() for layer in (first, second)
    ]
    adapter: dict[str, Any]
    if ACTIVATIONS[activation] is None:
        weight = second.weight.float() @ first.weight.float()
        bias = second.weight.float() @ biases[0].float() + biases[1].float()
        adapter, weights = {"kind": "linear", **PLAIN}, {"weight": weight, "bias": bias}
    else:
        adapter = {"kind": "mlp", "depth": 2, "activation": ACTIVATIONS[activation], **PLAIN}
        weights = {
            "0.weight": first.weight.detach(), "0.bias": biases[0], "2.weight": second.weight.detach(), "2.bias": biases[1]
        }  # fmt: skip
    return Parts(
        system="LLaVA",
        language=language,
        vision=inner.vision_tower,
        encoder={"layer": layer, "drop_cls": strategy != "full"},
        adapter=adapter,
        state={f"adapters.image.projection.{name}": tensor.float() for name, tensor in weights.items()},
        template="llava-v1",
    )
