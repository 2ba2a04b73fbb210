"""The detector that is trained here: its cells, its losses, and a whole run from recipe to boxes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from benchmarks.detection_scores import score_detector
from PIL import Image as Pillow
from typer.testing import CliRunner

from tiny_boxes import HEIGHT, WIDTH, Squares, recipe
from tiny_world import World
from triptych.api import load
from triptych.cli import app
from triptych.cli.commands.evaluate.recipe_tasks import evaluate_run
from triptych.conversation import NORMALISED, THOUSANDTHS, Conversation, Frame, Image, Region, assistant, user
from triptych.data.mixture import Mixture
from triptych.data.regions import regions_of
from triptych.decoders.geometry import centre_size, corners, generalised_iou
from triptych.encoders.config import Fit
from triptych.encoders.encoder import Level
from triptych.encoders.preparation import ImagePreparation
from triptych.errors import RecipeError
from triptych.families.detector.config import DetectionLoss
from triptych.families.detector.data import DetectionReader
from triptych.families.detector.model import Cells, OpenVocabularyDetector
from triptych.families.detector.objective import assign, focal
from triptych.families.detector.phrases import bare
from triptych.grounding.detectors.build import build_detector
from triptych.grounding.detectors.config import TrainedConfig
from triptych.model.build import build
from triptych.recipe import parse_recipe
from triptych.sequence.plan import Refusal
from triptych.training.loop import train


def test_cells_of_all_levels_stand_where_their_positions_are() -> None:
    """Each level is a map of its own stride; wherever it is finer or coarser than the cells, places must agree."""
    rows, columns, target = 2, 3, 2
    maps = {f: torch.randn(1, rows * f, columns * f, 5) for f in (4, 2, 1)}
    parts = []
    for f, values in maps.items():
        cells = values.reshape(1, rows, f, columns, f, 5).permute(0, 1, 3, 2, 4, 5)
        parts.append(cells.reshape(1, rows * columns, f * f * 5))
    module = Cells([Level(5, 4), Level(5, 2), Level(5, 1)], (rows, columns), target, 5 * 4 + 5 + 5)
    for i in range(3):
        module.norms[i] = torch.nn.Identity()
    with torch.no_grad():
        module.projection.weight.copy_(torch.eye(30))
        module.projection.bias.zero_()
        module.position.zero_()
    found = module(torch.cat(parts, dim=-1))
    assert found.shape == (1, 30, rows * target, columns * target)
    for y in range(rows * target):
        for x in range(columns * target):
            cell = found[0, :, y, x]
            fine = maps[4][0, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].reshape(-1)
            expected = torch.cat([fine, maps[2][0, y, x], maps[1][0, y // 2, x // 2]])
            assert torch.equal(cell, expected)


def test_the_middle_of_a_box_shows_it_and_its_rest_is_ignored() -> None:
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.45, 0.45, 0.8, 0.8]])
    found = assign(boxes, 8, 8)
    shown = found.box.view(8, 8)
    assert (
        shown[4:6, 4:6].tolist() == [[0, 1], [1, 1]] and (shown == 1).sum() == 3
    )  # each keeps the cell of its own centre
    assert shown[2, 2] == shown[3, 5] == 0 and shown[0, 0] == -1  # the middle half of the large one
    assert found.ignored.view(8, 8, 2)[0, 0].tolist() == [True, False]
    assert found.ignored.view(8, 8, 2)[5, 5].tolist() == [True, False]  # inside the large one, which it does not show
    for k in range(2):
        assert float(found.weight[found.box == k].sum()) == pytest.approx(1)
    tiny = assign(torch.tensor([[0.30, 0.30, 0.301, 0.301]]), 4, 4)
    assert (tiny.box >= 0).nonzero().tolist() == [[5]]


def test_losses_are_those_of_transformers() -> None:
    from transformers.loss.loss_for_object_detection import generalized_box_iou, sigmoid_focal_loss

    generator = torch.Generator().manual_seed(0)
    low, high = torch.rand(20, 2, generator=generator), torch.rand(20, 2, generator=generator)
    truth = torch.cat([torch.minimum(low, high), torch.maximum(low, high) + 0.01], dim=1)
    guess = truth[torch.randperm(20, generator=generator)]
    ours = generalised_iou(corners(centre_size(guess)), truth, centre_size(guess)[:, 2:].prod(dim=1))
    assert torch.allclose(ours, generalized_box_iou(guess, truth).diagonal(), atol=1e-5)
    logits, wanted = torch.randn(5, 7, generator=generator), (torch.rand(5, 7, generator=generator) > 0.5).float()
    config = DetectionLoss(alpha=0.3, gamma=1.5)
    theirs = sigmoid_focal_loss(logits, wanted, 1, alpha=0.3, gamma=1.5)
    assert torch.allclose(focal(logits, wanted, config).mean(1).sum(), theirs, atol=1e-5)


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return train(recipe(world, steps=150), tmp_path_factory.mktemp("runs") / "squares", quiet=True)


def test_a_run_learns_to_find_what_it_has_not_seen(run: Path) -> None:
    detector = build_detector(TrainedConfig(weights=f"run:{run}", threshold=0.05))
    hits = asked = 0
    wrong = []
    for i in range(40):
        conversation = Squares(seed=1)[i]
        truth = {region.name: region for region in regions_of(conversation)}
        found = detector.detect(next(iter(conversation.media)), ["red", "the green", "blue", "yellow"])
        assert all(detection.region.frame == Frame(WIDTH, HEIGHT) for detection in found)
        for name, region in truth.items():
            best = next((one for one in found if one.region.name.endswith(name)), None)
            hits += best is not None and best.region.iou(region) >= 0.4
            asked += 1
        wrong += [one.score for one in found if not any(one.region.name.endswith(name) for name in truth)]
    assert hits / asked > 0.8, (hits, asked)
    assert sum(score > 0.3 for score in wrong) < 0.1 * asked


def test_average_precision_of_a_run(run: Path) -> None:
    told = [Squares(seed=1)[i] for i in range(20)]
    scores = score_detector(build_detector(TrainedConfig(weights=f"run:{run}", threshold=0.01)), told)
    assert set(scores.by_name) == {"red", "green", "blue", "yellow"}
    assert scores.pictures == 20 and scores.boxes == sum(len(regions_of(one)) for one in told)
    assert scores.ap < scores.ap50 and scores.ap50 > 0.3
    deaf = score_detector(build_detector(TrainedConfig(weights=f"run:{run}", threshold=0.99)), told)
    assert deaf.ap50 < scores.ap50


def test_a_run_holds_what_was_learned_and_nothing_else(run: Path) -> None:
    from safetensors.torch import load_file

    names = load_file(run / "weights" / "model.safetensors").keys()
    assert {name.split(".")[0] for name in names} == {"heads", "text"}
    assert not any("table" in name for name in names)  # the language model's embeddings come from their own weights
    model, loaded = load(run).model, load(run).recipe
    assert isinstance(model, OpenVocabularyDetector) and loaded.name == "squares"


def test_a_text_tower_instead_of_embeddings(world: World, tiny_cache: Path) -> None:
    shape = {"max_tokens": 8, "width": 16, "layers": 1, "heads": 2}
    made = build(recipe(world, text={"kind": "transformer", "architecture": shape}, tokenizer="file:language"))
    assert isinstance(made, OpenVocabularyDetector)
    answers = made(torch.randn(2, 16, 16), ["red", "a blue square"])
    assert answers.logits.shape == (2, 16, 2) and answers.boxes.shape == (2, 16, 4)
    assert float(answers.objectness.detach().max()) < -4  # rare before anything was learned


def test_what_does_not_go_together_is_refused(world: World, tiny_cache: Path) -> None:
    with pytest.raises(RecipeError, match="fineness"):
        build(recipe(world, fineness=2))
    values = recipe(world).model_dump(mode="json")
    values["stages"][0]["objective"] = {"kind": "next_token"}
    with pytest.raises(RecipeError, match="learns by `detection` alone"):
        parse_recipe(values)
    with pytest.raises(RecipeError, match="kind: detector"):
        parse_recipe(world.values({"stages.0.objective": {"kind": "detection"}}))


def test_regions_with_names_are_what_a_detector_learns() -> None:
    region = Region((1, 2, 3, 4), Frame(10, 10), "dog")
    nameless = Region((1, 2, 3, 4), Frame(10, 10))
    assert regions_of(Conversation((user("q"), assistant("dog", region, "x", nameless)))) == [region]
    with pytest.raises(Refusal, match="name and a box"):
        regions_of(Conversation((user("q", region), assistant("dog"))))


def boxes_of(fit: Fit, *regions: Region) -> dict[str, list[float]]:
    """What a detector is taught of regions of a picture of 200 × 100."""
    reader = DetectionReader(
        {}, Mixture({"a": 1}, {"a": 1.0}, 0), 1, ImagePreparation(64, fit), ImagePreparation(64, fit), None
    )
    picture = Image(Pillow.new("RGB", (200, 100)))
    _, _, _, boxes, names, _ = reader._row(0, Conversation((user(picture, "what?"), assistant(*regions))))
    return dict(zip(names, boxes.tolist(), strict=True))


def test_boxes_of_any_frame_are_taught_where_the_pixels_are() -> None:
    pixels = Region((60, 20, 120, 80), Frame(200, 100), "dog")
    for frame in (pixels.frame, NORMALISED, THOUSANDTHS):
        assert boxes_of("pad", pixels.to(frame))["dog"] == pytest.approx([0.3, 0.35, 0.6, 0.65])


def test_what_is_cropped_away_is_not_taught() -> None:
    frame = Frame(200, 100)  # the encoder sees 50 … 150
    away, there = Region((0, 10, 40, 40), frame, "dog"), Region((0, 10, 100, 40), frame, "cup")
    assert boxes_of("crop", away, there) == {"cup": pytest.approx([0, 0.1, 0.5, 0.4])}
    with pytest.raises(Refusal, match="crops away everything"):
        boxes_of("crop", away)


@pytest.mark.parametrize(("phrase", "name"), [("The Dog.", "dog"), (" an  apple", "apple"), ("theatre", "theatre")])
def test_articles_and_capitals_mean_nothing(phrase: str, name: str) -> None:
    assert bare(phrase) == name


def test_who_wants_an_answer_of_a_detector_hears_what_it_can_do(run: Path) -> None:
    with pytest.raises(RecipeError, match=r"answers nothing.*triptych ground .*kind: call") as told:
        load(run).require("answers", str(run))
    assert "triptych match" not in str(told.value) and "weights: run:…" not in str(told.value)


def test_a_run_is_evaluated_and_points_from_the_terminal(run: Path, tmp_path: Path) -> None:
    found = evaluate_run(run).tasks["ground"]
    assert found.metrics["acc_50"].value > found.baselines["mean_box"].metrics["acc_50"].value + 0.3
    picture = tmp_path / "square.png"
    conversation = Squares(count=1, seed=9)[0]
    next(iter(conversation.media)).open().save(picture)
    name = next(part.name for part in conversation.messages[1].parts if isinstance(part, Region))
    result = CliRunner().invoke(app, ["ground", str(run), f"the {name}", "--image", str(picture)])
    (told,) = json.loads(result.stdout)["found"]
    assert told["verdict"] == "valid" and told["regions"][0]["name"] == name
