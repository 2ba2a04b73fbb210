"""What a plan says of detectors, against steps of the real objective."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tiny_boxes import recipe
from tiny_world import World
from triptych.console import make_console
from triptych.families.detector.batch import DetectionBatch
from triptych.families.detector.config import DetectionLoss
from triptych.families.detector.model import OpenVocabularyDetector
from triptych.families.detector.objective import DetectionObjective
from triptych.families.detector.plan import StepSize, step_bytes, step_flops
from triptych.families.detector.shape import build_detector_shape
from triptych.families.detector.sizes import BoxSize, box_sizes, phrases_of
from triptych.model.build import build
from triptych.planner import DeviceSpec, plan, render
from triptych.planner.activations import kept_bytes
from triptych.recipe import Recipe
from triptych.sequence.pack import Document
from triptych.training.parts import freeze, set_mode

CPU = DeviceSpec("cpu", "a CPU", 1e12, 1e11, 2**34, 0.4, 0.0, "made up")
NAMES = ["red", "green", "blue"]
TOWER = {"kind": "transformer", "architecture": {"max_tokens": 8, "width": 16, "layers": 2, "heads": 2}}


def pair_of_models(chosen: Recipe, train: list[str]) -> tuple[OpenVocabularyDetector, OpenVocabularyDetector]:
    """Real and on the meta device, both as a stage trains them that trains these parts."""
    real = build(chosen)
    assert isinstance(real, OpenVocabularyDetector)
    tokenizer = getattr(real.text, "tokenizer", None) or real.text.words.tokenizer  # type: ignore[union-attr]
    shape = build_detector_shape(chosen, tokenizer=tokenizer)
    for model in (real, shape):
        set_mode(model, freeze(model, chosen.stages[0].model_copy(update={"train": train})), "train")
    return real, shape


def batch_of(model: OpenVocabularyDetector, count: int, live: bool = False) -> DetectionBatch:
    """Pictures of three boxes each."""
    torch.manual_seed(0)
    low = torch.rand(count, 3, 2) * 0.5
    return DetectionBatch(
        None if live else torch.randn(count, 16, model.vision.dim),
        torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8) if live else None,
        tuple(torch.cat([low, low + 0.1 + torch.rand(count, 3, 2) * 0.4], dim=-1)),
        tuple((name, "red", "blue") for name, _ in zip(NAMES * count, range(count), strict=False)),
        (),
        tuple(Document(i, str(i), {}, (i,)) for i in range(count)),
    )


@pytest.mark.parametrize(
    ("train", "text"),
    [(["heads", "text"], None), (["heads"], None), (["vision", "heads", "text"], None), (["heads", "text"], TOWER)],
)
def test_flops_are_those_of_the_real_objective(world: World, train: list[str], text: dict[str, object] | None) -> None:
    """To the last one, with the encoder in the step where it learns."""
    changes = {"text": text, "tokenizer": "file:language"} if text else {}
    real, shape = pair_of_models(recipe(world, **changes), train)
    batch, loss = batch_of(real, 6, live="vision" in train), DetectionLoss()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        DetectionObjective(loss)(real, batch).total.backward()
    phrases = [*batch.vocabulary, "thing"]
    assert sum(step_flops(shape, loss, StepSize(6, 3, phrases)).values()) == counter.get_total_flops()


def test_activations_are_what_a_real_step_keeps(world: World) -> None:
    """Less what the boxes keep of the cells that show something."""
    real, shape = pair_of_models(recipe(world), ["heads", "text"])
    batch, loss = batch_of(real, 12), DetectionLoss()
    known = [*real.parameters(), *real.buffers(), batch.features]
    measured = kept_bytes(lambda: DetectionObjective(loss)(real, batch).total, known)  # type: ignore[arg-type]
    size = StepSize(12, 3, [*batch.vocabulary, "thing"])
    assert sum(step_bytes(shape, loss, size, CPU).values()) == pytest.approx(measured, rel=0.1)


def test_parts_are_those_of_the_model(world: World) -> None:
    model = build(recipe(world))
    for part in plan(recipe(world), "h100").parts:
        assert part.parameters == sum(p.numel() for _, p in model.part(part.name))


def test_phrases_of_a_batch_are_those_that_come_up_in_it() -> None:
    size = BoxSize("some", 10, 1.0, 2.0, 2.0, "", named={"often": 1.0, "half": 0.5, "seldom": 0.01})
    assert phrases_of({"some": size}, {"some": 1}) == ["often", "half"]  # 1 + 0.5 + 0.01, rounded
    assert phrases_of({"some": size}, {"some": 200}) == ["often", "half", "seldom"]
    other = BoxSize("other", 10, 1.0, 2.0, 2.0, "", named={"else": 1.0})
    assert set(phrases_of({"some": size, "other": other}, {"some": 5, "other": 5})) == {"often", "half", "else"}


def test_boxes_are_counted_in_the_records(world: World) -> None:
    found = box_sizes(recipe(world))["squares"]
    assert found.records == 200 and 1 < found.supervised < 2 and set(found.named) == {*NAMES, "yellow"}
    assert sum(found.named.values()) == pytest.approx(found.supervised)


def test_features_are_made_once_and_further_devices_stand_idle(world: World) -> None:
    one, two = (plan(recipe(world, steps=100), "h100", count) for count in (1, 2))
    stage = one.stages[0]
    assert stage.samples == 1600 and stage.encoded == 200 and stage.cache_bytes == 200 * 16 * 16 * 4
    assert two.stages[0].seconds["heads"] == stage.seconds["heads"]
    assert two.stages[0].seconds["frozen encoder"] == stage.seconds["frozen encoder"] / 2
    assert any("stand idle" in line for line in two.suggestions) and not one.suggestions
    with (shown := make_console()).capture() as text:
        shown.print(render(one))
    assert "phrases in a batch" in text.get() and "boxes in it" in text.get() and "16 cells" in text.get()
