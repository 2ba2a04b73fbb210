"""Pointing by embedding: which state is decoded, what is supervised, regions in questions, and generation with a cache."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tiny_regions import REGIONS, Rectangles, shown
from tiny_world import World
from triptych import distributed
from triptych.conversation import NORMALISED, Conversation, Frame, Region, assistant, user
from triptych.conversation.expression import DESCRIBE
from triptych.data.mixture import Mixture
from triptych.decoders.config import MaskDecoderConfig
from triptych.decoders.regions import Decoded
from triptych.decoders.targets import coverage, targets
from triptych.encoders.preparation import ImagePreparation
from triptych.errors import RecipeError
from triptych.families.composed.grounding import judges_masks
from triptych.families.composed.objectives import Regions
from triptych.families.composed.regions import decode, supervised
from triptych.generate.config import GenerationSettings
from triptych.generate.generator import Generator
from triptych.grounding.embedding_grounder import EmbeddingGrounder, scores_of, to_region
from triptych.grounding.grounding import Describer
from triptych.model.build import build
from triptych.model.composed import MultimodalModel
from triptych.recipe import Recipe
from triptych.sequence.pack import Batch, pack
from triptych.sequence.plan import Refusal
from triptych.training.data import make_reader
from triptych.training.objectives import Balanced
from triptych.training.objectives import build as build_objective
from triptych.training.parts import freeze

CHANGES = {
    "model.regions": REGIONS,
    "data": {"regions": {"kind": "tiny_regions:Rectangles", "count": 12}},
    "stages": [
        {"name": "ground", "train": ["adapters", "language", "regions"], "mixture": {"regions": 1},
         "objective": {"kind": "regions", "mask_quality": 1.0}, "steps": 3, "batch_size": 6, "micro_rows": 2,
         "learning_rate": 1e-3, "checkpoint_every": 2},
    ],
}  # fmt: skip


@pytest.fixture
def recipe(world: World, tiny_cache: Path) -> Recipe:
    return world.recipe(CHANGES)


@pytest.fixture
def pointer(recipe: Recipe) -> MultimodalModel:
    return build(recipe).eval()


def batch_of(model: MultimodalModel, recipe: Recipe, size: int = 12) -> Batch:
    sources = {"regions": Rectangles(count=12)}
    batch = make_reader(model, recipe, sources, Mixture({"regions": 12}, {"regions": 1.0}, 0), size, recipe.stages[0])(
        0
    ).batch
    assert isinstance(batch, Batch)
    return batch


def test_the_state_that_predicts_the_token_is_decoded(pointer: MultimodalModel, recipe: Recipe) -> None:
    """LISA's: what stands in front of [SEG] decides; the token itself, and what follows, is not even read."""
    picture, region = shown(1)
    conversation = Conversation((user(picture, "the red?"), assistant("red", region)))
    layout = pointer.plan(conversation)
    ((place, meant),) = layout.regions
    assert meant == region
    assert layout.ids[place] == pointer.regions.answer  # type: ignore[union-attr]
    batch = pack([layout], 96)
    pixels = pointer.encoder("image").prepare(picture)
    batch = batch.with_prepared("image", (pixels,))
    with torch.no_grad():
        whole, _ = decode(pointer, batch, pointer(batch), supervised(batch))
        ids = batch.ids.clone()
        ids[0, place:] = 7  # something else from there on
        other, _ = decode(pointer, batch, pointer(replace(batch, ids=ids)), supervised(batch))
        ids[0, place - 1] = 9
        changed, _ = decode(pointer, batch, pointer(replace(batch, ids=ids)), supervised(batch))
    torch.testing.assert_close(whole.masks, other.masks)
    assert not torch.allclose(whole.masks, changed.masks)  # type: ignore[arg-type]


def test_only_regions_of_answers_are_supervised_and_follow_their_rows(pointer: MultimodalModel, recipe: Recipe) -> None:
    batch = batch_of(pointer, recipe)
    panel = pointer.regions
    assert panel is not None
    for at in batch.regions:
        token = int(batch.ids[at.row, at.position])
        assert token == (panel.answer if at in supervised(batch) else panel.question)
    names = {document.id: document.media for document in batch.conversations}
    expected = sum(len(Rectangles()[i].messages[1].regions) for i in range(12))
    assert len(supervised(batch)) == expected
    assert len(batch.regions) - expected == 6
    found = [
        (str(part.media[at.medium].key), at.region, part.ids[at.row, at.position].item())
        for part in batch.split(1)
        for at in part.regions
    ]
    whole = [
        (str(batch.media[at.medium].key), at.region, batch.ids[at.row, at.position].item()) for at in batch.regions
    ]
    assert sorted(found, key=str) == sorted(whole, key=str)
    assert len(names) == 12


