"""A tiny composed model that is asked about a picture, and a reference that is asked the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image as Pillow
from torch import Tensor

from parity.tiny.words import tokenizer
from triptych.conversation import Conversation, Image, user
from triptych.model.build import build
from triptych.model.composed import MultimodalModel
from triptych.model.saved import save_weights
from triptych.recipe import load_recipe
from triptych.sequence.pack import pack

QUESTION = "What colour is this?"


@dataclass(frozen=True)
class Asked:
    """A question about a picture, and our logits.

    Args:
        ids: Of the whole sequence `[L]`.
        media: Which of them stand for the picture `[L]`.
        pixels: Of the picture, as towers of transformers take them `[1, 3, H, W]`.
        logits: `[L, V]`.
    """

    ids: Tensor
    media: Tensor
    pixels: Tensor
    logits: Tensor


def picture() -> Image:
    """Of no colour in particular, and not square."""
    noise = torch.randint(0, 256, (26, 41, 3), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    return Image(Pillow.fromarray(noise.numpy()))


@torch.no_grad()
def asked(model: MultimodalModel, image: Image | None = None) -> Asked:
    """What a model answers to `QUESTION`, without a word of an answer yet."""
    image = image or picture()
    layout = model.plan(Conversation((user(image, QUESTION),)), reply=True)
    encoder: Any = model.encoder("image")
    pixels = encoder.prepare(image)
    batch = pack([layout], 256).with_prepared("image", (pixels,))
    logits = model.language.logits(model(batch))[0][batch.documents[0] == 0]
    span, places = layout.spans[0], torch.arange(len(layout))
    media = (places >= span.start) & (places < span.start + span.length)
    normalise = getattr(encoder, "normalise", None) or encoder.tower.normalise
    return Asked(torch.tensor(layout.ids), media, normalise(pixels[None], torch.float32), logits)


@torch.no_grad()
def their_logits(theirs: Any, question: Asked, image: int) -> Tensor:
    """The logits `[L, V]` of a system of transformers.

    Args:
        theirs: The system.
        question: As ours was asked.
        image: The id that stands for pictures there.
    """
    row, pixels = question.ids.masked_fill(question.media, image)[None], question.pixels
    match theirs.config.model_type:
        case "kosmos-2":
            outputs = theirs(
                pixel_values=pixels, input_ids=row, image_embeds_position_mask=question.media[None], use_cache=False
            )
        case "idefics":
            attention = (torch.arange(row.shape[1]) >= int(question.media.int().argmax())).long()[None, :, None]
            outputs = theirs(input_ids=row, pixel_values=pixels[None], image_attention_mask=attention, use_cache=False)
        case "instructblip":
            read = torch.tensor([tokenizer()(QUESTION)["input_ids"]])
            outputs = theirs(input_ids=row, pixel_values=pixels, qformer_input_ids=read)
        case _:
            outputs = theirs(input_ids=row, pixel_values=pixels)
    logits: Tensor = outputs.logits[0]
    return logits


def write_run(values: Mapping[str, Any], folder: Path, seed: int = 0) -> Path:
    """A run as training leaves it, but for its random weights: those of adapters, LoRA and our own towers.

    Args:
        values: Of the recipe.
        folder: The run's, which is made.
        seed: Of the weights.
    """
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
    model = build(load_recipe(folder / "recipe.yaml"))
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for name, parameter in model.named_parameters():
        if not isinstance(model, MultimodalModel) or name.startswith("adapters.") or "lora_" in name:
            spread = 0.3 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
            drawn[name] = torch.randn(parameter.shape, generator=generator) * spread
            drawn[name] += "norm" in name and name.endswith("weight")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in drawn:
                parameter.copy_(drawn[name])
    save_weights(model, set(drawn), folder / "weights" / "model.safetensors")
    return folder
