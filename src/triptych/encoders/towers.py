"""Vision models of transformers, alone or inside a checkpoint of several parts: which class, which part, which weights."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from triptych.encoders.config import HuggingFaceConfig
from triptych.errors import RecipeError, TriptychError, WeightsError, quoted
from triptych.files import read_object
from triptych.weights import fetch
from triptych.weights.pretrained import load_config, load_pretrained

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

Colour = tuple[float, float, float]

HALVES = ("vision_config", "thinker_config")
"""Where configurations of several parts keep that of the tower, or of the part that has it."""


@dataclass(frozen=True)
class VisionPart:
    """The vision model of a configuration.

    Args:
        config: Its own configuration.
        kind: Its class.
        prefix: Its place in the modules of the whole model, a dotted name; "" where it stands alone.
    """

    config: PreTrainedConfig
    kind: type[PreTrainedModel]
    prefix: str

    @property
    def renaming(self) -> dict[str, str]:
        """Patterns of a checkpoint's names, with whatever stands before the prefix, to those of the part alone."""
        return {rf"^(?:[\w.]*\.)?{re.escape(self.prefix)}\.": ""} if self.prefix else {}


def vision_part(config: Any) -> VisionPart:
    """The vision model that a configuration describes, or that inside it.

    Raises:
        RecipeError: There is none.
    """
    from transformers import AutoModel

    tower = vision_config(config)
    if tower is config:
        return VisionPart(tower, type(_shapes(AutoModel, tower)), "")
    try:
        whole = _shapes(AutoModel, config)
    except RecipeError:
        return VisionPart(tower, type(_shapes(AutoModel, tower)), "")
    from transformers import PreTrainedModel

    for name, module in whole.named_modules():
        if name and isinstance(module, PreTrainedModel) and type(module.config) is type(tower):
            return VisionPart(tower, type(module), name)
    raise RecipeError(f"encoder: {type(whole).__name__} has no vision model inside that stands alone")


def vision_config(config: Any) -> Any:
    """The vision model's configuration, also out of that of a model of several parts."""
    for name in HALVES:
        inner = getattr(config, name, None)
        if inner is not None and hasattr(inner, "model_type"):
            return vision_config(inner)
    return config


def _shapes(kind: Any, config: Any) -> Any:
    """A model of which only the shapes are real."""
    try:
        with torch.device("meta"):
            return kind.from_config(config)
    except Exception as error:  # configurations are checked by no one before
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RecipeError(
            f"encoder: model type {config.model_type!r} is no vision model that transformers builds ({first})"
        ) from error


def model_type(config: HuggingFaceConfig, base: Path | None = None) -> str:
    """The model type of a recipe's vision model.

    Raises:
        WeightsError: The weights cannot be had, or hold no configuration.
        RecipeError: Transformers knows no such model type.
    """
    if config.weights is None:
        return str(vision_config(whole_config(config)).model_type)
    return str(vision_config(load_config(fetch(config.weights, base=base), f"weights {config.weights}")).model_type)


def random_tower(config: HuggingFaceConfig) -> tuple[PreTrainedModel, dict[str, Any]]:
    """A vision model of a recipe's `architecture` with random weights.

    Raises:
        RecipeError: It is not one of transformers'.
    """
    part = vision_part(whole_config(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return part.kind(part.config), {}


def whole_config(config: HuggingFaceConfig) -> Any:
    """The transformers configuration of a recipe's `architecture`.

    Raises:
        RecipeError: Transformers knows no such model type, or not these values.
    """
    from transformers import AutoConfig

    architecture = dict(config.architecture or {})
    model_type = architecture.pop("model_type")
    try:
        return AutoConfig.for_model(model_type, **architecture)
    except Exception as error:  # validators of configurations raise kinds of their own
        first = (str(error).strip().splitlines() or [""])[0]
        raise RecipeError(f"encoder: `architecture` is not a configuration of {model_type}: {first}") from error


def tower_of_folder(config: HuggingFaceConfig, base: Path | None) -> tuple[PreTrainedModel, dict[str, Any]]:
    """A vision model, or that of a larger one, with its weights; and what its preprocessor config says.

    Raises:
        WeightsError: The weights cannot be had or do not fit.
        RecipeError: There is no vision model in them.
    """
    assert config.weights is not None
    folder, where = fetch(config.weights, base=base), f"weights {config.weights}"
    part = vision_part(load_config(folder, where))
    options: dict[str, Any] = {"key_mapping": part.renaming} if part.prefix else {}
    model: PreTrainedModel = load_pretrained(
        part.kind, folder, where, part=bool(part.prefix), config=part.config, dtype=torch.float32, **options
    )
    return model, preprocessing(folder)


def preprocessing(folder: Path, error: type[TriptychError] = WeightsError) -> dict[str, Any]:
    """The image part of a model's preprocessor config; empty where it has none.

    Raises:
        error: The file is no JSON object.
    """
    for name in ("preprocessor_config.json", "processor_config.json"):
        path = folder / name
        if path.is_file():
            values = read_object(path, error)
            nested = values.get("image_processor", values)
            if isinstance(nested, dict) and "image_mean" in nested:
                return nested
    return {}


def colour(pixels: dict[str, Any], name: str, default: Colour) -> Colour:
    """Three numbers of a preprocessor config.

    Raises:
        WeightsError: They are something else.
    """
    values = pixels.get(name, default)
    if not (isinstance(values, list | tuple) and len(values) == 3 and all(_is_number(value) for value in values)):
        raise WeightsError(f"preprocessor config: `{name}` must be three finite numbers, got {quoted(values)}")
    if name == "image_std" and min(values) <= 0:
        raise WeightsError(f"preprocessor config: `{name}` must be positive, got {quoted(values)}")
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e6  # not true of NaN either


def description(tower: PreTrainedConfig) -> dict[str, Any]:
    """The tower's configuration without what does not change its features."""
    ignored = {"transformers_version", "_name_or_path", "dtype", "torch_dtype", "architectures"}
    described: dict[str, Any] = json.loads(tower.to_json_string(use_diff=True))
    return {key: value for key, value in described.items() if key not in ignored}
