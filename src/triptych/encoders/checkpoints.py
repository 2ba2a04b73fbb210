"""Weights of our own towers, from wherever they are: a run of Triptych, a folder or a file of a known format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from triptych.encoders.architecture import Pixels, TextArchitecture, VisionArchitecture
from triptych.encoders.config import TextTransformerConfig, VisionTransformerConfig
from triptych.encoders.preparation import CLIP_MEAN, HALF, IMAGENET_MEAN
from triptych.encoders.published import Published
from triptych.encoders.towers import preprocessing
from triptych.errors import WeightsError, one_line
from triptych.formats import DUALS, recognise, values_of
from triptych.weights import fetch
from triptych.weights.accounting import Difference, fill, matches, places_of
from triptych.weights.pretrained import load_config
from triptych.weights.run_folder import is_run, recipe_values, weights_file
from triptych.weights.tensor_files import read_tensors

TRAINED = {
    "vision": ("vision.*",),
    "text": ("text.*",),
    "projections": ("vision.projection.*", "text.projection.*"),
}
"""Parts that a stage of a dual encoder trains, and the names of their tensors."""

MEANS: dict[tuple[float, ...], Pixels] = {CLIP_MEAN: "clip", IMAGENET_MEAN: "imagenet", HALF: "half"}


@dataclass(frozen=True)
class Shapes:
    """What a place tells about its towers; None where it tells nothing.

    Args:
        vision: The image side's architecture.
        text: The text side's.
        embed_dim: Channels of the space that both share.
    """

    vision: VisionArchitecture | None = None
    text: TextArchitecture | None = None
    embed_dim: int | None = None


@dataclass(frozen=True)
class Weights:
    """What was found.

    Args:
        origin: Where, for messages.
        state: Tensors by our names: `vision.…`, `text.…`, `logit_scale`, `logit_bias`.
        shapes: What the place tells about them.
    """

    origin: str
    state: dict[str, Tensor]
    shapes: Shapes


def read(uri: str, base: Path | None = None) -> Weights:
    """The weights of a URI, by our names.

    Raises:
        WeightsError: There are none, or they are in no known format.
    """
    path = fetch(uri, base=base)
    where = f"weights {uri}"
    if is_run(path):
        return Weights(where, _state_of_run(path, where), _shapes(path, where))
    tensors = read_tensors(path, where)
    return Weights(where, recognise(tensors, where).ours(tensors), _shapes(path, where))


def shapes(uri: str, base: Path | None = None) -> Shapes:
    """What a URI tells about its towers, without reading weights.

    Raises:
        WeightsError: Nothing is there, or what it says is of no family of ours.
    """
    return _shapes(fetch(uri, base=base), f"weights {uri}")


def load(module: nn.Module, weights: Weights, side: str) -> None:
    """Put the weights of one side in place. What the module was built without is left out.

    Args:
        module: The tower, or the part of it that is needed.
        weights: As `read` found them.
        side: `vision` or `text`.

    Raises:
        WeightsError: A tensor is missing, without a place, or of another shape.
    """
    given = {
        name.removeprefix(f"{side}."): tensor for name, tensor in weights.state.items() if name.startswith(f"{side}.")
    }
    if not given:
        raise WeightsError(f"{weights.origin}: there is no {side} tower in it")
    fill(
        places_of(module),
        given,
        weights.origin,
        may_lack=("mask_token",),
        may_have=[name for name in given if _left_out(name, module)],
        hint="Is it another `architecture`?",
    )


def _left_out(name: str, module: nn.Module) -> bool:
    """Whether a tensor belongs to what is cut off behind the chosen layer, or to pretraining."""
    first, _, rest = name.partition(".")
    if first == "blocks":
        built: Any = module.blocks
        return int(rest.partition(".")[0]) >= len(built)
    return getattr(module, first, None) is None and first in {"norm", "pool", "projection", "mask_token"}


def _shapes(path: Path, where: str) -> Shapes:
    if is_run(path):
        vision, text, embed_dim, base = _recipe(path, where)
        found = {"vision": vision.architecture, "text": text.architecture if text is not None else None}
        for side, config in (("vision", vision), ("text", text)):
            if config is not None and config.weights is not None and found[side] is None:
                found[side] = getattr(shapes(config.weights, base), side)
        return Shapes(found["vision"], found["text"], embed_dim)  # type: ignore[arg-type]
    if not (path / "config.json").is_file():
        return Shapes()
    config = load_config(path, where)
    if config.model_type in DUALS:
        dual = dual_of(config, _pixels(path))
        return Shapes(dual.vision, dual.text, dual.embed_dim)
    return Shapes(vision_of(config, _pixels(path)))


def _state_of_run(path: Path, where: str) -> dict[str, Tensor]:
    """Of a dual encoder trained here. What its stages did not train is where its own recipe took it from."""
    vision, text, _, base = _recipe(path, where)
    file = weights_file(path, where)
    state: dict[str, Tensor] = {}
    for side, config in (("vision", vision), ("text", text)):
        if config is not None and config.weights is not None:
            before = read(config.weights, base).state
            state |= {name: tensor for name, tensor in before.items() if name.startswith(f"{side}.")}
    trained = read_tensors(file, where)
    learnt = [name for name in state if name not in trained and matches(name, _trained_parts(path, where))]
    Difference(missing=tuple(learnt)).without(("*.mask_token",)).require_none(f"{where}: {file}")
    return {**state, **trained}


def _trained_parts(path: Path, where: str) -> list[str]:
    """Patterns of the tensors that the stages of a run trained."""
    stages = recipe_values(path, where).get("stages") or []
    parts = {part for stage in stages if isinstance(stage, dict) for part in stage.get("train") or []}
    return [pattern for part in parts for pattern in TRAINED.get(part, ())]


def _recipe(path: Path, where: str) -> tuple[VisionTransformerConfig, TextTransformerConfig | None, int | None, Path]:
    """The towers of a run's recipe (None for a text side that is not ours), their shared space, and the base of paths."""
    recipe = recipe_values(path, where)
    model = recipe["model"]
    if model.get("kind") != "dual":
        raise WeightsError(
            f"{where}: its model is of kind {model.get('kind', 'composed')!r}; only a run of `kind: dual` has towers"
        )
    try:
        vision = VisionTransformerConfig.model_validate(model["vision"])
        own = model["text"].get("kind", "transformer") == "transformer"
        text = TextTransformerConfig.model_validate(model["text"]) if own else None
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise WeightsError(f"{where}: its recipe does not say what its towers are ({one_line(error)})") from error
    return vision, text, model.get("embed_dim"), path / str(recipe.get("base", "."))


