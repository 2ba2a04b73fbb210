"""The image encoder of a run as a vision model of transformers, complete to its last layer, and its image processor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import PLAIN_TOWERS, HuggingFaceConfig, VisionTransformerConfig
from triptych.encoders.huggingface import HuggingFaceEncoder
from triptych.encoders.preparation import ImagePreparation
from triptych.encoders.probed import ProbedEncoder
from triptych.encoders.vit_encoder import VisionTransformerEncoder
from triptych.families.composed.config import ModelConfig
from triptych.formats import VISION, Shape
from triptych.interchange.finished import Finished
from triptych.model.composed import MultimodalModel

BILINEAR, BICUBIC = 2, 3
"""Pillow's numbers, which transformers' configurations use."""


@dataclass(frozen=True)
class Tower:
    """A vision model of transformers.

    Args:
        config: Its configuration.
        state: Its weights.
        layer: Which hidden state the run takes, or `output`.
        normed: Whether this comes out of the tower's last normalisation.
        classes: Tokens in front of the patches.
        kept: Whether the run keeps them.
        processor: Prepares pictures for it.
    """

    config: Any
    state: dict[str, Tensor]
    layer: int | str
    normed: bool
    classes: int
    kept: bool
    processor: Any


def misfits_of_tower(run: Finished, kinds: tuple[str, ...]) -> Iterator[str]:
    """What of a run's encoder transformers' vision models cannot hold.

    Args:
        run: The run.
        kinds: Model types that are possible.
    """
    model = run.recipe.model
    if not isinstance(model, ModelConfig) or not isinstance(run.model, MultimodalModel) or not model.encoders.image:
        yield "model.encoders.image: there is no image encoder"
        return
    for modality in model.encoders.others:
        yield f"model.encoders.{modality}: the format holds an encoder of images only"
    config, encoder = model.encoders.image, run.model.encoder("image")
    if isinstance(config, HuggingFaceConfig) and config.unit:
        yield "model.encoders.image.unit: features of length one exist in Kosmos only"
    match encoder:
        case HuggingFaceEncoder():
            own, kind = encoder.model.config.image_size, encoder.model.config.model_type
        case VisionTransformerEncoder():
            shape = _shape_of(encoder)
            own, kind = encoder.tower.architecture.image_size, shape.model_types[0] if shape is not None else None
            if kind is None:
                yield "model.encoders.image.architecture: transformers has a tower like CLIP's, SigLIP's and EVA-01's only"
        case ProbedEncoder():
            kind, known = encoder.model.config.model_type, ", ".join(sorted(PLAIN_TOWERS))
            yield f"model.encoders.image: a tower of {kind!r} has no place in this format; {known} have"
            return
        case _:
            yield (
                f"model.encoders.image.kind: {config.kind!r} is none of transformers' vision transformers; "
                "`huggingface` is, and `vit`"
            )
            return
    resolution = getattr(config, "resolution", None)
    if resolution is not None and resolution != own:
        yield (
            f"model.encoders.image.resolution: {resolution} is not the tower's own {own}, which transformers reads "
            "pictures at"
        )
    if kind is not None and kind not in kinds:
        yield f"model.encoders.image: a tower of {kind!r} does not fit; {' or '.join(kinds)} would"


def tower_of(run: Finished) -> Tower:
    """The run's tower, where it fits; layers behind the one that the run takes are as its weights had them.

    Raises:
        WeightsError: These weights are no longer there.
    """
    model = run.recipe.model
    assert isinstance(run.model, MultimodalModel) and isinstance(model, ModelConfig)
    encoder, config = run.model.encoder("image"), model.encoders.image
    assert isinstance(config, HuggingFaceConfig | VisionTransformerConfig)
    options = {"layer": "output", "precision": "float32"}
    whole: Any = build_encoder(config.model_copy(update=options), Path(run.recipe.base))
    normed = config.layer == "output"
    if isinstance(encoder, HuggingFaceEncoder):
        state = {**whole.model.state_dict(), **encoder.model.state_dict()}
        vision = type(whole.model.config)(**whole.model.config.to_dict())
        classes, normalise = encoder._prefix, encoder.normalise
        normed &= vision.model_type != "clip_vision_model"  # of which transformers normalises the class token alone
    else:
        assert isinstance(encoder, VisionTransformerEncoder)
        vision, state = _of_ours(encoder, {**whole.tower.state_dict(), **encoder.tower.state_dict()})
        classes, normalise = encoder.tower.prefix, encoder.tower.normalise
    mean, std = (tuple(value / 255 for value in values) for values in (normalise.mean, normalise.std))
    processor = image_processor(encoder.preparation, mean, std)
    return Tower(vision, state, config.layer, normed, classes, not config.drop_cls, processor)


def _shape_of(encoder: VisionTransformerEncoder) -> Shape | None:
    """The kind of tower in transformers that has the layers of ours; None where there is none."""
    own = encoder.tower.architecture
    beside = {"mask_token", "pooling", "projection"}
    return next((shape for shape in VISION if beside.issuperset(shape.odd(own))), None)


def _of_ours(encoder: VisionTransformerEncoder, state: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
    """Configuration and weights of transformers' class for our tower."""
    from transformers import AutoConfig

    shape = _shape_of(encoder)
    assert shape is not None and shape.alone is not None
    values = {**shape.theirs(encoder.tower.architecture), **shape.headless}
    beside = ("mask_token", "pool.", "projection.")
    own = {f"vision.{name}": tensor for name, tensor in state.items() if not name.startswith(beside)}
    return AutoConfig.for_model(shape.model_types[0], **values), shape.alone.theirs(own)


def image_processor(preparation: ImagePreparation, mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    """The image processor of transformers that prepares pictures as a run's encoder does.

    A picture that is padded is padded before it is resized there and after it here, so pixels near an edge may differ by
    a rounding.

    Args:
        preparation: What the encoder does.
        mean: Of the pixels, 0–1.
        std: Likewise.
    """
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    size = preparation.size
    common = {
        "image_mean": [round(value, 9) for value in mean],
        "image_std": [round(value, 9) for value in std],
        "resample": BILINEAR if preparation.bilinear else BICUBIC,
        "crop_size": {"height": size, "width": size},
        "do_convert_rgb": True,
    }
    match preparation.fit:
        case "pad":
            return LlavaImageProcessorPil(do_pad=True, size={"shortest_edge": size}, **common)
        case "crop":
            return CLIPImageProcessorPil(size={"shortest_edge": size}, **common)
        case "squash":
            return CLIPImageProcessorPil(size={"height": size, "width": size}, do_center_crop=False, **common)
