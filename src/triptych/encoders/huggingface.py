"""Plain vision transformers of which layers behind the chosen one are left out: CLIP, SigLIP, DINOv2, ViT.

Those families are here to save their unneeded layers; every other model of transformers is `triptych.encoders.probed`.

pixels ─► embeddings ─► layer 1 … layer k │ layers after k are never built ─► drop CLS and registers ─► [N, T, D]
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.conversation import Image
from triptych.encoders.config import HuggingFaceConfig
from triptych.encoders.encoder import Normalisation
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.precision import resolve
from triptych.encoders.preparation import (
    CLIP_MEAN,
    CLIP_STD,
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImagePreparation,
    mean_colour,
)
from triptych.encoders.towers import (
    Colour,
    colour,
    description,
    preprocessing,
    vision_config,
    vision_part,
    whole_config,
)
from triptych.errors import RecipeError
from triptych.kernels.towers import accelerate
from triptych.weights import fetch
from triptych.weights.pretrained import load_config, load_pretrained

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

BILINEAR = 2
"""Pillow's number for bilinear interpolation, which preprocessor configs use."""


HEADS = ("head.*", "pooler.*", "embeddings.word_embeddings.*", "embeddings.position_embeddings.*")
"""Tensors beside a tower's layers that features need not: pooling heads, and BLIP-2's embeddings of words."""


@dataclass(frozen=True)
class Family:
    """What has to be known about a family of towers beside its configuration.

    Args:
        model: Name of the class in transformers.
        norm: Name of the normalisation after the last layer, which a chosen layer comes before.
        mean: Of the pixels, 0–1, where the model comes without a preprocessor config.
        std: Likewise.
        cls: Number of class tokens in front.
        options: Arguments of the class that leave out what is not needed.
        prefix: What stands in front of the tower's names in the weights of a whole model, where transformers does not
            know that by itself.
    """

    model: str
    norm: str
    mean: Colour
    std: Colour
    cls: int = 1
    options: tuple[tuple[str, Any], ...] = ()
    prefix: str = ""


_CLIP = Family("CLIPVisionModel", "post_layernorm", CLIP_MEAN, CLIP_STD)
_SIGLIP = Family("SiglipVisionModel", "post_layernorm", HALF, HALF, cls=0)
# EVA-CLIP g/14 without its last layer, and the normalisation that BLIP-2 trained behind it.
_BLIP2 = Family("Blip2VisionModel", "post_layernorm", CLIP_MEAN, CLIP_STD, prefix="vision_model.")
_INSTRUCTBLIP = Family("InstructBlipVisionModel", "post_layernorm", CLIP_MEAN, CLIP_STD, prefix="vision_model.")
_VIT_OPTIONS = (("add_pooling_layer", False),)

FAMILIES: dict[str, Family] = {
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "blip-2": _BLIP2,
    "blip_2_vision_model": _BLIP2,
    "instructblip": _INSTRUCTBLIP,
    "instructblip_vision_model": _INSTRUCTBLIP,
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
    "dinov2": Family("Dinov2Model", "layernorm", IMAGENET_MEAN, IMAGENET_STD),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel", "layernorm", IMAGENET_MEAN, IMAGENET_STD),
    "vit": Family("ViTModel", "layernorm", HALF, HALF, options=_VIT_OPTIONS),
}
"""By `model_type` of the configuration."""

_NOT_NORMED = ("clip", "clip_vision_model")
"""Families whose output comes before their last normalisation, which only the class token goes through."""


class HuggingFaceEncoder(ImageEncoder):
    """A vision tower, cut off behind the chosen layer.

    Args:
        model: The tower, with exactly the layers that are needed.
        config: Which layer, how to prepare.
        pixels: The contents of the model's preprocessor config (mean, standard deviation, interpolation).
    """

    def __init__(self, model: PreTrainedModel, config: HuggingFaceConfig, pixels: dict[str, Any]) -> None:
        tower = model.config
        family = FAMILIES[tower.model_type]
        patch = _side(tower.patch_size, "patch_size")
        own = _side(tower.image_size, "image_size")
        resolution = config.resolution or own
        if resolution % patch:
            near = max(1, round(resolution / patch)) * patch
            raise RecipeError(
                f"encoder: `resolution: {resolution}` is not a multiple of the tower's "
                f"patches of {patch} pixels; try {near}"
            )
        mean, std = colour(pixels, "image_mean", family.mean), colour(pixels, "image_std", family.std)
        rows = resolution // patch
        super().__init__(
            dim=tower.hidden_size,
            grid=(rows, rows),
            preparation=ImagePreparation(
                resolution,
                config.fit,
                mean_colour(mean),
                bilinear=pixels.get("resample") == BILINEAR,
                background=config.background,
            ),
            identity={
                "tower": description(tower),
                "normed": any(_is_norm(name, module, family) for name, module in model.named_modules()),
                "drop_cls": config.drop_cls,
                **({"unit": True} if config.unit else {}),
                "mean": mean,
                "std": std,
            },
        )
        self.normalise = Normalisation(mean, std)
        accelerate(model)
        self.model = model
        self._unit = config.unit
        self._last_norm = next((name for name, module in model.named_modules() if _is_norm(name, module, family)), None)
        self._prefix = family.cls + getattr(tower, "num_register_tokens", 0)
        self._kept = 0 if config.drop_cls else family.cls
        interpolates = "interpolate_pos_encoding" in inspect.signature(type(model).forward).parameters
        self._options = {"interpolate_pos_encoding": resolution != own} if interpolates else {}

    @classmethod
    def from_config(cls, config: HuggingFaceConfig, base: Path | None = None) -> HuggingFaceEncoder:
        """Load the tower, or make it with random weights that are the same in every process."""
        if config.weights is None:
            assert config.architecture is not None
            model, pixels = _random(config), {}
        else:
            folder = fetch(config.weights, base=base)
            model, pixels = _pretrained(config, folder), preprocessing(folder)
        return cls(model, config, pixels).to(resolve(config.precision)).eval()

    def tokens(self, part: Image) -> int:
        """Cells of the grid, and the class token where it is kept (registers never are)."""
        return self._kept + super().tokens(part)

    def forward(self, pixels: Tensor) -> Tensor:
        """Features `[N, tokens, dim]` of pixels `[N, 3, H, W]` (0–255)."""
        hidden = self.model(self.normalise(pixels, self.dtype), **self._options).last_hidden_state
        if self._unit:
            if self.model.config.model_type in _NOT_NORMED and self._last_norm is not None:
                hidden = self.model.get_submodule(self._last_norm)(hidden)
            hidden = functional.normalize(hidden, dim=-1)
        cells = hidden[:, self._prefix :]
        return torch.cat([hidden[:, : self._kept], cells], dim=1) if self._kept else cells