def test_any_split_gives_the_same_loss_and_gradient(pointer: MultimodalModel, recipe: Recipe) -> None:
    """Means over tokens, regions and masks are over the whole step, however its rows are cut."""
    freeze(pointer, recipe.stages[0])
    batch = batch_of(pointer, recipe)
    objective = build_objective(Regions(mask_quality=1.0))
    assert isinstance(objective, Balanced)

    def gradients(parts: list[Batch]) -> tuple[float, dict[str, torch.Tensor], dict[str, float]]:
        objective.balance(pointer, parts)  # type: ignore[union-attr]
        count = sum(objective.count(part) for part in parts)
        pointer.zero_grad()
        total = 0.0
        for part in parts:
            loss = objective(pointer, part)
            (loss.total / count).backward()
            total += float(loss.total.detach())
        found = {name: p.grad.clone() for name, p in pointer.named_parameters() if p.grad is not None}
        return total / count, found, objective.figures()  # type: ignore[union-attr]

    whole_loss, whole, figures = gradients([batch])
    assert {"regions.decoder.mask.mask_tokens", "regions.asked.network.layers.0.weight"} < set(whole)
    assert any(name.startswith("language.regions") for name in whole)
    parts = batch.split(2)
    assert len({len(supervised(part)) for part in parts}) > 1
    loss, split, same = gradients(parts)
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    assert same == pytest.approx(figures, rel=1e-4)
    for name, gradient in whole.items():
        torch.testing.assert_close(split[name], gradient, rtol=1e-3, atol=1e-5)


def test_regions_without_a_box_do_not_thin_the_losses_of_the_others(pointer: MultimodalModel, recipe: Recipe) -> None:
    """The same loss for the same boxes, whether the batch also holds regions of which nothing is left to see, or not."""
    batch = batch_of(pointer, recipe)
    objective = build_objective(Regions(tokens=0, mask_dice=0, mask_cross_entropy=0))
    assert isinstance(objective, Balanced)
    answered = supervised(batch)

    def losses(emptied: int, removed: int) -> dict[str, float]:
        gone, empty = answered[:removed], answered[removed : removed + emptied]
        regions = tuple(
            replace(at, region=replace(at.region, box=(5.0, 5.0, 5.0, 5.0), mask=None)) if at in empty else at
            for at in batch.regions
            if at not in gone
        )
        part = replace(batch, regions=regions)
        objective.balance(pointer, [part])
        objective(pointer, part)
        return {name: value for name, value in objective.figures().items() if name.startswith("box_")}

    with torch.no_grad():
        whole = losses(emptied=0, removed=3)
        assert set(whole) == {"box_l1", "box_giou"}
        assert losses(emptied=3, removed=0) == pytest.approx(whole, rel=1e-4)


