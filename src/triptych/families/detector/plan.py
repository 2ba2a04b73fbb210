"""What a detector costs: a whole step runs on the meta device, forward and backward.

pictures ─► encoder ─► heads ─┐
                              ├─► cells × phrases, boxes      per stage: FLOPs, seconds, memory of the device
phrases of a batch ─► text ───┘
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.families.detector.config import DetectionLoss
from triptych.families.detector.model import OpenVocabularyDetector
from triptych.families.detector.objective import focal
from triptych.families.detector.shape import build_detector_shape
from triptych.families.detector.sizes import BoxSize, box_sizes, phrases_of
from triptych.planner.activations import encoder_flops, encoder_working_bytes
from triptych.planner.cost import PICTURES, CostPlan, StageCost
from triptych.planner.devices import DeviceSpec
from triptych.planner.draws import Draws
from triptych.planner.measure import (
    CountedParts,
    KeptParts,
    Parts,
    attention,
    counted_flops,
    empty_features,
    empty_pixels,
    feature_bytes,
    in_bfloat16,
    rate,
)
from triptych.planner.memory import MemoryItem, passing, standing
from triptych.planner.parts import learning, parts_of
from triptych.planner.suggestions import larger_devices, suggest_caching
from triptych.planner.tokens import tokenizer_at_hand
from triptych.recipe import Recipe
from triptych.report.numbers import gibibytes
from triptych.training.config import StageConfig
from triptych.training.parts import Trained, freeze, set_mode

ENCODER = "frozen encoder"


@dataclass(frozen=True)
class StepSize:
    """What is computed in a step: pictures, boxes of each, and the phrases of them all, the generic one among them."""

    pictures: int
    boxes: int
    phrases: Sequence[str]


def plan_detector(recipe: Recipe, device: DeviceSpec, count: int = 1) -> CostPlan:
    """What a recipe of a detector costs on `count` devices. No weights are read.

    Raises:
        RecipeError: An architecture is not known, or the size of a dataset or of the vocabulary.
    """
    tokenizer = tokenizer_at_hand(recipe)
    model = build_detector_shape(recipe, in_bfloat16(device), tokenizer)
    sizes = box_sizes(recipe)
    known: set[str] = set()
    described = parts_of(model, recipe)
    stages, found = [], []
    for i, stage in enumerate(recipe.stages):
        trained = freeze(model, stage)
        set_mode(model, trained, "train")
        cost = _stage(recipe, stage, model, trained, sizes, device, count, known)
        stages.append(cost)
        found += _fitting(recipe, i, model, trained, sizes, device, cost)
    if count > 1 and stages:
        found.append(
            f"a detector's step is computed by one process: {count - 1} of the {count} devices stand idle in it; plan for one"
        )
    model.requires_grad_(False).eval()
    plan = CostPlan(
        name=recipe.name,
        device=device,
        count=count,
        parts=described,
        datasets=sizes,
        stages=stages,
        note=_note(model),
        wording=PICTURES,
        suggestions=found,
    )
    plan.suggestions.extend(suggest_caching(recipe, plan, ENCODER, feature_bytes(model.vision)))
    return plan


def run_step(
    model: OpenVocabularyDetector, size: StepSize, loss: DetectionLoss, features: Tensor, parts: Parts
) -> Tensor:
    """The loss of a step, as `training.objectives.detection` computes it, without the boxes of the cells that show
    something, which are a handful of numbers.

    Args:
        model: On the meta device, frozen as the stage says.
        size: Of the step.
        loss: Its configuration.
        features: `[N, T, D]`, or pixels `[N, 3, H, W]` where the encoder learns.
        parts: What runs the parts.
    """
    encoded = features if features.dim() == 3 else parts("encoder", lambda: model.vision(features))
    directions = parts("phrases", lambda: model.text(size.phrases))
    answers = parts("heads", lambda: model.heads(encoded, directions))

    def losses() -> Tensor:
        total: Tensor = answers.boxes.sum() * 0
        for logits, objectness in zip(answers.logits, answers.objectness, strict=True):
            cells, phrases = logits.shape
            says = torch.empty(size.boxes, phrases, device="meta")
            inside = torch.empty(cells, size.boxes, device="meta")
            truth = torch.empty_like(logits)
            ignored = (inside @ says > 0) & (truth == 0)
            total = total + loss.phrases * (focal(logits, truth, loss) * (~ignored).float()).sum()
            total = total + loss.objectness * (focal(objectness, truth[:, 0], loss) * inside[:, 0]).sum()
        return total

    return parts("losses", losses)


def step_size(batch: int, loss: DetectionLoss, draws: Draws, sizes: Mapping[str, BoxSize]) -> StepSize:
    """Of a step of so many pictures."""
    phrases = phrases_of(sizes, {name: batch * share for name, share in draws.shares.items()})
    phrases += [loss.generic] if loss.generic is not None and loss.generic not in phrases else []
    return StepSize(batch, max(1, round(draws.mean(sizes, lambda size: size.supervised))), phrases)


def step_flops(model: OpenVocabularyDetector, loss: DetectionLoss, size: StepSize) -> dict[str, int]:
    """FLOPs of a step, by what they are spent on."""
    parts = CountedParts()
    found = parts.backward(run_step(model, size, loss, _inputs(model, size), parts))
    model.zero_grad()
    return found


def step_bytes(
    model: OpenVocabularyDetector, loss: DetectionLoss, size: StepSize, device: DeviceSpec
) -> dict[str, int]:
    """Bytes that are kept for the gradient of a step, features left out."""
    inputs = _inputs(model, size)
    parts = KeptParts([*model.parameters(), *model.buffers(), inputs])
    with attention(device, by_products=False, dropout=False):
        total = run_step(model, size, loss, inputs, parts)
    del total
    return parts.bytes


def _stage(
    recipe: Recipe,
    stage: StageConfig,
    model: OpenVocabularyDetector,
    trained: Trained,
    sizes: Mapping[str, BoxSize],
    device: DeviceSpec,
    count: int,
    known: set[str],
) -> StageCost:
    objective = stage.objective
    assert isinstance(objective, DetectionLoss)  # the recipe makes sure of it
    draws = Draws.of(stage, sizes)
    size = step_size(stage.batch_size, objective, draws, sizes)
    learns = _learns(model)
    cached = recipe.loading.cache_features and not learns
    fresh = draws.distinct(sizes, known)
    encoded = sum(fresh.values()) if cached else float(draws.samples)
    if cached:
        known.update(fresh)
    flops = {name: float(draws.steps * found) for name, found in step_flops(model, objective, size).items()}
    flops[ENCODER] = 0.0 if learns else encoder_flops(model.vision) * encoded
    flops = {name: found for name, found in flops.items() if found}
    rates = {name: rate(model.vision if name in ("encoder", ENCODER) else model.heads, device) for name in flops}
    # Only what is encoded ahead is shared among devices; see `distributed.share`.
    shared = {name: count if name == ENCODER and cached else 1 for name in flops}
    return StageCost(
        name=stage.name,
        learning=learning(model),
        steps=draws.steps,
        samples=draws.samples,
        tokens=draws.samples * draws.mean(sizes, lambda size: size.text_tokens),
        supervised=draws.samples * draws.mean(sizes, lambda size: size.supervised),
        encoded=encoded,
        row=float(len(size.phrases)),
        micro_batches=1,
        busy=1 / count,
        flops=flops,
        seconds={name: found / (device.utilisation * shared[name] * rates[name]) for name, found in flops.items()},
        memory=_memory(recipe, stage, model, trained, size, device, count),
        cache_bytes=encoded * feature_bytes(model.vision) if cached else 0.0,
    )


def _memory(
    recipe: Recipe,
    stage: StageConfig,
    model: OpenVocabularyDetector,
    trained: Trained,
    size: StepSize,
    device: DeviceSpec,
    count: int,
) -> list[MemoryItem]:
    assert isinstance(stage.objective, DetectionLoss)
    live = not recipe.loading.cache_features or _learns(model)
    items = standing(model, trained, [*getattr(model.vision, "blocks", [])], count)
    table = sum(buffer.numel() * buffer.element_size() for buffer in model.text.buffers())
    kept = step_bytes(model, stage.objective, size, device)
    found = {f"activations: {name}": float(bytes_) for name, bytes_ in kept.items()}
    found["pictures"] = size.pictures * 3.0 * model.vision.preparation.size**2 if live else 0.0
    frozen = live and not _learns(model)
    found["working memory of the encoder"] = float(encoder_working_bytes(model.vision)) if frozen else 0.0
    found["features"] = 0.0 if _learns(model) else size.pictures * feature_bytes(model.vision)
    return [*items, MemoryItem("word embeddings", table, table), *passing(found, device)]


def _inputs(model: OpenVocabularyDetector, size: StepSize) -> Tensor:
    if _learns(model):
        return empty_pixels(model.vision.preparation.size, size.pictures)
    return empty_features(model.vision, size.pictures)


def _learns(model: OpenVocabularyDetector) -> bool:
    """Whether the encoder does."""
    return any(parameter.requires_grad for parameter in model.vision.parameters())


def _note(model: OpenVocabularyDetector) -> str:
    """What using the model costs."""
    phrase = counted_flops(lambda: model.text(["a thing"]))
    directions = torch.empty(1, model.heads.embedding.out_features, device="meta")

    def asked(phrases: int) -> int:
        return counted_flops(lambda: model.heads(empty_features(model.vision, 1), directions.expand(phrases, -1)))

    one, two = asked(1), asked(2)
    encoding = encoder_flops(model.vision)
    picture = encoding + one
    return (
        f"a picture is {len(model.heads.get_buffer('places')):,} cells and takes {picture:.2e} FLOPs ({encoding / picture:.0%} "
        f"of them the encoder's), each more phrase {phrase:.2e} and {two - one:.2e} on each picture"
    )


def _fitting(
    recipe: Recipe,
    index: int,
    model: OpenVocabularyDetector,
    trained: Trained,
    sizes: Mapping[str, BoxSize],
    device: DeviceSpec,
    cost: StageCost,
) -> list[str]:
    """What to do where a stage does not fit: its batch is computed whole, for all its pictures are asked all its phrases."""
    stage = recipe.stages[index]
    assert isinstance(stage.objective, DetectionLoss)
    if cost.whole_bytes <= device.memory:
        return []
    batch, needed = stage.batch_size, cost.whole_bytes
    while batch > 1 and needed > device.memory:
        batch //= 2
        size = step_size(batch, stage.objective, Draws.of(stage, sizes), sizes)
        needed = sum(item.whole for item in _memory(recipe, stage, model, trained, size, device, 1))
    found = []
    if needed <= device.memory:
        found.append(
            f"{stage.name}: does not fit; stages.{index}.batch_size={batch} does, with {gibibytes(needed)}, "
            "but its pictures are asked fewer phrases of others: it is another training"
        )
    return found + larger_devices(cost)