def _random(config: HuggingFaceConfig) -> PreTrainedModel:
    tower = _vision_config(whole_config(config))
    layers = _layers_needed(config, tower)
    tower.num_hidden_layers = tower.num_hidden_layers if layers is None else layers
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _class(tower)(tower, **dict(FAMILIES[tower.model_type].options))
    return _without_norm(model) if layers is not None else model


def _pretrained(config: HuggingFaceConfig, folder: Path) -> PreTrainedModel:
    where = f"weights {config.weights}"
    whole = load_config(folder, where)
    # Inside a checkpoint of several parts that transformers takes apart by itself, or by the tower's place in it.
    inside = whole.model_type not in FAMILIES
    renaming = vision_part(whole).renaming if inside else _renaming(FAMILIES[whole.model_type])
    tower = _vision_config(whole)
    layers = _layers_needed(config, tower)
    cut = range(tower.num_hidden_layers if layers is None else layers, tower.num_hidden_layers)
    tower.num_hidden_layers = tower.num_hidden_layers if layers is None else layers
    options: dict[str, Any] = {
        **dict(FAMILIES[tower.model_type].options),
        **({"key_mapping": renaming} if renaming else {}),
    }
    model: PreTrainedModel = load_pretrained(
        _class(tower),
        folder,
        where,
        part=True,
        may_have=[*HEADS, *(f"*{name}.{i}.*" for i in cut for name in ("layers", "layer"))],
        config=tower,
        dtype=torch.float32,
        **options,
    )
    return _without_norm(model) if layers is not None else model


def _renaming(family: Family) -> dict[str, str]:
    return {f"^{re.escape(family.prefix)}": ""} if family.prefix else {}


def _class(tower: PreTrainedConfig) -> type[PreTrainedModel]:
    import transformers

    found: type[PreTrainedModel] = getattr(transformers, FAMILIES[tower.model_type].model)
    return found


def _vision_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """The tower's configuration, also out of that of a model with two towers."""
    vision: PreTrainedConfig = vision_config(config)
    if vision.model_type == "siglip_vision_model":
        vision.vision_use_head = False  # the pooling that SigLIP's contrastive loss needs, and features do not
    return vision


def _layers_needed(config: HuggingFaceConfig, tower: PreTrainedConfig) -> int | None:
    """How many layers come before `hidden_states[layer]`; None for all of them and the normalisation."""
    if config.layer == "output":
        return None
    count: int = tower.num_hidden_layers
    if not -(count + 1) <= config.layer <= count:
        raise RecipeError(
            f"encoder: `layer: {config.layer}` does not exist; a tower of {count} layers has "
            f"hidden states 0 to {count}, or -{count + 1} to -1"
        )
    return config.layer % (count + 1)


def _without_norm(model: PreTrainedModel) -> PreTrainedModel:
    """Transformers' hidden states come before the last normalisation: take it out."""
    family = FAMILIES[model.config.model_type]
    for name, module in list(model.named_modules()):
        if _is_norm(name, module, family):
            model.set_submodule(name, nn.Identity())
    return model


def _is_norm(name: str, module: nn.Module, family: Family) -> bool:
    return name.rpartition(".")[2] == family.norm and isinstance(module, nn.LayerNorm)


def _side(value: Any, name: str) -> int:
    sides = {value} if isinstance(value, int) else set(value)
    if len(sides) != 1:
        raise RecipeError(f"encoder: the tower's {name} {value} is not square, and only square ones are supported")
    return int(sides.pop())
