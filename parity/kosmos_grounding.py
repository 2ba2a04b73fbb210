"""Kosmos-2's grounded generation held against transformers: the same tokens, and the same regions out of them.

A tiny `Kosmos2ForConditionalGeneration` is taught for a second to write grounded captions of a few drawn pictures, so that
there is something to read; its weights are carried over. Both sides then see pictures and prompts as they come:

    picture, prompt ──► Kosmos2Processor ─► generate ─► post_process_generation ──► phrases, boxes
                    └─► Conversation ─────► Generator ─► formats.kosmos2 ─────────► phrases, boxes
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from PIL import Image as Pillow
from torch import Tensor

from parity.check import Check
from parity.kosmos import KOSMOS2, LATENTS, REFERENCE, composed, load, tiny_kosmos2
from parity.tiny.words import word_level
from triptych.conversation import NORMALISED, Image, Region
from triptych.generate.config import GenerationSettings
from triptych.generate.generator import Generator
from triptych.grounding.config import TextRegionsConfig
from triptych.grounding.formats.build import TextRegions, build_format
from triptych.grounding.formats.kosmos2 import Kosmos2, box_of, cells_of
from triptych.grounding.text_grounder import TextGrounder
from triptych.language.template import ChatTemplate

PROCESSOR = "transformers.Kosmos2Processor"
BINS = 32
SIDE = 32
"""Pixels of the tiny tower's input."""

REGIONS = TextRegionsConfig(
    bins=BINS, prompt="<grounding><phrase>{expression}</phrase>", caption_prompt="<grounding>a picture of"
)
"""How ours is asked."""

SEEN = (
    ("red", "a red square", ((2, 2, 14, 16),)),
    ("green", "two green squares", ((4, 18, 12, 30), (18, 6, 30, 12))),
    ("blue", "a blue square", ((16, 14, 28, 30),)),
)
"""Colour, phrase and boxes of what the pictures show, on a canvas of 32 × 32."""

STEPS, RATE = 200, 5e-3
"""Of teaching."""

Found = list[tuple[str, tuple[float, ...]]]
"""Phrases, each with the box behind it."""


def kosmos2_generation() -> Iterator[Check]:
    """Greedy tokens and the regions in them, of a model that writes grounded captions and of one that writes noise."""
    torch.manual_seed(0)
    processor = tiny_processor()
    reference = tiny_kosmos2(len(processor.tokenizer))
    reference.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    pictures = [_drawn(colour, boxes) for colour, _, boxes in SEEN]
    yield from _compare("random weights", processor, reference, pictures)
    _teach(reference, processor, pictures)
    yield from _compare("taught to ground", processor, reference, pictures, pointing=True)


