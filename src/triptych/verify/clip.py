"""CLIP and SigLIP held against transformers: our towers' features, the logits and the losses of both.

Each check builds a tiny reference with random weights everywhere, carries them over by the format that foreign
checkpoints come in, compares; then carries weights of ours to the reference, and compares again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.encoders.architecture import TextArchitecture, VisionArchitecture
from triptych.encoders.published import PUBLISHED, Published
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.transformers_shapes import LEGACY_END, config_of, dual_of
from triptych.encoders.vit import VisionTower
from triptych.errors import WeightsError
from triptych.verify.check import Check, largest_difference
from triptych.weights.formats import recognise

END = 40
"""The end token: not the highest id, so that a tower which pools at the highest would be found out."""

LENGTHS = (9, 4, 6)
"""Of the texts."""


class Towers(nn.Module):
    """Both towers and the temperature, by the names that formats know."""

    def __init__(self, model: Published) -> None:
        super().__init__()
        self.vision = VisionTower(model.vision, model.embed_dim)
        self.text = TextTower(model.text, model.embed_dim)
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.logit_bias = nn.Parameter(torch.zeros(())) if model.vision.pooling == "attention" else None

    def features(self, pixels: Tensor, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Of pictures and of texts, `[N, E]`, of length one."""
        pictures, texts = self.vision.encode(pixels), self.text(ids, lengths)
        return functional.normalize(pictures, dim=-1), functional.normalize(texts, dim=-1)

    def logits(self, pictures: Tensor, texts: Tensor) -> Tensor:
        """By picture and text `[N, N]`."""
        out = self.logit_scale.exp() * pictures @ texts.t()
        return out if self.logit_bias is None else out + self.logit_bias


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
    found = dual_of(config, model.vision.pixels)
    if found != model:
        raise WeightsError(f"{what}: the configuration {config} was read as {found}, and it is {model}")
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
    shown = ours.vision.normalise(pixels, torch.float32)
    with torch.no_grad():
        pictures, texts = ours.features(pixels, ids, lengths)
        logits = ours.logits(pictures, texts)
        expected = theirs(pixel_values=shown, input_ids=ids, return_loss=True)
        states = expected.vision_model_output.last_hidden_state
        if ours.vision.pool is None:  # CLIP's output comes before its last normalisation
            states = theirs.vision_model.post_layernorm(states)
        yield Check(f"{what}: states of patches", reference, largest_difference(ours.vision(pixels), states))
        tokens = expected.text_model_output.last_hidden_state
        yield Check(f"{what}: states of tokens", reference, largest_difference(ours.text.states(ids, lengths), tokens))
    yield Check(f"{what}: image features", reference, largest_difference(pictures, expected.image_embeds))
    yield Check(f"{what}: text features", reference, largest_difference(texts, expected.text_embeds))
    yield Check(f"{what}: logits", reference, largest_difference(logits, expected.logits_per_image))
    yield Check(f"{what}: loss", reference, largest_difference(loss(logits), expected.loss))
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


def randomise(module: nn.Module, seed: int) -> None:
    """Every parameter drawn anew: matrices at the scale of their inputs, gains around one, all else around zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            wide = parameter.ndim > 1 and parameter.shape[-1] > 1 and parameter.shape[0] > 1
            parameter.copy_(drawn * (parameter[0].numel() ** -0.5 if wide else 0.3))
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1)


def _tiny(name: str, **options: Any) -> Published:
    """A published model at a tiny size, with towers of different widths and a space of a third where they may."""
    published = PUBLISHED[name]
    vision = {**published.vision.model_dump(), "image_size": 24, "patch_size": 6, "width": 32, "layers": 3, "heads": 4}
    text = {**published.text.model_dump(), "vocabulary": 50, "max_tokens": max(LENGTHS), "layers": 2, "heads": 2}
    embed_dim = 32 if published.vision.projection == "none" else 20
    return Published(
        VisionArchitecture(**{**vision, **options}), TextArchitecture(**{**text, "width": 24, **options}), embed_dim
    )


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
