"""A composed run with a Q-Former as transformers' BLIP-2 or InstructBLIP: what the two formats share."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from triptych.adapters.config import QFormerConfig
from triptych.adapters.qformer import EPSILON
from triptych.adapters.qformer_adapter import QFormerAdapter
from triptych.export.finished import Finished
from triptych.export.language import add_token, misfits_of_language, save_generation, tokenizer_for
from triptych.export.llava import language_with_room
from triptych.export.pictures import image_processor
from triptych.export.towers import Tower, misfits_of_tower, tower_of
from triptych.families.composed.config import ModelConfig
from triptych.language import kosmos
from triptych.language.assembled import filled
from triptych.model.composed import MultimodalModel
from triptych.weights.formats.systems import BLIP2_ADAPTER, INSTRUCTBLIP_ADAPTER

System = Literal["blip2", "instructblip"]

IMAGE = "<image>"
"""Stands where a picture does: so their processors call it."""

CLASSES: dict[System, tuple[str, str]] = {
    "blip2": ("Blip2", "blip-2"),
    "instructblip": ("InstructBlip", "instructblip"),
}
"""What transformers' classes begin with."""

TOWERS = ("blip_2_vision_model", "instructblip_vision_model")
"""Model types of EVA-01, the one tower that both have."""


def misfits_of(run: Finished, system: System) -> Iterator[str]:
    """What of a run a system cannot hold."""
    language = list(misfits_of_language(run))
    yield from language
    if language or run.language is None:
        return
    if run.language.config.model_type == kosmos.MODEL_TYPE:
        yield "model.language: Kosmos' decoder is none of transformers' language models for BLIP-2"
    if run.language.template.writes(IMAGE):
        yield f"model.language.chat_template: it writes {IMAGE}, which stands for pictures in BLIP-2"
    model = run.recipe.model
    assert isinstance(model, ModelConfig) and isinstance(run.model, MultimodalModel)
    if model.fusion.kind != "splice":
        yield f"model.fusion: {model.fusion.kind!r}; BLIP-2 puts features into the sequence: `splice`"
    tower = list(misfits_of_tower(run, TOWERS))
    yield from tower
    adapter = run.model.adapter("image") if run.model.adapters else None
    if not isinstance(adapter, QFormerAdapter):
        yield "model.adapters.image.kind: BLIP-2 has a Q-Former: `qformer`"
        return
    yield from _adapter(model.adapters.image, adapter, system)
    if not tower:
        yield from _norm(adapter, tower_of(run))


def _adapter(config: Any, adapter: QFormerAdapter, system: System) -> Iterator[str]:
    where = "model.adapters.image"
    assert isinstance(config, QFormerConfig)
    if config.instruction != (system == "instructblip"):
        other = "instructblip" if config.instruction else "blip2"
        yield f"{where}.instruction: {str(config.instruction).lower()}; the format {other!r} is for that"
    if adapter.pool > 1:
        yield f"{where}.pool: {adapter.pool}; BLIP-2's Q-Former looks at every position"
    if adapter.positions is not None and bool(adapter.positions.any()):
        yield f"{where}.positions: they were learnt, and BLIP-2 has none behind the tower"
    if adapter.gain is not None:
        yield f"{where}.output_scale: `normalised`; BLIP-2's projection has no normalisation behind"


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


