"""Detectors of transformers behind one interface, from tiny local folders with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from parity import detectors as verified
from parity.check import Check
from triptych.conversation import Image
from triptych.errors import WeightsError
from triptych.grounding.detectors.build import build_detector
from triptych.grounding.detectors.config import DetectorConfig, GroundingDinoConfig, OwlConfig
from triptych.grounding.detectors.detector import Detector, suppress
from triptych.grounding.detectors.grounding_dino import caption

KINDS = ("owlvit", "owlv2", "grounding_dino")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    verified.tiny_owl(made["owlvit"], "owlvit")
    verified.tiny_owl(made["owlv2"], "owlv2")
    verified.tiny_grounding_dino(made["grounding_dino"])
    return made


def config(kind: str, folder: Path, **options: object) -> DetectorConfig:
    weights = f"file:{folder}"
    if kind == "grounding_dino":
        return GroundingDinoConfig(**{"weights": weights, "threshold": 0.7, "text_threshold": 0.7, **options})  # type: ignore[arg-type]
    return OwlConfig(**{"kind": kind, "weights": weights, "threshold": 0.2, "prompt": "{}", **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def detectors(folders: dict[str, Path]) -> dict[str, Detector]:
    return {kind: build_detector(config(kind, folder)) for kind, folder in folders.items()}


@pytest.mark.parametrize("check", [verified.owlvit, verified.owlv2, verified.grounding_dino])
def test_boxes_scores_and_phrases_are_those_of_transformers(check: Callable[[], Iterator[Check]]) -> None:
    found = list(check())
    assert len(found) == 6
    assert all(one.equal for one in found), [one for one in found if not one.equal]


@pytest.mark.parametrize("kind", KINDS)
def test_regions_are_in_pixels_of_the_picture_named_by_their_phrase_best_first(
    detectors: dict[str, Detector], kind: str
) -> None:
    found = detectors[kind].detect(Image(verified.drawn((90, 60))), verified.PHRASES)
    assert found
    for detection in found:
        left, top, right, bottom = detection.region.box
        assert (detection.region.frame.width, detection.region.frame.height) == (90, 60)
        assert 0 <= left < right <= 90 and 0 <= top < bottom <= 60
        assert detection.region.name in verified.PHRASES
    scores = [detection.score for detection in found]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("kind", ["owlvit", "owlv2"])
def test_what_is_asked_of_other_pictures_of_a_batch_changes_nothing(detectors: dict[str, Detector], kind: str) -> None:
    pictures = [Image(verified.drawn(size)) for size in ((90, 60), (50, 70), (64, 64))]
    asked = [["dog"], ["red apple", "dog", "small green tree"], []]
    together = detectors[kind].detect_many(pictures, asked)
    assert together[2] == []
    for picture, phrases, found in zip(pictures, asked, together, strict=True):
        alone = detectors[kind].detect(picture, phrases)
        assert [one.region.name for one in found] == [one.region.name for one in alone]
        for one, other in zip(found, alone, strict=True):
            assert one.region.box == pytest.approx(other.region.box, abs=1e-3)


def test_grounding_dino_reads_lower_case_with_dots() -> None:
    assert caption(["Red Apple", "a dog?  ", "No. 7"]) == "red apple. a dog. no 7."


def test_grounding_dino_answers_no_phrase_for_boxes_that_only_a_dot_found(detectors: dict[str, Detector]) -> None:
    detector = detectors["grounding_dino"]
    _, owners = detector.texts([["red apple", "dog"]])  # type: ignore[attr-defined]
    logits = torch.full((1, 3, 32), -10.0)
    logits[0, 0, 3] = logits[0, 1, 2] = logits[0, 2, 4] = 5.0  # the dot behind "apple", "apple", "dog"
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2]] * 3])
    (found,) = detector.read(logits, boxes, [(100, 50)], owners)  # type: ignore[attr-defined]
    assert found.phrases.tolist() == [0, 1]
    assert found.boxes[0].tolist() == pytest.approx([40, 20, 60, 30])


def test_owl_prompts(folders: dict[str, Path]) -> None:
    detector = build_detector(config("owlvit", folders["owlvit"], prompt="a photo of {a}"))
    written = [detector.written(phrase) for phrase in ("apple", "dog", "the red dog")]  # type: ignore[attr-defined]
    assert written == ["a photo of an apple", "a photo of a dog", "a photo of the red dog"]
    with pytest.raises(ValueError, match="where the phrase stands"):
        OwlConfig(kind="owlvit", weights="hf:a/b", prompt="a photo")


def test_owlv2_boxes_are_shares_of_the_padded_square(detectors: dict[str, Detector]) -> None:
    logits = torch.tensor([[[3.0], [3.0]]])
    boxes = torch.tensor([[[0.5, 0.25, 0.5, 0.5], [0.5, 0.9, 0.2, 0.2]]])
    (wide,) = detectors["owlv2"].read(logits, boxes, [(80, 40)], [1])  # type: ignore[attr-defined]
    assert wide.boxes[0].tolist() == pytest.approx([20, 0, 60, 40])
    regions = detectors["owlv2"]._regions(wide, ["dog"])
    assert len(regions) == 1  # the other box lies in the filling
    (squeezed,) = detectors["owlvit"].read(logits, boxes, [(80, 40)], [1])  # type: ignore[attr-defined]
    assert squeezed.boxes[0].tolist() == pytest.approx([20, 0, 60, 20])


def test_of_overlapping_boxes_of_one_phrase_the_better_stays() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [1, 1, 11, 11], [20, 20, 30, 30]])
    phrases = torch.tensor([0, 0, 1, 0])
    assert suppress(boxes, phrases, [1, 0, 2, 3], 0.5) == [1, 2, 3]
    assert suppress(boxes, phrases, [1, 0, 2, 3], 0.7) == [1, 0, 2, 3]  # their IoU is 81 / 119


def test_a_folder_of_another_model_is_answered_with_a_name(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        build_detector(config("owlvit", tmp_path / "nothing"))
    with pytest.raises(WeightsError, match="Owlv2ForObjectDetection"):
        build_detector(config("owlv2", folders["grounding_dino"]))
    with pytest.raises(ValueError, match="2 pictures and 1 lists"):
        build_detector(config("owlvit", folders["owlvit"])).detect_many([Image(b""), Image(b"")], [["dog"]])


def test_sam_cuts_the_masks_out_that_transformers_cuts_out(tmp_path: Path) -> None:
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    from parity.sam import tiny_sam
    from triptych.conversation import NORMALISED, Frame, Region
    from triptych.grounding.detectors.config import SamMasksConfig
    from triptych.grounding.detectors.sam_masks import SamMasks

    tiny_sam().save_pretrained(tmp_path)
    SamImageProcessorPil(size={"longest_edge": 24}, pad_size={"height": 24, "width": 24}).save_pretrained(tmp_path)
    sam = SamMasks.from_config(SamMasksConfig(weights=f"file:{tmp_path}"))
    picture = verified.drawn((90, 60))
    boxes = [Region((9.0, 6.0, 60.0, 48.0), Frame(90, 60), "dog"), Region((0.5, 0.0, 1.0, 1.0), NORMALISED)]
    found = sam.mask(Image(picture), boxes)
    assert [region.box for region in found] == [region.box for region in boxes]
    prepared = sam.processor([picture], return_tensors="pt")
    shape = prepared["reshaped_input_sizes"][0].tolist()
    assert shape == [16, 24]
    scaled = torch.tensor([[[9 * 24 / 90, 6 * 16 / 60, 60 * 24 / 90, 48 * 16 / 60], [12.0, 0, 24, 16]]])
    with torch.no_grad():
        outputs = sam.model(pixel_values=prepared["pixel_values"], input_boxes=scaled, multimask_output=False)
    (masks,) = sam.processor.post_process_masks(outputs.pred_masks, [(60, 90)], [shape])
    for region, mask in zip(found, masks, strict=True):
        assert region.mask is not None
        assert (region.mask.decode() == mask[0].numpy()).all()
    assert sam.mask(Image(picture), []) == []
