"""A composed run as `LlavaForConditionalGeneration`: a vision tower, a projector, a language model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from triptych.adapters.grid import GridAdapter
from triptych.adapters.mlp import MLP
from triptych.export.conversations import Reads, processor_at
from triptych.export.finished import Finished
from triptych.export.language import (
    add_token,
    image_token_for,
    merged_state,
    misfits_of_language,
    plain_config,
    save_generation,
    tokenizer_for,
    untied_head,
)
from triptych.export.pictures import image_processor
from triptych.export.towers import image_config, misfits_of_tower, tower_of
from triptych.families.composed.config import ModelConfig
from triptych.language import kosmos
from triptych.language.assembled import filled
from triptych.language.backbone import LanguageModel
from triptych.model.composed import MultimodalModel

TOWERS = ("clip_vision_model", "siglip_vision_model", "dinov2")
"""Model types of towers with one class token or none, whose hidden states are what Triptych calls them."""


def misfits(run: Finished) -> Iterator[str]:
    """What of a run LLaVA cannot hold."""
    language = list(misfits_of_language(run))
    yield from language
    if language or run.language is None:
        return
    yield from untied_head(run.language)
    if run.language.config.model_type == kosmos.MODEL_TYPE:
        yield "model.language: Kosmos' decoder is none of transformers' language models for LLaVA"
    model = run.recipe.model
    assert isinstance(model, ModelConfig) and isinstance(run.model, MultimodalModel)
    if model.fusion.kind != "splice":
        yield f"model.fusion: {model.fusion.kind!r}; LLaVA puts features into the sequence: `splice`"
    tower = list(misfits_of_tower(run, TOWERS))
    yield from tower
    if not tower:
        yield from _layer(run)
    if run.model.adapters:
        yield from _adapter(run.model.adapter("image"))


def _layer(run: Finished) -> Iterator[str]:
    found = tower_of(run)
    config = image_config(run)
    assert config is not None
    if found.layer == "output" and (found.config.model_type != "clip_vision_model" or config.kind == "vit"):
        yield (
            "model.encoders.image.layer: `output` goes through the tower's last normalisation, and LLaVA takes hidden "
            "states in front of it; -1 and -2 do"
        )
    if found.kept and not found.classes:
        yield "model.encoders.image.drop_cls: false, and the tower has no class token"


def _adapter(adapter: nn.Module) -> Iterator[str]:
    where = "model.adapters.image"
    if not isinstance(adapter, GridAdapter):
        yield f"{where}: LLaVA's projector is a linear layer or an MLP of two; `linear` and `mlp` without markers are"
        return
    if adapter.pool > 1:
        yield f"{where}.pool: {adapter.pool}; LLaVA projects every position"
    if not isinstance(adapter.norm, nn.Identity):
        yield f"{where}.normalise: true; LLaVA's projector has no normalisation in front"
    if adapter.positions is not None and bool(adapter.positions.any()):
        yield f"{where}.positions: they were learnt, and LLaVA's projector has none"
    if adapter.gain is not None:
        yield f"{where}.output_scale: `normalised`; LLaVA's projector has no normalisation behind"
    layers = linear_layers(adapter)
    if len(layers) > 2:
        yield f"{where}.depth: {len(layers)}; LLaVA's projector has two layers"
    if len(layers) == 2 and layers[0].out_features > adapter.language_dim:
        yield f"{where}.hidden: {layers[0].out_features} is more than the language model's width {adapter.language_dim}"


def linear_layers(adapter: GridAdapter) -> list[nn.Linear]:
    """The linear layers of an adapter in order."""
    return [module for module in adapter.projection.modules() if isinstance(module, nn.Linear)]


def projector(adapter: GridAdapter) -> tuple[str, dict[str, Tensor]]:
    """The activation and the weights of LLaVA's two layers, which compute what the adapter does.

    The constant scale goes into the last layer, a narrower middle is filled up with zeros, and a single linear layer is
    followed by one that changes nothing.
    """
    width, scale = adapter.language_dim, adapter.scale
    layers = linear_layers(adapter)
    if len(layers) == 1:
        first, second = (layers[0].weight * scale, layers[0].bias * scale), (torch.eye(width), torch.zeros(width))
        activation = "linear"
    else:
        missing = width - layers[0].out_features
        pad = nn.functional.pad
        first = (pad(layers[0].weight, (0, 0, 0, missing)), pad(layers[0].bias, (0, missing)))
        second = (pad(layers[1].weight, (0, missing)) * scale, layers[1].bias * scale)
        assert isinstance(adapter, MLP)
        activation = _activation(adapter)
    named = (("linear_1", first), ("linear_2", second))
    return activation, {
        f"{name}.{kind}": t for name, pair in named for kind, t in zip(("weight", "bias"), pair, strict=True)
    }


def _activation(adapter: MLP) -> str:
    kinds: dict[type[nn.Module], str] = {nn.GELU: "gelu", nn.SiLU: "silu", nn.ReLU: "relu"}
    assert isinstance(adapter.projection, nn.Sequential)
    return kinds[type(adapter.projection[1])]


def write(run: Finished, folder: Path, shard: str) -> str:
    """Write it."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration
    from transformers.models.llava.processing_llava import LlavaProcessor

    assert isinstance(run.model, MultimodalModel) and run.language is not None
    adapter, tower = run.model.adapter("image"), tower_of(run)
    assert isinstance(adapter, GridAdapter)
    image_token = image_token_for(run.language.template)
    tokenizer = tokenizer_for(run, image_token)
    image = add_token(tokenizer, image_token)
    activation, projection = projector(adapter)
    text, language = language_with_room(run.language, image, run.dtype)
    base = f"{run.language.model.base_model_prefix}."
    strategy = "default" if tower.classes and not tower.kept else "full"
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=text,
        image_token_index=image,
        image_seq_length=(tower.preparation.size // _patch(tower.config)) ** 2 + tower.kept * tower.classes,
        projector_hidden_act=activation,
        vision_feature_layer=-1 if tower.layer == "output" else int(tower.layer),
        vision_feature_select_strategy=strategy,
        tie_word_embeddings=text.tie_word_embeddings,
    )
    state = {
        **{f"model.vision_tower.{name}": tensor for name, tensor in tower.state.items()},
        **{f"model.multi_modal_projector.{name}": tensor for name, tensor in projection.items()},
        **{
            f"model.language_model.{name.removeprefix(base)}" if name.startswith(base) else "lm_head.weight": tensor
            for name, tensor in language.items()
        },
    }
    filled(lambda: LlavaForConditionalGeneration(config), state, run.dtype).save_pretrained(
        folder, max_shard_size=shard
    )
    LlavaProcessor(
        image_processor=image_processor(tower.preparation, tower.mean, tower.std),
        tokenizer=tokenizer,
        patch_size=_patch(tower.config),
        vision_feature_select_strategy=strategy,
        image_token=image_token,
        num_additional_image_tokens=tower.classes,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)
    save_generation(folder, tokenizer, (run.language.template.end[-1],), (image,))
    return loading("LlavaForConditionalGeneration")