def write_system(run: Finished, folder: Path, shard: str, system: System) -> str:
    """Write model, image processor and tokenizers."""
    import transformers

    assert isinstance(run.model, MultimodalModel) and run.language is not None
    name, model_type = CLASSES[system]
    adapter, tower = run.model.adapter("image"), tower_of(run)
    assert isinstance(adapter, QFormerAdapter)
    tokenizer = tokenizer_for(run, IMAGE)
    image = add_token(tokenizer, IMAGE)
    # Their processors do not write chats: here the tokenizer's template writes all positions of a picture.
    tokenizer.chat_template = tokenizer.chat_template.replace(f'"{IMAGE}"', f'"{IMAGE * adapter.count}"')
    text, language = language_with_room(run.language, image, run.dtype)
    vision = {**tower.config.to_dict(), "model_type": f"{model_type.replace('-', '_')}_vision_model"}
    config = transformers.AutoConfig.for_model(
        model_type,
        vision_config={**vision, "qkv_bias": True},
        qformer_config=_qformer_config(adapter, system),
        text_config=text.to_dict(),
        num_query_tokens=adapter.count,
        image_token_index=image,
    )
    state = {
        **{f"vision_model.{key}": tensor for key, tensor in _vision_state(tower, adapter).items()},
        **adapter_state(adapter, system),
        **{f"language_model.{key}": tensor for key, tensor in language.items()},
    }
    filled(lambda: getattr(transformers, f"{name}ForConditionalGeneration")(config), state, run.dtype).save_pretrained(
        folder, max_shard_size=shard
    )
    tokenizers = {"tokenizer": tokenizer}
    if system == "instructblip":
        tokenizers["qformer_tokenizer"] = _reader(run.language.tokenizer, adapter.text_tokens)
    processor = getattr(transformers, f"{name}Processor")(
        image_processor=image_processor(tower.preparation, tower.mean, tower.std),
        num_query_tokens=adapter.count,
        **tokenizers,
    )
    processor.save_pretrained(folder)
    save_generation(folder, tokenizer, (run.language.template.end[-1],), (image,))
    asked = ", qformer_input_ids=processor.qformer_tokenizer(question, return_tensors='pt').input_ids"
    return (
        f"from transformers import {name}ForConditionalGeneration, {name}Processor\n\n"
        f"model = {name}ForConditionalGeneration.from_pretrained(FOLDER)\n"
        f"processor = {name}Processor.from_pretrained(FOLDER)\n"
        "# prompt = processor.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, "
        "return_tensors='pt')\n"
        "# pixels = processor.image_processor(images=[…], return_tensors='pt')\n"
        f"# model.generate(**prompt, **pixels{asked if system == 'instructblip' else ''})"
    )


def adapter_state(adapter: QFormerAdapter, system: System) -> dict[str, Tensor]:
    """The adapter's weights by transformers' names; the constant scale goes into the projection."""
    names = BLIP2_ADAPTER if system == "blip2" else INSTRUCTBLIP_ADAPTER
    own = {
        name: tensor
        for name, tensor in adapter.state_dict().items()
        if name.startswith(("queries", "qformer.", "projection."))
    }
    for kind in ("weight", "bias"):
        own[f"projection.{kind}"] = own[f"projection.{kind}"] * adapter.scale
    state = names.theirs(own)
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


def _qformer_config(adapter: QFormerAdapter, system: System) -> dict[str, Any]:
    qformer = adapter.qformer
    first: Any = qformer.layers[0]
    looking = [i for i, layer in enumerate(qformer.layers) if layer.cross is not None]
    values = {
        "hidden_size": qformer.width,
        "num_hidden_layers": len(qformer.layers),
        "num_attention_heads": first.attention.heads,
        "intermediate_size": first.feed_forward.up.out_features,
        "cross_attention_frequency": looking[1] if len(looking) > 1 else len(qformer.layers),
        "encoder_hidden_size": adapter.input_dim,
        "layer_norm_eps": EPSILON,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    if system == "instructblip":
        assert qformer.words is not None
        values |= {
            "vocab_size": qformer.words.num_embeddings,
            "max_position_embeddings": qformer.text_positions,
            "pad_token_id": 0,
        }
    return values


def _reader(tokenizer: Any, length: int) -> Any:
    """A tokenizer that writes instructions for the Q-Former: words alone, cut at its positions."""
    from tokenizers.processors import TemplateProcessing

    reader = copy.deepcopy(tokenizer)
    reader.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    reader.model_max_length = length
    reader.padding_side = reader.truncation_side = "right"
    reader.chat_template = None
    return reader
