"""CLIP and SigLIP held against transformers: our towers' features, the logits and the losses of both.

Each check builds a tiny reference with random weights everywhere, carries them over by the format that foreign
checkpoints come in, compares; then carries weights of ours to the reference, and compares again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from parity.check import Check
from parity.compare import compare, largest_difference
from parity.tiny.towers import Towers, text_shape, vision_shape
from parity.tiny.weights import randomise
from triptych.encoders.checkpoints import dual_of
from triptych.encoders.published import Published
from triptych.errors import WeightsError
from triptych.formats import config_of, recognise
from triptych.formats.clip import LEGACY_END

END = 40
"""The end token: not the highest id, so that a tower which pools at the highest would be found out."""

LENGTHS = (9, 4, 6)
"""Of the texts."""


def contrastive(logits: Tensor) -> Tensor:
    """The symmetric loss of CLIP (Radford et al., 2021)."""
    own = torch.arange(len(logits))
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.t(), own)) / 2


def sigmoid(logits: Tensor) -> Tensor:
    """The pairwise loss of SigLIP (Zhai et al., 2023)."""
    return -functional.logsigmoid((2 * torch.eye(len(logits)) - 1) * logits).sum() / len(logits)


def clip() -> Iterator[Check]:
    """CLIP with both of its activations, pooled at the end token, and by the rule of old configurations."""
    yield from _dual("CLIP", _tiny("clip-b32"), contrastive, "CLIPModel", END)
    yield from _dual("CLIP, exact GELU", _tiny("clip-b32", activation="gelu"), contrastive, "CLIPModel", END)
    old = _tiny("clip-b32")
    old = Published(old.vision, old.text.model_copy(update={"pooling": "highest"}), old.embed_dim)
    yield from _dual("CLIP, end token of old configurations", old, contrastive, "CLIPModel", LEGACY_END)


def siglip() -> Iterator[Check]:
    """SigLIP with its attention pooling and padded texts."""
    yield from _dual("SigLIP", _tiny("siglip-b16"), sigmoid, "SiglipModel", END)


def _dual(what: str, model: Published, loss: Callable[[Tensor], Tensor], reference: str, end: int) -> Iterator[Check]:
    import transformers

    config = config_of(model, end)
    theirs = getattr(transformers, reference)(config).eval()
    read = dual_of(config, model.vision.pixels)
    if read != model:
        raise WeightsError(f"{what}: the configuration {config} was read as {read}, and it is {model}")
    ours = Towers(model).eval()
    pixels, ids, lengths = _inputs(model)
    fmt = recognise(theirs.state_dict(), reference)
    randomise(theirs, 1)
    ours.load_state_dict(fmt.ours(theirs.state_dict()))
    yield from _compare(
        f"{what}, their weights", f"transformers.{reference}", ours, theirs, (pixels, ids, lengths), loss
    )
    randomise(ours, 2)
    theirs.load_state_dict(fmt.theirs(ours.state_dict()))
    yield from _compare(f"{what}, our weights", f"transformers.{reference}", ours, theirs, (pixels, ids, lengths), loss)


def _compare(
    what: str,
    reference: str,
    ours: Towers,
    theirs: Any,
    inputs: tuple[Tensor, Tensor, Tensor],
    loss: Callable[[Tensor], Tensor],
) -> Iterator[Check]:
    pixels, ids, lengths = inputs
    normalised = ours.vision.normalise(pixels, torch.float32)
    with torch.no_grad():
        pictures, texts = ours.features(pixels, ids, lengths)
        logits = ours.logits(pictures, texts)
        expected = theirs(pixel_values=normalised, input_ids=ids, return_loss=True)
        states = expected.vision_model_output.last_hidden_state
        if ours.vision.pool is None:  # CLIP's output comes before its last normalisation
            states = theirs.vision_model.post_layernorm(states)
        yield compare(f"{what}: states of patches", reference, ours.vision(pixels), states)
        tokens = expected.text_model_output.last_hidden_state
        yield compare(f"{what}: states of tokens", reference, ours.text.states(ids, lengths), tokens)
    yield compare(f"{what}: image features", reference, pictures, expected.image_embeds)
    yield compare(f"{what}: text features", reference, texts, expected.text_embeds)
    yield compare(f"{what}: logits", reference, logits, expected.logits_per_image)
    yield compare(f"{what}: loss", reference, loss(logits), expected.loss)
    yield Check(f"{what}: gradients", reference, gradients(ours, theirs, inputs, loss))


def gradients(
    ours: Towers, theirs: Any, inputs: tuple[Tensor, Tensor, Tensor], loss: Callable[[Tensor], Tensor]
) -> float:
    """Of the loss by every weight: the largest difference, relative to the largest entry of that weight's gradient.

    In float64: sums that nearly cancel lose digits in float32, more on one processor than on another.
    """
    pixels, ids, lengths = inputs
    ours, theirs = copy.deepcopy(ours).double(), copy.deepcopy(theirs).double()
    loss(ours.logits(*ours.features(pixels, ids, lengths))).backward()  # type: ignore[no-untyped-call]
    theirs(pixel_values=ours.vision.normalise(pixels, torch.float64), input_ids=ids, return_loss=True).loss.backward()
    fmt = recognise(theirs.state_dict(), "the reference")
    mine = {name: parameter.grad for name, parameter in ours.named_parameters() if parameter.grad is not None}
    other = fmt.ours(
        {name: parameter.grad for name, parameter in theirs.named_parameters() if parameter.grad is not None}
    )
    if mine.keys() != other.keys():
        raise WeightsError(f"gradients differ in {sorted(mine.keys() ^ other.keys())}")
    largest = max(float(gradient.abs().max()) for gradient in other.values())
    return max(
        largest_difference(mine[name], other[name]) / max(float(other[name].abs().max()), 1e-3 * largest)
        for name in mine
    )


def _tiny(name: str, **options: Any) -> Published:
    """A published model with towers of different widths and a space of a third where they may."""
    vision = vision_shape(name, **{"patch_size": 6, "width": 32, **options})
    text = text_shape(name, **{"vocabulary": 50, "max_tokens": max(LENGTHS), "heads": 2, **options})
    return Published(vision, text, 32 if vision.projection == "none" else 20)


def _inputs(model: Published) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, and texts of different lengths that end with the end token and are padded behind it."""
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (len(LENGTHS), 3, 24, 24), generator=generator, dtype=torch.uint8)
    ids = torch.randint(3, END, (len(LENGTHS), max(LENGTHS)), generator=generator)
    lengths = torch.tensor(LENGTHS)
    if model.text.pooling != "last":
        ids[:, 1] = 45  # higher than the end token, and in front of it
    if model.text.pooling == "highest":
        ids[:, 1] = 5
    ids[torch.arange(len(ids)), lengths - 1] = END
    ids = ids.masked_fill(torch.arange(ids.shape[1]) >= lengths[:, None], model.text.pad)
    return pixels, ids, lengths