def kosmos2_grid(count: int = 10_000) -> Iterator[Check]:
    """The grid of locations both ways on random boxes, and random well-formed answers read by both."""
    from transformers.models.kosmos2 import processing_kosmos2 as theirs

    draw = random.Random(0)
    wrong, apart = 0, 0.0
    for _ in range(count):
        bins = draw.choice((8, BINS, 64))
        (left, right), (top, bottom) = (sorted((draw.random(), draw.random())) for _ in range(2))
        cells = cells_of((left, top, right, bottom), bins)
        wrong += cells != theirs.coordinate_to_patch_index((left, top, right, bottom), bins)
        expected = theirs.patch_index_to_coordinate(*cells, bins)
        apart = max(apart, *(abs(a - b) for a, b in zip(box_of(*cells, bins), expected, strict=True)))
    where = "transformers.models.kosmos2"
    yield Check(f"Kosmos-2 grid: {count:,} random boxes with other cells", where, float(wrong), bound=0.0)
    yield Check(f"Kosmos-2 grid: boxes of {count:,} pairs of cells", where, apart, bound=1e-12)

    form = Kosmos2(BINS)
    answers = [_random_answer(draw, form) for _ in range(count // 10)]
    read = [
        (_ours_read(form, text), _theirs_read(theirs.clean_text_and_extract_entities_with_bboxes(text)[1]))
        for text in answers
    ]
    wrong = sum(mine != other for mine, other in read)
    yield Check(f"Kosmos-2 answers: {len(answers):,} read differently", where, float(wrong), bound=0.0)


def _compare(
    what: str, processor: Any, reference: Any, pictures: Sequence[Pillow.Image], pointing: bool = False
) -> Iterator[Check]:
    """Answers of the reference, one by one, and of our model with its weights, all at once."""
    tokenizer = processor.tokenizer
    form = build_format(REGIONS)
    ours = composed(reference, tokenizer, ChatTemplate(tokenizer, "kosmos-2", regions=TextRegions(form)))
    load(ours, KOSMOS2.ours(dict(reference.state_dict())))
    generator = Generator(ours)
    grounder = TextGrounder(generator, REGIONS)
    images = [Image(picture, key=f"picture {i}") for i, picture in enumerate(pictures)]
    questions = [
        question
        for image, (_, phrase, _) in zip(images, SEEN, strict=True)
        for question in (grounder.caption_request(image), grounder.request(image, phrase))
    ]
    prompts = [
        (picture, f"<grounding>{words}")
        for picture, (_, phrase, _) in zip(pictures, SEEN, strict=True)
        for words in ("a picture of", f"<phrase>{phrase}</phrase>")
    ]
    answers = generator.answers(questions, GenerationSettings(max_new_tokens=20, batch_size=len(questions)))
    expected = [reference_answer(reference, processor, picture, prompt) for picture, prompt in prompts]

    apart = sum(_differences(mine.tokens, theirs) for mine, theirs in zip(answers, expected, strict=True))
    places = sum(token in _locations(tokenizer) for theirs in expected for token in theirs)
    if not places:
        raise ValueError(f"Kosmos-2, {what}: the reference writes no location tokens")
    yield Check(
        f"Kosmos-2 generation, {what}: greedy tokens that differ, {places} locations among them",
        f"{REFERENCE}.generate",
        float(apart),
        bound=0.0,
    )
    if not pointing:
        return
    mine = [_ours_read(form, answer.reply.text) for answer in answers]
    theirs = [
        _theirs_read(processor.post_process_generation(tokenizer.decode(ids, skip_special_tokens=True))[1])
        for ids in expected
    ]
    boxes = sum(map(len, theirs))
    if boxes < len(prompts):
        raise ValueError(f"Kosmos-2, {what}: the reference's {len(prompts)} answers hold {boxes} boxes")
    wrong = sum(a != b for a, b in zip(mine, theirs, strict=True))
    yield Check(f"Kosmos-2 generation, {what}: answers with other regions, {boxes} boxes", PROCESSOR, float(wrong), 0.0)


def _differences(mine: Sequence[int], theirs: Sequence[int]) -> int:
    """In how many places two answers differ."""
    return sum(a != b for a, b in zip(mine, theirs, strict=False)) + abs(len(mine) - len(theirs))


def reference_answer(reference: Any, processor: Any, picture: Pillow.Image, prompt: str) -> list[int]:
    """The ids that the reference writes."""
    inputs = processor(images=picture, text=prompt, num_image_tokens=LATENTS, return_tensors="pt")
    with torch.inference_mode():
        ids: Tensor = reference.generate(
            **inputs, max_new_tokens=20, do_sample=False, pad_token_id=processor.tokenizer.pad_token_id
        )[0]
    return [int(i) for i in ids[inputs["input_ids"].shape[1] :]]


def _ours_read(form: Any, text: str) -> Found:
    return [(region.name, region.box) for region in form.parse(text).regions]


def _theirs_read(entities: Sequence[Any]) -> Found:
    """Entities of the reference; one without a phrase is named by its tokens there."""
    return [
        ("" if name.startswith("<patch_index_") else name, tuple(box)) for name, _, boxes in entities for box in boxes
    ]


def _random_answer(draw: random.Random, form: Kosmos2) -> str:
    """Words, phrases with one to three boxes, boxes without a phrase."""
    pieces: list[str] = []
    for _ in range(draw.randint(1, 4)):
        pieces.append(" ".join(draw.choices(("the", "dog", "near", "a", "cup"), k=draw.randint(0, 3))) + " ")
        phrase = draw.choice(("", "a red apple", " two dogs ", "it"))
        regions = [
            Region.from_corners([draw.random() for _ in range(4)], NORMALISED) for _ in range(draw.randint(1, 3))
        ]
        pieces += form.write(phrase, regions)
    return "".join(pieces)


def _teach(reference: Any, processor: Any, pictures: Sequence[Pillow.Image]) -> None:
    """Have the reference write a grounded caption of each picture, and where each phrase is."""
    tokenizer, form = processor.tokenizer, Kosmos2(BINS)
    pixels, rows, masks, labels = [], [], [], []
    for picture, (_, phrase, boxes) in zip(pictures, SEEN, strict=True):
        regions = [Region([v / SIDE for v in box], NORMALISED) for box in boxes]  # type: ignore[arg-type]
        pointed, tagged = "".join(form.write("", regions)), f"<phrase>{phrase}</phrase>"
        for prompt, answer in (("a picture of", f"{tagged}{pointed} on grey"), (tagged, pointed)):
            start = processor(images=picture, text=f"<grounding>{prompt}", num_image_tokens=LATENTS)
            target = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            rows.append([*start["input_ids"], *target])
            masks.append([*start["image_embeds_position_mask"], *(0 for _ in target)])
            labels.append([*(-100 for _ in start["input_ids"]), *target])
            pixels.append(torch.as_tensor(start["pixel_values"][0]))

    def filled(lists: list[list[int]], value: int) -> Tensor:
        length = max(map(len, lists))
        return torch.tensor([[*row, *[value] * (length - len(row))] for row in lists])

    batch = {
        "pixel_values": torch.stack(pixels),
        "input_ids": filled(rows, tokenizer.pad_token_id),
        "image_embeds_position_mask": filled(masks, 0),
        "labels": filled(labels, -100),
    }
    torch.manual_seed(1)
    with torch.no_grad():
        reference.text_model.model.embed_tokens.weight.mul_(0.2)
    optimiser = torch.optim.Adam(reference.parameters(), lr=RATE)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        optimiser.zero_grad()
        reference(**batch).loss.backward()
        optimiser.step()


def _drawn(colour: str, boxes: Sequence[tuple[int, int, int, int]]) -> Pillow.Image:
    """Rectangles on grey, on a canvas that is not the tower's."""
    picture = Pillow.new("RGB", (SIDE, SIDE), (120, 120, 120))
    for box in boxes:
        picture.paste(colour, box)
    return picture.resize((96, 80), Pillow.Resampling.NEAREST)


def tiny_processor() -> Any:
    """The reference's processor with a tokenizer of a few words; it adds its tags and the 1,024 locations itself."""
    from tokenizers import decoders, pre_tokenizers
    from transformers import Kosmos2Processor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    words = ["<s>", "<pad>", "</s>", "<unk>", *(f"<image_{i}>" for i in range(LATENTS))]
    words += [
        f"{space}{word}"
        for word in ["a", "picture", "of", "red", "green", "blue", "two", "square", "squares", "on", "grey"]
        for space in ("", "▁")
    ]
    tokenizer = word_level(
        words,
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="never"),
        decoder=decoders.Metaspace(prepend_scheme="never"),
    )
    size = {"height": SIDE, "width": SIDE}
    pixels = CLIPImageProcessorPil(size=size, do_center_crop=False, crop_size=size)
    return Kosmos2Processor(pixels, tokenizer, num_patch_index_tokens=BINS**2)


def _locations(tokenizer: Any) -> range:
    first = tokenizer.convert_tokens_to_ids("<patch_index_0000>")
    return range(first, first + BINS**2)
