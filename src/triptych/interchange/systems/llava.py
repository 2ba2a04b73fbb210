"""LLaVA (`LlavaForConditionalGeneration`): a vision tower, a projector, a language model. Both directions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from triptych.adapters.config import MLPConfig
from triptych.adapters.grid import GridAdapter
from triptych.encoders.huggingface import FAMILIES
from triptych.families.composed.config import ModelConfig
from triptych.interchange.chat import processor_at
from triptych.interchange.errors import expect
from triptych.interchange.finished import Finished
from triptych.interchange.format import Format, System
from triptych.interchange.language import (
    add_token,
    causal,
    exported_tokenizer,
    image_token_for,
    language_with_room,
    save_system,
)
from triptych.interchange.misfits import misfits_of_adapter, misfits_of_composed, untied_head
from triptych.interchange.parts import PLAIN, Parts, composed
from triptych.interchange.towers import misfits_of_tower, tower_of
from triptych.model.composed import MultimodalModel

CLASS = "LlavaForConditionalGeneration"

ACTIVATIONS = {"gelu": "gelu", "silu": "silu", "swish": "silu", "relu": "relu", "linear": None}
"""Theirs to ours; None is none at all."""

TOWERS = ("clip_vision_model", "siglip_vision_model", "dinov2")
"""Model types of towers with one class token or none, whose hidden states are what Triptych calls them."""


def misfits(run: Finished) -> Iterator[str]:
    """What of a run LLaVA cannot hold."""
    yield from misfits_of_composed(run, "LLaVA")
    if not isinstance(run.model, MultimodalModel) or run.language is None:
        return
    yield from untied_head(run.language)
    tower = list(misfits_of_tower(run, TOWERS))
    yield from tower if tower else _layer(run)
    if run.model.adapters:
        yield from _adapter(run.model.adapter("image"))


def _layer(run: Finished) -> Iterator[str]:
    tower = tower_of(run)
    if tower.normed:
        yield (
            "model.encoders.image.layer: `output` goes through the tower's last normalisation, and LLaVA takes hidden "
            "states in front of it; -1 and -2 do"
        )
    if tower.kept and not tower.classes:
        yield "model.encoders.image.drop_cls: false, and the tower has no class token"


def _adapter(adapter: nn.Module) -> Iterator[str]:
    where = "model.adapters.image"
    if not isinstance(adapter, GridAdapter):
        yield f"{where}: LLaVA's projector is a linear layer or an MLP of two; `linear` and `mlp` without markers are"
        return
    if not isinstance(adapter.norm, nn.Identity):
        yield f"{where}.normalise: true; LLaVA's projector has no normalisation in front"
    yield from misfits_of_adapter(adapter, "LLaVA")
    layers = linear_layers(adapter)
    if len(layers) > 2:
        yield f"{where}.depth: {len(layers)}; LLaVA's projector has two layers"
    if len(layers) == 2 and layers[0].out_features > adapter.language_dim:
        yield f"{where}.hidden: {layers[0].out_features} is more than the language model's width {adapter.language_dim}"


def linear_layers(adapter: GridAdapter) -> list[nn.Linear]:
    """The linear layers of an adapter in order."""
    return [module for module in adapter.projection.modules() if isinstance(module, nn.Linear)]


def projector(adapter: GridAdapter) -> dict[str, Tensor]:
    """The weights of LLaVA's two layers, which compute what the adapter does.

    The constant scale goes into the last layer, a narrower middle is filled up with zeros, and a single linear layer is
    followed by one that changes nothing.
    """
    width, scale = adapter.language_dim, adapter.scale
    layers = linear_layers(adapter)
    if len(layers) == 1:
        first, second = (layers[0].weight * scale, layers[0].bias * scale), (torch.eye(width), torch.zeros(width))
    else:
        missing = width - layers[0].out_features
        first = (pad(layers[0].weight, (0, 0, 0, missing)), pad(layers[0].bias, (0, missing)))
        second = (pad(layers[1].weight, (0, missing)) * scale, layers[1].bias * scale)
    named = (("linear_1", first), ("linear_2", second))
    return {f"{name}.{kind}": t for name, pair in named for kind, t in zip(("weight", "bias"), pair, strict=True)}


def write(run: Finished, folder: Path, shard: str) -> str:
    """Write it."""
    from transformers import LlavaConfig
    from transformers.models.llava.processing_llava import LlavaProcessor

    model = run.recipe.model
    assert isinstance(run.model, MultimodalModel) and isinstance(model, ModelConfig) and run.language is not None
    adapter, tower, options = run.model.adapter("image"), tower_of(run), model.adapters.image
    assert isinstance(adapter, GridAdapter)
    activation = options.activation if isinstance(options, MLPConfig) and len(linear_layers(adapter)) == 2 else None
    image_token = image_token_for(run.language.template)
    tokenizer = exported_tokenizer(run.language.template, image_token)
    image = add_token(tokenizer, image_token)
    text, language = language_with_room(run.language, image, run.dtype)
    base = f"{run.language.model.base_model_prefix}."
    strategy = "default" if tower.classes and not tower.kept else "full"
    patch = int(tower.config.patch_size)
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=text,
        image_token_index=image,
        image_seq_length=(run.model.encoder("image").preparation.size // patch) ** 2 + tower.kept * tower.classes,
        projector_hidden_act=next(theirs for theirs, ours in ACTIVATIONS.items() if ours == activation),
        vision_feature_layer=-1 if tower.layer == "output" else int(tower.layer),
        vision_feature_select_strategy=strategy,
        tie_word_embeddings=text.tie_word_embeddings,
    )
    state = {
        **{f"model.vision_tower.{name}": tensor for name, tensor in tower.state.items()},
        **{f"model.multi_modal_projector.{name}": tensor for name, tensor in projector(adapter).items()},
        **{
            f"model.language_model.{name.removeprefix(base)}" if name.startswith(base) else "lm_head.weight": tensor
            for name, tensor in language.items()
        },
    }
    processor = LlavaProcessor(
        image_processor=tower.processor,
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy=strategy,
        image_token=image_token,
        num_additional_image_tokens=tower.classes,
        chat_template=tokenizer.chat_template,
    )
    save_system(run, folder, shard, config, CLASS, state, processor, image)
    return (
        f"from transformers import AutoProcessor, {CLASS}\n\n"
        f"model = {CLASS}.from_pretrained(FOLDER)\n"
        "processor = AutoProcessor.from_pretrained(FOLDER)"
    )


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
        language=language,
        vision=inner.vision_tower,
        encoder={"layer": layer, "drop_cls": strategy != "full"},
        adapter=adapter,
        state={f"adapters.image.projection.{name}": tensor.float() for name, tensor in weights.items()},
        template="llava-v1",
    )


FORMATS = (Format("llava", f"{CLASS} with its processor", misfits, write, processor_at, "image-text-to-text"),)
SYSTEMS = (System("llava", "LLaVA", composed(CLASS, parts)),)
