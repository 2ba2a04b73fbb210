"""Detectors held against transformers: our boxes, scores and phrases, and those of its processors, from the same inputs.

Tiny models with random weights are written to folders as they come from the hub, and read by both sides from there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image as Pillow
from tokenizers import pre_tokenizers

from parity.check import Check
from parity.tiny.weights import randomise
from parity.tiny.words import word_level
from triptych.conversation import Image
from triptych.grounding.detectors.build import build_detector
from triptych.grounding.detectors.config import GroundingDinoConfig, OwlConfig
from triptych.grounding.detectors.detector import Detector
from triptych.weights.quiet import quiet

PHRASES = ("red apple", "dog", "small green tree")
SIZES = ((90, 60), (50, 70))
"""Width and height of the pictures: neither square nor of one shape."""

OWL_SCORES, DINO_SCORES = 0.2, 0.7
"""Thresholds that random weights pass about half of the time."""


def owlvit() -> Iterator[Check]:
    """OWL-ViT."""
    yield from _owl("owlvit")


def owlv2() -> Iterator[Check]:
    """OWLv2, on the pixels of our own preparation: that of transformers needs SciPy."""
    yield from _owl("owlv2")


def grounding_dino() -> Iterator[Check]:
    """GroundingDINO, and which words of its text each box belongs to."""
    from transformers import GroundingDinoProcessor

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny_grounding_dino(folder)
        config = GroundingDinoConfig(weights=f"file:{folder}", threshold=DINO_SCORES, text_threshold=DINO_SCORES)
        ours = build_detector(config)
        theirs = GroundingDinoProcessor(ours.processor, ours.tokenizer)  # type: ignore[attr-defined]
        for size in SIZES:
            picture = drawn(size)
            inputs = theirs(images=picture, text=[list(PHRASES)], return_tensors="pt")
            with torch.no_grad():
                outputs = ours.model(**inputs)  # type: ignore[attr-defined]
            (expected,) = theirs.post_process_grounded_object_detection(
                outputs, inputs["input_ids"], DINO_SCORES, DINO_SCORES, target_sizes=[picture.size[::-1]]
            )
            words = [set(label.replace(".", " ").split()) for label in expected["text_labels"]]
            kept = [i for i, own in enumerate(words) if own & set(" ".join(PHRASES).split())]
            yield from _compare(
                f"GroundingDINO, {size[0]} × {size[1]}",
                "transformers.GroundingDinoProcessor",
                ours,
                picture,
                expected["boxes"][kept],
                expected["scores"][kept],
                [words[i] for i in kept],
            )


def _owl(kind: Literal["owlvit", "owlv2"]) -> Iterator[Check]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny_owl(folder, kind)
        ours = build_detector(OwlConfig(kind=kind, weights=f"file:{folder}", threshold=OWL_SCORES, prompt="{}"))
        theirs = ours.processor  # type: ignore[attr-defined]
        for size in SIZES:
            picture = drawn(size)
            own = ours.pixels([picture])  # type: ignore[attr-defined]
            pixels = theirs([picture], return_tensors="pt")["pixel_values"] if kind == "owlvit" else own
            ids = ours.tokenizer(  # type: ignore[attr-defined]
                list(PHRASES), padding="max_length", max_length=8, truncation=True, return_tensors="pt"
            )
            with torch.no_grad():
                outputs = ours.model(  # type: ignore[attr-defined]
                    input_ids=ids["input_ids"], attention_mask=ids["attention_mask"], pixel_values=pixels
                )
            (expected,) = theirs.post_process_object_detection(outputs, OWL_SCORES, [picture.size[::-1]])
            phrases = [set(PHRASES[i].split()) for i in expected["labels"]]
            what = f"{'OWL-ViT' if kind == 'owlvit' else 'OWLv2'}, {size[0]} × {size[1]}"
            yield from _compare(
                what,
                f"transformers.{type(theirs).__name__}",
                ours,
                picture,
                expected["boxes"],
                expected["scores"],
                phrases,
            )


def _compare(
    what: str,
    reference: str,
    ours: Detector,
    picture: Pillow.Image,
    boxes: torch.Tensor,
    scores: torch.Tensor,
    words: Sequence[set[str]],
) -> Iterator[Check]:
    """Everything that we find, with what the reference finds inside the picture."""
    width, height = picture.size
    limits = torch.tensor([width, height, width, height])
    boxes = boxes.clamp(min=0).minimum(limits)
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    order = [i for i in scores.argsort(descending=True, stable=True).tolist() if inside[i]]
    detections = ours.detect(Image(picture), PHRASES)
    if not detections or len(detections) != len(order):
        raise ValueError(f"{what}: {len(detections)} boxes, and the reference finds {len(order)}")
    mine = torch.tensor([detection.region.box for detection in detections])
    yield Check(f"{what}: {len(detections)} boxes in pixels", reference, float((mine - boxes[order]).abs().max()), 1e-3)
    own = torch.tensor([detection.score for detection in detections])
    yield Check(f"{what}: scores", reference, float((own - scores[order]).abs().max()))
    wrong = sum(
        not (words[i] & set(detection.region.name.split())) for i, detection in zip(order, detections, strict=True)
    )
    yield Check(f"{what}: boxes of another phrase", reference, float(wrong), 0.0)


def drawn(size: tuple[int, int]) -> Pillow.Image:
    """A picture of this width and height, of random colours."""
    generator = torch.Generator().manual_seed(size[0])
    values = torch.randint(0, 256, (size[1], size[0], 3), generator=generator, dtype=torch.uint8)
    return Pillow.fromarray(values.numpy())


def tiny_owl(folder: Path, kind: Literal["owlvit", "owlv2"]) -> None:
    """Write a tiny OWL-ViT or OWLv2 with random weights, tokenizer and preprocessor config."""
    import transformers

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    words = ["[pad]", "[begin]", "[end]", "[unknown]", *sorted(set(" ".join(PHRASES).split()))]
    text = {**shape, "vocab_size": len(words), "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2}
    vision = {**shape, "image_size": 48, "patch_size": 8}
    name = "OwlViT" if kind == "owlvit" else "Owlv2"
    config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision, projection_dim=32)
    model = getattr(transformers, f"{name}ForObjectDetection")(config)
    randomise(model, 1)
    with quiet():
        model.save_pretrained(folder)
    tokens = {"bos_token": "[begin]", "eos_token": "[end]", "unk_token": "[unknown]", "pad_token": "[pad]"}
    _tokenizer(words, tokens, pre_tokenizers.WhitespaceSplit()).save_pretrained(folder)
    if kind == "owlvit":
        from transformers.models.owlvit.image_processing_pil_owlvit import OwlViTImageProcessorPil as Processor
    else:
        from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil as Processor
    Processor(size={"height": 48, "width": 48}).save_pretrained(folder)


def tiny_grounding_dino(folder: Path) -> None:
    """Write a tiny GroundingDINO with random weights, BERT tokenizer and preprocessor config.

    Its smallest form has two decoder layers and pictures of 128 pixels. The ids of `[CLS]`, `[SEP]`, `.` and `?` are
    BERT's, since they are written into transformers' code.
    """
    from transformers import GroundingDinoConfig as Shape
    from transformers import GroundingDinoForObjectDetection, SwinConfig
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

    words = [f"[unused{i}]" for i in range(1100)]
    for place, word in {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 1012: ".", 1029: "?"}.items():
        words[place] = word
    words[1040 : 1040 + 9] = ["red", "apple", "dog", "small", "green", "tree", "a", "the", "nothing"]
    text = {"model_type": "bert", "vocab_size": len(words), "hidden_size": 32, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 2, "intermediate_size": 64}
    backbone = SwinConfig(image_size=128, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4], window_size=4)
    backbone.out_indices = [2, 3, 4]
    config = Shape(
        backbone_config=backbone, text_config=text, num_queries=12, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, encoder_attention_heads=2, decoder_attention_heads=2, d_model=32, num_feature_levels=4,
        max_text_len=32,
    )  # fmt: skip
    torch.manual_seed(0)
    model = GroundingDinoForObjectDetection(config)
    randomise(model, 1)
    with quiet():
        model.save_pretrained(folder)
    tokens = {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]"}
    _tokenizer(words, tokens, pre_tokenizers.BertPreTokenizer()).save_pretrained(folder)
    GroundingDinoImageProcessorPil(size={"shortest_edge": 128, "longest_edge": 192}).save_pretrained(folder)


def _tokenizer(words: list[str], tokens: dict[str, str], pre_tokenizer: Any) -> Any:
    """Lower case, with the first two of the special tokens around a text."""
    from tokenizers import normalizers, processors

    begin, end = [*tokens.values()][:2]
    around = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(token, words.index(token)) for token in (begin, end)]
    )
    normalizer = normalizers.Lowercase()
    return word_level(words, tokens, normalizer=normalizer, pre_tokenizer=pre_tokenizer, post_processor=around)