def test_logged_losses_are_those_of_all_ranks(
    pointer: MultimodalModel, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ranks, of which one has text alone, log the losses of the whole step."""
    batch = batch_of(pointer, recipe)
    first, *others = batch.split(2)
    parts = [first, *(replace(part, regions=()) for part in others)]  # their regions are not looked at
    assert others
    shares: list[torch.Tensor] = []

    def logged(own: list[Batch]) -> dict[str, float]:
        objective = build_objective(Regions())
        assert isinstance(objective, Balanced)
        objective.balance(pointer, parts)
        with torch.no_grad():
            for part in own:
                objective(pointer, part)
        return objective.figures()

    def summed(tensors: list[torch.Tensor]) -> None:
        (own,) = tensors
        shares.append(own.clone())
        own += sum(shares[:-1], torch.zeros_like(own))

    whole = logged(parts)
    assert set(whole) == {"token_loss", "box_l1", "box_giou", "mask_dice", "mask_cross_entropy"}
    monkeypatch.setattr(distributed, "sum_over_ranks", summed)
    assert set(logged([])) == set()  # a rank without rows still takes part
    logged(parts[:1])
    rest = logged(parts[1:])
    assert len({share.shape for share in shares}) == 1 and rest == pytest.approx(whole, rel=1e-4)


def talkative(model: MultimodalModel) -> MultimodalModel:
    """The model made to answer with region tokens: their row of the head is made like the states that it meets."""
    assert model.language.regions is not None
    assert model.regions is not None
    picture, _ = shown(0)
    batch = pack([model.plan(Conversation((user(picture, "the red?"),)), reply=True)], 96)
    batch = batch.with_prepared("image", (model.encoder("image").prepare(picture),))
    with torch.no_grad():
        state = model(batch)[0, -1].float()
        model.language.regions.names[model.regions.answer - model.language.regions.first] = 3 * state / state.norm()
    return model


def test_generation_with_a_cache_decodes_what_the_whole_forward_does(pointer: MultimodalModel) -> None:
    """Prompts of unequal length, one with a region in it, answered in one batch: states equal those read at once."""
    talkative(pointer)
    panel = pointer.regions
    assert panel is not None
    pictures = [shown(i) for i in range(3)]
    asked = [
        Conversation((user(pictures[0][0], "the red?"),)),
        Conversation((user(pictures[1][0], "left of ", pictures[1][1], "?"),)),
        Conversation(
            (user(pictures[2][0], "hello"), assistant("red", pictures[2][1]), user("and the green on the left?"))
        ),
    ]
    settings = GenerationSettings(max_new_tokens=4, batch_size=8)
    answers = Generator(pointer).answers(asked, settings, watched=panel.answer)
    assert sum(len(answer.states) for answer in answers) >= 6
    for conversation, answer in zip(asked, answers, strict=True):
        layout = pointer.plan(conversation, reply=True)
        whole = replace(
            layout, ids=(*layout.ids, *answer.tokens), labels=(*layout.labels, *[-100] * len(answer.tokens))
        )
        batch = pack([whole], 96)
        prepared = tuple(pointer.encoder("image").prepare(medium) for medium in batch.media)
        with torch.no_grad():
            hidden = pointer(batch.with_prepared("image", prepared))[0]
        places = [len(layout) + i - 1 for i, token in enumerate(answer.tokens) if token == panel.answer]
        torch.testing.assert_close(answer.states, hidden[places], rtol=1e-4, atol=1e-5)


def test_a_region_in_a_question_is_told_by_what_it_shows_and_where_it_is(pointer: MultimodalModel) -> None:
    picture, region = shown(0)
    other = Region((20, 20, 30, 30), region.frame)

    def embedded(asked: Region) -> torch.Tensor:
        layout = pointer.plan(Conversation((user(picture, "left of ", asked, "?"),)), reply=True)
        ((place, _),) = layout.regions
        generator = Generator(pointer)
        with torch.inference_mode():
            prompt = generator._plan(Conversation((user(picture, "left of ", asked, "?"),)), GenerationSettings())
            return generator._embed(prompt, 0, len(layout))[place]

    first = embedded(region)
    torch.testing.assert_close(first, embedded(region))
    assert not torch.allclose(first, embedded(other))
    spread = pointer.language.embedding.weight.std()
    assert 0.3 < first.std() / spread < 3


def test_a_recipe_may_refuse_regions_in_questions(world: World, tiny_cache: Path) -> None:
    model = build(world.recipe({**CHANGES, "model.regions": {**REGIONS, "questions": False}}))
    picture, region = shown(0)
    with pytest.raises(Refusal, match="questions: true"):
        model.plan(Conversation((user(picture, "what is ", region, "?"),)), reply=True)
    assert model.regions is not None
    assert model.regions.asked is None


def test_a_region_before_any_picture_is_refused(pointer: MultimodalModel) -> None:
    _, region = shown(0)
    with pytest.raises(Refusal, match="before any picture"):
        pointer.plan(Conversation((user("what is ", region, "?"),)), reply=True)


def test_without_a_token_there_is_no_region_and_with_one_there_is(pointer: MultimodalModel) -> None:
    grounder = EmbeddingGrounder(Generator(pointer), pointer_config(pointer))
    picture, region = shown(0)
    silent = grounder.ground(picture, "the red")
    assert silent.verdict == "invalid" or silent.regions  # gibberish, but no "none"
    talkative(pointer)
    pairs = [(shown(i)[0], "the red") for i in range(3)]
    for (image, _), found in zip(pairs, grounder.ground_many(pairs), strict=True):
        assert found.verdict == "valid"
        assert len(found.regions) == len(found.scores) > 0
        for one in found.regions:
            width, height = image.open().size
            assert one.frame == Frame(width, height)
            assert one.mask is not None
            assert (one.mask.width, one.mask.height) == (width, height)
            assert one.clip().box == one.box
    assert region.frame == Frame(40, 32)


def pointer_config(model: MultimodalModel):  # type: ignore[no-untyped-def]
    from triptych.decoders.config import EmbeddingRegionsConfig

    del model
    return EmbeddingRegionsConfig(**REGIONS)


def test_a_model_that_points_otherwise_is_said(model: MultimodalModel) -> None:
    with pytest.raises(RecipeError, match="kind: embedding"):
        EmbeddingGrounder(Generator(model), pointer_config(model))


@pytest.mark.parametrize("fit", ["pad", "squash", "crop"])
def test_targets_are_where_the_pixels_go(fit: str) -> None:
    """A bright rectangle drawn, prepared, and looked for by its brightness: the target mask and box say the same place."""
    picture, region = shown(2)
    preparation = ImagePreparation(32, fit)  # type: ignore[arg-type]
    seen = preparation(picture).float()
    red = (seen[0] - seen[2] > 60).numpy()
    truth = targets([region], preparation, (32, 32))
    assert truth.has_mask.all()
    found = truth.masks[0].numpy() > 0
    assert (found & red).sum() / (found | red).sum() > 0.85
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    box = Region.from_corners((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), Frame(32, 32))
    assert Region.from_cxcywh(truth.boxes[0].tolist(), NORMALISED).iou(box) > 0.8
    share = coverage(Region(region.box, region.frame), preparation, (8, 8))
    np.testing.assert_allclose(
        share.sum() / 64, Region.from_cxcywh(truth.boxes[0].tolist(), NORMALISED).area, atol=1e-5
    )


def drawn(level: float, count: int = 1) -> Decoded:
    """Masks alone, the left half of which has these logits and the right half -9."""
    masks = torch.full((count, 8, 8), -9.0)
    masks[:, :, :4] = level
    return Decoded(None, masks, torch.full((count,), 7.0))


def test_an_empty_mask_is_nothing_found(pointer: MultimodalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    preparation = ImagePreparation(32, "squash")
    assert to_region(drawn(-1.0), 0, Frame(40, 32), preparation) is None
    half = to_region(drawn(1.0), 0, Frame(40, 32), preparation)
    assert half is not None and half.box == pytest.approx((0, 0, 20, 32), abs=3)
    grounder = EmbeddingGrounder(Generator(pointer), pointer_config(pointer))
    talkative(pointer)
    assert pointer.regions is not None
    for level, verdict in ((1.0, "valid"), (-1.0, "none")):
        monkeypatch.setattr(pointer.regions.decoder, "forward", lambda hidden, *_, at=level: drawn(at, len(hidden)))
        found = grounder.ground(shown(0)[0], "the red")
        assert (found.verdict, bool(found.regions)) == (verdict, level > 0)


def test_scores_come_from_a_head_that_has_learned_or_from_the_mask(world: World, tiny_cache: Path) -> None:
    assert scores_of(drawn(2.0), judged=True) == [1.0]
    assert scores_of(drawn(2.0), judged=False) == pytest.approx([1 / (1 + math.exp(-2.0))])
    assert scores_of(drawn(-1.0), judged=False) == [0.0]
    boxes = torch.zeros(2, 4)
    assert scores_of(Decoded(boxes, None, None), judged=False) == [1.0, 1.0]

    def judges(weight: float, mask: object) -> bool:
        stage = {**CHANGES["stages"][0], "objective": {"kind": "regions", "mask_quality": weight}}  # type: ignore[index]
        recipe = world.recipe({**CHANGES, "stages": [stage]})
        return judges_masks(recipe, pointer_config(None).model_copy(update={"mask": mask}))

    random, sam = MaskDecoderConfig(), MaskDecoderConfig(weights="hf:facebook/sam-vit-base")
    assert [judges(0.0, random), judges(0.5, random), judges(0.0, sam), judges(0.5, None)] == [False, True, True, False]


def test_a_picture_is_described_with_regions(pointer: MultimodalModel) -> None:
    grounder = EmbeddingGrounder(Generator(pointer), pointer_config(pointer))
    assert isinstance(grounder, Describer)
    talkative(pointer)
    pictures = [shown(i)[0] for i in range(2)]
    described = grounder.describe_many(pictures)
    assert described == grounder.converse([Conversation((user(each, DESCRIBE),)) for each in pictures])
    assert all(found.regions and found.verdict == "valid" for found in described)
