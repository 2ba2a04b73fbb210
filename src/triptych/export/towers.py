"""The image encoder of a run as a vision model of transformers, complete to its last layer."""

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
from triptych.export.finished import Finished
from triptych.families.composed.config import ModelConfig
from triptych.model.composed import MultimodalModel
from triptych.weights.formats import format_called


@dataclass(frozen=True)
class Tower:
    """A vision model of transformers.

    Args:
        config: Its configuration.
        state: Its weights.
        layer: Which hidden state the run takes, or `output`.
        classes: Tokens in front of the patches.
        kept: Whether the run keeps them.
        preparation: How pictures become pixels.
        mean: Of the pixels, 0–1.
        std: Likewise.
    """

    config: Any
    state: dict[str, Tensor]
    layer: int | str
    classes: int
    kept: bool
    preparation: ImagePreparation
    mean: tuple[float, ...]
    std: tuple[float, ...]


def image_config(run: Finished) -> HuggingFaceConfig | VisionTransformerConfig | None:
    """The run's image encoder where it is a vision transformer."""
    model = run.recipe.model
    encoder = model.encoders.image if isinstance(model, ModelConfig) else None
    return encoder if isinstance(encoder, HuggingFaceConfig | VisionTransformerConfig) else None


def misfits_of_tower(run: Finished, kinds: tuple[str, ...] = ()) -> Iterator[str]:
    """What of a run's encoder transformers' vision models cannot hold.

    Args:
        run: The run.
        kinds: Model types that are possible; all without any.
    """
    model = run.recipe.model
    if not isinstance(model, ModelConfig) or model.encoders.image is None:
        yield "model.encoders.image: there is no image encoder"
        return
    for modality in model.encoders.others:
        yield f"model.encoders.{modality}: the format holds an encoder of images only"
    config = image_config(run)
    if config is None:
        yield (
            f"model.encoders.image.kind: {model.encoders.image.kind!r} is none of transformers' vision transformers; "
            "`huggingface` is, and `vit`"
        )
        return
    if isinstance(config, HuggingFaceConfig) and config.unit:
        yield "model.encoders.image.unit: features of length one exist in Kosmos only"
    assert isinstance(run.model, MultimodalModel)
    if isinstance(probed := run.model.encoder("image"), ProbedEncoder):
        kind = probed.model.config.model_type
        yield f"model.encoders.image: a tower of {kind!r} has no place in this format; {', '.join(sorted(PLAIN_TOWERS))} have"
        return
    encoder = _encoder(run)
    if isinstance(encoder, HuggingFaceEncoder):
        own, kind = encoder.model.config.image_size, encoder.model.config.model_type
    else:
        own, kind = encoder.tower.architecture.image_size, _family_of(encoder)
        if kind is None:
            yield "model.encoders.image.architecture: transformers has a tower like CLIP's, SigLIP's and EVA-01's only"
    if config.resolution is not None and config.resolution != own:
        yield (
            f"model.encoders.image.resolution: {config.resolution} is not the tower's own {own}, which transformers reads "
            "pictures at"
        )
    if kinds and kind is not None and kind not in kinds:
        yield f"model.encoders.image: a tower of {kind!r} does not fit; {' or '.join(kinds)} would"


def tower_of(run: Finished) -> Tower:
    """The run's tower; layers behind the one that the run takes are as its weights had them.

    Raises:
        WeightsError: These weights are no longer there.
    """
    config, encoder = image_config(run), _encoder(run)
    assert config is not None
    whole = build_encoder(config.model_copy(update={"layer": "output", "precision": "float32"}), Path(run.recipe.base))
    if isinstance(encoder, HuggingFaceEncoder):
        assert isinstance(whole, HuggingFaceEncoder)
        state = {**whole.model.state_dict(), **encoder.model.state_dict()}
        vision = type(whole.model.config)(**whole.model.config.to_dict())
        classes = encoder._prefix
        normalise = encoder.normalise
    else:
        assert isinstance(whole, VisionTransformerEncoder) and isinstance(encoder, VisionTransformerEncoder)
        ours = {**whole.tower.state_dict(), **encoder.tower.state_dict()}
        vision, state = _of_ours(encoder, {name: tensor for name, tensor in ours.items() if name != "mask_token"})
        classes = encoder.tower.prefix
        normalise = encoder.tower.normalise
    return Tower(
        config=vision,
        state=state,
        layer=config.layer,
        classes=classes,
        kept=not config.drop_cls,
        preparation=encoder.preparation,
        mean=tuple(value / 255 for value in normalise.mean),
        std=tuple(value / 255 for value in normalise.std),
    )


def _encoder(run: Finished) -> HuggingFaceEncoder | VisionTransformerEncoder:
    assert isinstance(run.model, MultimodalModel)
    encoder = run.model.encoder("image")
    assert isinstance(encoder, HuggingFaceEncoder | VisionTransformerEncoder)
    return encoder


FAMILIES = {
    "clip_vision_model": "transformers CLIP vision, bare",
    "siglip_vision_model": "transformers SigLIP vision, bare",
    "blip_2_vision_model": "transformers BLIP-2 vision (EVA-01), bare",
}
"""Model types and the formats that hold our towers as them."""


def _family_of(encoder: VisionTransformerEncoder) -> str | None:
    """The model type that our tower can be written as; None where there is none."""
    shape = encoder.tower.architecture
    if shape.rope is not None or shape.sub_norm != "none" or shape.activation == "swiglu":
        return None
    if shape.norm_pre and shape.class_token and shape.attention_bias == "all" and not shape.patch_bias:
        return "clip_vision_model"
    if shape.norm_pre or not shape.patch_bias:
        return None
    if not shape.class_token and shape.attention_bias == "all":
        return "siglip_vision_model"
    return "blip_2_vision_model" if shape.class_token and shape.attention_bias == "query_value" else None


def _of_ours(encoder: VisionTransformerEncoder, state: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
    """Configuration and weights of transformers' class for our tower."""
    from transformers import AutoConfig

    from triptych.encoders.transformers_shapes import theirs_of

    kind = _family_of(encoder)
    assert kind is not None
    shape = encoder.tower.architecture
    values = {**theirs_of(shape), "image_size": shape.image_size, "patch_size": shape.patch_size}
    if kind == "siglip_vision_model":
        values["vision_use_head"] = False
    fmt = format_called(FAMILIES[kind])
    own = {f"vision.{name}": tensor for name, tensor in state.items() if not name.startswith(("pool.", "projection."))}
    return AutoConfig.for_model(kind, **values), fmt.theirs(own)
