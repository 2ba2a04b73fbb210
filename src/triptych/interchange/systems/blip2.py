"""BLIP-2 and InstructBLIP (`…ForConditionalGeneration`): a tower, a Q-Former, a language model. Both directions."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from triptych.adapters.config import QFormerConfig
from triptych.adapters.qformer import EPSILON
from triptych.adapters.qformer_adapter import QFormerAdapter
from triptych.families.composed.config import ModelConfig
from triptych.formats.blip2 import ADAPTERS, FIELDS, SHAPE, TEXT_FIELDS
from triptych.interchange.chat import tokenizer_at
from triptych.interchange.errors import expect
from triptych.interchange.finished import Finished
from triptych.interchange.format import Format, System
from triptych.interchange.language import add_token, between, exported_tokenizer, language_with_room, save_system
from triptych.interchange.misfits import misfits_of_adapter, misfits_of_composed
from triptych.interchange.parts import PLAIN, Parts, composed
from triptych.interchange.towers import Tower, misfits_of_tower, tower_of
from triptych.model.composed import MultimodalModel

IMAGE = "<image>"
"""Stands where a picture does: so their processors call it."""

NAMES = {False: ("Blip2", "blip-2", "BLIP-2"), True: ("InstructBlip", "instructblip", "InstructBLIP")}
"""By whether the Q-Former reads the instruction: what transformers' classes begin with, the model type, the system's name."""


def misfits(instruction: bool, run: Finished) -> Iterator[str]:
    """What of a run it cannot hold."""
    yield from misfits_of_composed(run, "BLIP-2")
    model = run.recipe.model
    if not isinstance(model, ModelConfig) or not isinstance(run.model, MultimodalModel) or run.language is None:
        return
    if run.language.template.writes(IMAGE):
        yield f"model.language.chat_template: it writes {IMAGE}, which stands for pictures in BLIP-2"
    tower = list(misfits_of_tower(run, SHAPE.model_types))
    yield from tower
    adapter = run.model.adapter("image") if run.model.adapters else None
    if not isinstance(adapter, QFormerAdapter):
        yield "model.adapters.image.kind: BLIP-2 has a Q-Former: `qformer`"
        return
    yield from _adapter(model.adapters.image, adapter, instruction)
    if not tower:
        yield from _norm(adapter, tower_of(run))


def _adapter(config: Any, adapter: QFormerAdapter, instruction: bool) -> Iterator[str]:
    where = "model.adapters.image"
    assert isinstance(config, QFormerConfig)
    if config.instruction != instruction:
        other = "instructblip" if config.instruction else "blip2"
        yield f"{where}.instruction: {str(config.instruction).lower()}; the format {other!r} is for that"
    yield from misfits_of_adapter(adapter, "BLIP-2")


def _norm(adapter: QFormerAdapter, tower: Tower) -> Iterator[str]:
    """BLIP-2 has one normalisation between tower and Q-Former: the tower's last, or the adapter's in its place."""
    if not tower.kept:
        yield "model.encoders.image.drop_cls: true; BLIP-2's Q-Former sees the class token, too"
    normed, last = not isinstance(adapter.norm, nn.Identity), tower.config.num_hidden_layers
    if tower.layer == "output":
        if normed:
            yield (
                "model.adapters.image.normalise: true, behind `layer: output` that is normalised already; BLIP-2 "
                "normalises once"
            )
    elif tower.layer not in (-1, last):
        yield f"model.encoders.image.layer: {tower.layer}; BLIP-2 takes the tower's output"
    elif not normed:
        yield f"model.encoders.image.layer: {tower.layer} without a normalisation; BLIP-2 has one behind its tower"
    elif isinstance(adapter.norm, nn.LayerNorm) and adapter.norm.eps != tower.config.layer_norm_eps:
        yield (
            f"model.adapters.image.normalise: adds {adapter.norm.eps:g} to the variance, the tower's normalisations "
            f"{tower.config.layer_norm_eps:g}"
        )


def write(instruction: bool, run: Finished, folder: Path, shard: str) -> str:
    """Write model, image processor and tokenizers."""
    import transformers

    options = run.recipe.model
    assert isinstance(run.model, MultimodalModel) and isinstance(options, ModelConfig) and run.language is not None
    name, model_type, _ = NAMES[instruction]
    adapter, tower = run.model.adapter("image"), tower_of(run)
    assert isinstance(adapter, QFormerAdapter)
    tokenizer = exported_tokenizer(run.language.template, IMAGE)
    image = add_token(tokenizer, IMAGE)
    # Their processors do not write chats: here the tokenizer's template writes all positions of a picture.
    tokenizer.chat_template = tokenizer.chat_template.replace(f'"{IMAGE}"', f'"{IMAGE * adapter.count}"')
    text, language = language_with_room(run.language, image, run.dtype)
    vision = {**tower.config.to_dict(), "model_type": f"{model_type.replace('-', '_')}_vision_model"}
    config = transformers.AutoConfig.for_model(
        model_type,
        vision_config={**vision, "qkv_bias": True},
        qformer_config=_qformer_config(options.adapters.image, adapter),
        text_config=text.to_dict(),
        num_query_tokens=adapter.count,
        image_token_index=image,
    )
    state = {
        **{f"vision_model.{key}": tensor for key, tensor in _vision_state(tower, adapter).items()},
        **adapter_state(adapter, instruction),
        **{f"language_model.{key}": tensor for key, tensor in language.items()},
    }
    tokenizers = {"tokenizer": tokenizer}
    if instruction:
        tokenizers["qformer_tokenizer"] = between(
            copy.deepcopy(run.language.tokenizer), None, None, adapter.text_tokens
        )
    processor = getattr(transformers, f"{name}Processor")(
        image_processor=tower.processor, num_query_tokens=adapter.count, **tokenizers
    )
    save_system(run, folder, shard, config, f"{name}ForConditionalGeneration", state, processor, image)
    read = ", qformer_input_ids=processor.qformer_tokenizer(question, return_tensors='pt').input_ids"
    return (
        f"from transformers import {name}ForConditionalGeneration, {name}Processor\n\n"
        f"model = {name}ForConditionalGeneration.from_pretrained(FOLDER)\n"
        f"processor = {name}Processor.from_pretrained(FOLDER)\n"
        "# prompt = processor.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, "
        "return_tensors='pt')\n"
        "# pixels = processor.image_processor(images=[…], return_tensors='pt')\n"
        f"# model.generate(**prompt, **pixels{read if instruction else ''})"
    )


def adapter_state(adapter: QFormerAdapter, instruction: bool) -> dict[str, Tensor]:
    """The adapter's weights by transformers' names; the constant scale goes into the projection."""
    own = {
        name: tensor
        for name, tensor in adapter.state_dict().items()
        if name.startswith(("queries", "qformer.", "projection."))
    }
    for kind in ("weight", "bias"):
        own[f"projection.{kind}"] = own[f"projection.{kind}"] * adapter.scale
    state = ADAPTERS[instruction].theirs(own)
    return {**state, "query_tokens": state["query_tokens"][None]}


def _vision_state(tower: Tower, adapter: QFormerAdapter) -> dict[str, Tensor]:
    if tower.layer == "output":
        return tower.state
    assert isinstance(adapter.norm, nn.LayerNorm)
    return {
        **tower.state,
        "post_layernorm.weight": adapter.norm.weight.detach(),
        "post_layernorm.bias": adapter.norm.bias.detach(),
    }


def _qformer_config(config: Any, adapter: QFormerAdapter) -> dict[str, Any]:
    assert isinstance(config, QFormerConfig)
    values = {theirs: getattr(config, ours) for theirs, ours in FIELDS.items()} | {
        "cross_attention_frequency": min(config.cross_every, config.layers),
        "encoder_hidden_size": adapter.input_dim,
        "layer_norm_eps": EPSILON,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    if adapter.qformer.words is not None:
        values |= {theirs: getattr(config, ours) for theirs, ours in TEXT_FIELDS.items()}
        values |= {
            "vocab_size": adapter.qformer.words.num_embeddings,
            "pad_token_id": 0,
        }  # a recipe need not count words
    return values


def parts(model: Any, folder: Path, dtype: torch.dtype) -> Parts:
    """The parts of a loaded model.

    Raises:
        ImportFailed: It has something that ours do not have.
    """
    config = model.config
    instruction, qformer = config.model_type == NAMES[True][1], config.qformer_config
    expect(
        config.use_decoder_only_language_model,
        f"a language model of type {config.text_config.model_type!r} with an encoder; causal ones (OPT, LLaMA) can",
    )
    expect(qformer.hidden_act == "gelu", f"a Q-Former with {qformer.hidden_act!r}")
    expect(qformer.layer_norm_eps == EPSILON, f"a Q-Former that adds {qformer.layer_norm_eps} to the variance")
    theirs = {
        name: tensor.float()
        for name, tensor in model.state_dict().items()
        if name.startswith(("query_tokens", "qformer.", "language_projection."))
    }
    theirs["query_tokens"] = theirs["query_tokens"][0]
    adapter: dict[str, Any] = {
        "kind": "qformer",
        "queries": config.num_query_tokens,
        **{ours: getattr(qformer, their) for their, ours in FIELDS.items()},
        "instruction": instruction,
        **PLAIN,
    }
    tokenizers: dict[str, Path] = {}
    if instruction:
        adapter |= {ours: getattr(qformer, their) for their, ours in TEXT_FIELDS.items()}
        if (folder / "qformer_tokenizer").is_dir():
            tokenizers["qformer_tokenizer"] = folder / "qformer_tokenizer"
            adapter["tokenizer"] = "file:parts/qformer_tokenizer"
    return Parts(
        language=model.language_model.to(dtype),
        vision=model.vision_model,
        encoder={"layer": "output", "drop_cls": False},
        adapter=adapter,
        state={f"adapters.image.{name}": tensor for name, tensor in ADAPTERS[instruction].ours(theirs).items()},
        template="instructblip",
        tokenizers=tokenizers,
    )


FORMATS = tuple(
    Format(
        name.lower(),
        f"{name}ForConditionalGeneration with its processor",
        partial(misfits, instruction),
        partial(write, instruction),
        partial(tokenizer_at, image=IMAGE),
        "image-text-to-text",
    )
    for instruction, (name, _, _) in NAMES.items()
)
SYSTEMS = tuple(
    System(model_type, system, composed(f"{name}ForConditionalGeneration", parts))
    for name, model_type, system in NAMES.values()
)