def reads(folder: Path) -> Reads:
    """How transformers reads conversations from what was written."""
    return processor_at(folder)


def loading(name: str) -> str:
    """Python that loads a model and its processor, and asks."""
    return (
        f"from transformers import AutoProcessor, {name}\n\n"
        f"model = {name}.from_pretrained(FOLDER)\n"
        "processor = AutoProcessor.from_pretrained(FOLDER)"
    )


def _patch(config: Any) -> int:
    return int(config.patch_size)


def language_with_room(language: LanguageModel, token: int, dtype: torch.dtype) -> tuple[Any, dict[str, Tensor]]:
    """Configuration and weights of the language model with a row for a token that only stands for media.

    A new row is zero: nothing reads it, and `generation_config.json` says that nobody is to say it.
    """
    config, state = plain_config(language), merged_state(language, dtype)
    rows = language.embedding.num_embeddings
    if token >= rows:
        tables = {id(language.embedding.weight), *(id(p) for p in language.model.get_output_embeddings().parameters())}
        names = [
            name.replace(".base_layer.", ".")
            for name, parameter in language.model.named_parameters(remove_duplicate=False)
            if id(parameter) in tables
        ]
        room: dict[int, Tensor] = {}
        for name in names:
            old = state[name]
            state[name] = room.setdefault(old.data_ptr(), nn.functional.pad(old, (0, 0, 0, token + 1 - rows)))
        config.vocab_size = token + 1
    return config, state