def vision_of(config: Any, pixels: Pixels | None = None) -> VisionArchitecture:
    """The architecture of a vision tower's configuration in transformers, or of that inside a whole model's.

    Args:
        config: Of CLIP, SigLIP or BLIP-2 (EVA-01).
        pixels: How pixels are normalised; None takes what the family is published with.

    Raises:
        WeightsError: It is of another family, or has an option that ours do not.
    """
    return VisionArchitecture(**values_of(config, "vision") | ({} if pixels is None else {"pixels": pixels}))


def text_of(config: Any) -> TextArchitecture:
    """The architecture of a text tower's configuration in transformers, or of that inside a whole model's.

    Raises:
        WeightsError: It is of another family, or has an option that ours do not.
    """
    return TextArchitecture(**values_of(config, "text"))


def dual_of(config: Any, pixels: Pixels | None = None) -> Published:
    """The two towers of a whole model's configuration, and the space that they share; arguments and errors as above."""
    text = text_of(config)
    return Published(vision_of(config, pixels), text, int(DUALS[config.model_type].embed_dim(config)))


def _pixels(path: Path) -> Pixels | None:
    """The word for a folder's mean of pixels; None where it says nothing.

    Raises:
        WeightsError: The mean is none of ours.
    """
    mean = preprocessing(path).get("image_mean")
    if mean is None:
        return None
    for ours, word in MEANS.items():
        if max(abs(a - b) for a, b in zip(ours, mean, strict=True)) < 1e-3:
            return word
    raise WeightsError(
        f"{path}: pixels have the mean {mean}, which is neither CLIP's, ImageNet's nor one half; "
        "take `kind: huggingface` for this encoder"
    )
