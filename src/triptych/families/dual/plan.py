"""What a dual encoder costs: both sides run on the meta device, forward and backward, so that nothing is estimated by rule.

pictures ─► image side ─┐
                        ├─► B × B cosines       per stage: FLOPs, seconds, memory of each device
texts ────► text side ──┘
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from triptych.errors import TriptychError
from triptych.families.dual.config import MaskedImage
from triptych.families.dual.frozen import FrozenImages, FrozenTexts
from triptych.families.dual.model import DualEncoder
from triptych.families.dual.shape import build_dual_shape
from triptych.planner import activations, parts
from triptych.planner.cost import PAIRS, CostPlan, StageCost
from triptych.planner.datasets import DatasetSize, pair_sizes
from triptych.planner.devices import DeviceSpec
from triptych.planner.draws import Draws
from triptych.planner.measure import (
    counted_flops,
    empty_features,
    empty_pixels,
    feature_bytes,
    in_bfloat16,
    learned_flops,
    rate,
)
from triptych.planner.memory import MemoryItem, passing, standing
from triptych.planner.tokens import tokenizer_at_hand
from triptych.recipe import Recipe
from triptych.training.config import StageConfig
from triptych.training.parts import Trained, freeze, set_mode

COSINE_BYTES = 12
"""Per cosine at the peak, float32: the product, its scaled copy, and what the softmax keeps."""


def plan_dual(recipe: Recipe, device: DeviceSpec, count: int = 1) -> CostPlan:
    """What a recipe of a dual encoder costs on `count` devices. No weights are read.

    Raises:
        RecipeError: An architecture is not known, or the size of a dataset.
    """
    tokenizer = tokenizer_at_hand(recipe)
    model = build_dual_shape(recipe, in_bfloat16(device), tokenizer)
    sizes = pair_sizes(recipe, model.words if tokenizer is not None else None)
    known: set[str] = set()
    described = parts.parts_of(model, recipe)
    stages = [_stage(recipe, stage, model, sizes, device, count, known) for stage in recipe.stages]
    model.eval()
    length = max((size.text_tokens for size in sizes.values()), default=float(model.words.max_tokens))
    picture, text = (counted_flops(run) for run in (lambda: _images(model, 1), lambda: _texts(model, 1, length)))
    weights = sum(part.bytes for part in described)
    return CostPlan(
        name=recipe.name,
        device=device,
        count=count,
        parts=described,
        datasets=sizes,
        stages=stages,
        note=f"a picture takes {picture:.2e} FLOPs, a text {text:.2e}, and both sides {weights / 2**20:,.0f} MiB for weights",
        wording=PAIRS,
        suggestions=_suggestions(recipe, stages, device),
    )


def _stage(
    recipe: Recipe,
    stage: StageConfig,
    model: DualEncoder,
    sizes: Mapping[str, DatasetSize],
    device: DeviceSpec,
    count: int,
    known: set[str],
) -> StageCost:
    trained = freeze(model, stage)
    set_mode(model, trained, "train")
    draws = Draws.of(stage, sizes)
    samples = draws.samples
    length = draws.mean(sizes, lambda size: size.text_tokens)
    masked = isinstance(stage.objective, MaskedImage)
    chunk = stage.micro_rows if masked else getattr(stage.objective, "chunk", None)
    mine = math.ceil(stage.batch_size / count)
    held = min(mine, chunk or mine)
    again = not masked and chunk is not None and mine > chunk

    fresh = draws.distinct(sizes, known)
    texts = sum(
        min(samples * draws.shares[name], (sizes[name].records or samples) * sizes[name].texts) for name in fresh
    )
    cached = isinstance(model.vision, FrozenImages) and recipe.loading.cache_features
    encoded = sum(fresh.values()) if cached else float(samples)
    if cached:
        known.update(fresh)
    flops = {
        "image side": learned_flops(lambda: _learned_images(model, 1, masked), again) * samples,
        "text side": 0.0 if masked else learned_flops(lambda: _learned_texts(model, 1, length), again) * samples,
        "cosines": 0.0 if masked else _cosine_flops(stage, model, again) * draws.steps,
        "frozen encoder": _frozen_picture(model) * encoded,
        "frozen language model": 0.0 if masked else _frozen_text(model, length) * texts,
        "teacher": _teacher(recipe, stage, model) * samples,
    }
    flops = {name: size for name, size in flops.items() if size}
    rates = {name: _rate(model, name, device) for name in flops}
    return StageCost(
        name=stage.name,
        learning=parts.learning(model),
        steps=draws.steps,
        samples=samples,
        tokens=0.0 if masked else samples * length,
        supervised=float(samples),
        encoded=encoded,
        row=length,
        micro_batches=math.ceil(mine / held) * count,
        busy=1.0,
        flops=flops,
        seconds={name: size / (device.utilisation * count * rates[name]) for name, size in flops.items()},
        memory=_memory(model, stage, trained, device, count, held, mine, length, again),
        cache_bytes=encoded * _feature_bytes(model) if cached else 0.0,
    )


def _memory(
    model: DualEncoder,
    stage: StageConfig,
    trained: Trained,
    device: DeviceSpec,
    count: int,
    held: int,
    mine: int,
    length: float,
    again: bool,
) -> list[MemoryItem]:
    blocks = [*getattr(model.vision, "blocks", []), *getattr(model.text, "blocks", [])]
    items = standing(model, trained, blocks, count)
    masked = isinstance(stage.objective, MaskedImage)
    with nullcontext() if device.is_cpu else activations.FusedAttention():  # on the CPU scores are kept
        image = activations.kept_bytes(lambda: _learned_images(model, held, masked), model.parameters())
        text = 0 if masked else activations.kept_bytes(lambda: _learned_texts(model, held, length), model.parameters())
    found = {
        # Computed again for the gradient, the sides of a chunk are never held together.
        "activations": float(max(image, text) if again else image + text),
        "pictures": float(mine * _input_bytes(model)),
        "directions": 0.0 if masked else 4.0 * stage.batch_size * model.vision.embed_dim * 4,
        "cosines": 0.0 if masked else float(COSINE_BYTES * held * stage.batch_size * (1 if again else 2)),
    }
    return [*items, *passing(found, device)]


def _images(model: DualEncoder, pictures: int) -> Tensor:
    """The image side over pixels, its frozen encoder included."""
    pixels = empty_pixels(model.preparation.size, pictures)
    if isinstance(model.vision, FrozenImages):
        return model.vision.pooled(model.vision.encoder(pixels))
    return model.vision.encode(pixels)


def _learned_images(model: DualEncoder, pictures: int, masked: bool) -> Tensor:
    """What the image side computes in every step: nothing of a frozen encoder."""
    if isinstance(model.vision, FrozenImages):
        return model.vision.pooled(empty_features(model.vision.encoder, pictures))
    if not masked:
        return _images(model, pictures)
    assert model.masked_head is not None
    size, tower = model.preparation.size, model.tower
    cells = (size // tower.architecture.patch_size) ** 2
    states = tower(empty_pixels(size, pictures), torch.zeros(pictures, cells, dtype=torch.bool, device="meta"))
    out: Tensor = model.masked_head(states[:, tower.prefix :])
    return out


def _texts(model: DualEncoder, texts: int, length: float) -> Tensor:
    """The text side over ids, its frozen language model included."""
    if isinstance(model.text, FrozenTexts):
        features = model.text._states(*_ids(texts, length, model))
        return model.text.head(features)  # type: ignore[no-any-return]
    return model.text(*_ids(texts, length, model))  # type: ignore[no-any-return]


def _learned_texts(model: DualEncoder, texts: int, length: float) -> Tensor:
    if isinstance(model.text, FrozenTexts):
        return model.text.head(torch.empty(texts, model.text.width, device="meta"))  # type: ignore[no-any-return]
    return _texts(model, texts, length)


def _ids(texts: int, length: float, model: DualEncoder) -> tuple[Tensor, Tensor]:
    tokens = min(model.words.max_tokens, max(1, math.ceil(length)))
    ids = torch.zeros(texts, tokens, dtype=torch.long, device="meta")
    return ids, torch.full((texts,), tokens, dtype=torch.long, device="meta")


def _cosine_flops(stage: StageConfig, model: DualEncoder, again: bool) -> float:
    """Of one step: a product of all pictures with all texts, per way, and two more for the gradient."""
    ways = 2 if stage.objective.kind == "contrastive" else 1
    return ways * (4 if again else 3) * 2.0 * stage.batch_size**2 * model.vision.embed_dim


def _frozen_picture(model: DualEncoder) -> int:
    return activations.encoder_flops(model.vision.encoder) if isinstance(model.vision, FrozenImages) else 0


def _frozen_text(model: DualEncoder, length: float) -> int:
    if not isinstance(model.text, FrozenTexts):
        return 0
    text = model.text
    return counted_flops(lambda: text._states(*_ids(1, length, model)))


def _teacher(recipe: Recipe, stage: StageConfig, model: DualEncoder) -> int:
    if not isinstance(stage.objective, MaskedImage):
        return 0
    try:
        return activations.encoder_flops(parts.meta_encoder(stage.objective.teacher, Path(recipe.base), False))
    except TriptychError:  # a run that is still to be made: taken to be as large as the tower
        return counted_flops(lambda: _images(model, 1))


def _rate(model: DualEncoder, work: str, device: DeviceSpec) -> float:
    """FLOP/s in the precision that a side computes in: that of its largest parameter."""
    if work in {"cosines", "teacher"}:
        return device.float32
    side: nn.Module = model.vision if work in {"image side", "frozen encoder"} else model.text
    if isinstance(side, FrozenImages):
        side = side.encoder if work == "frozen encoder" else side.head
    elif isinstance(side, FrozenTexts):
        side = side.language if work == "frozen language model" else side.head
    return rate(side, device)


def _input_bytes(model: DualEncoder) -> float:
    return _feature_bytes(model) or 3.0 * model.preparation.size**2


def _feature_bytes(model: DualEncoder) -> float:
    """Of one picture in the feature cache."""
    if not isinstance(model.vision, FrozenImages):
        return 0.0
    return feature_bytes(model.vision.encoder)


def _suggestions(recipe: Recipe, stages: list[StageCost], device: DeviceSpec) -> list[str]:
    found = []
    for i, (stage, cost) in enumerate(zip(recipe.stages, stages, strict=True)):
        if cost.whole_bytes <= device.memory or isinstance(stage.objective, MaskedImage):
            continue
        chunk = getattr(stage.objective, "chunk", None)
        found.append(
            f"{stage.name}: does not fit; stages.{i}.objective.chunk={max(1, (chunk or stage.batch_size) // 4)} holds the "
            "activations of so many pairs at a time and changes no gradient, for a second forward pass"
        )
    return found
