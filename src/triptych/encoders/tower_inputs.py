"""From square pictures to the arguments of a vision model of transformers, by what its `forward` asks for.

pixel_values                                   pictures [N, 3, S, S] as they are
pixel_values, spatial_shapes, …_mask           patches [N, h·w, p·p·3], channels last (SigLIP 2)
hidden_states | pixel_values, grid_thw         patches of all pictures in one row [N·h·w, 3·t·p·p], channels first;
                                               those that are merged later stand together (Qwen-VL and its kin)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from triptych.errors import RecipeError

Arguments = dict[str, Any]
PACKED = ("grid_thw", "image_grid_thw")
"""What forward calls the time, rows and columns of each picture's patches."""


@dataclass(frozen=True)
class Inputs:
    """How pictures become arguments.

    Args:
        build: Normalised pictures `[N, 3, S, S]` to arguments of `forward`.
        unit: Pixels that a side must be a multiple of; 1 where it is not known.
        merge: Side of the blocks that positions come out in, which are put back into rows of the grid.
    """

    build: Callable[[Tensor], Arguments]
    unit: int = 1
    merge: int = 1


def inputs_of(model: Any, resolution: int) -> Inputs:
    """The way that a model's `forward` asks for.

    Args:
        model: A vision model of transformers.
        resolution: Side of the pictures in pixels.

    Raises:
        RecipeError: It asks for something that one square picture does not give.
    """
    parameters = inspect.signature(type(model).forward).parameters
    config = model.config
    packed = next((name for name in PACKED if name in parameters), None)
    if packed is not None:
        return _packed(config, parameters, packed)
    if "spatial_shapes" in parameters:
        return _patches(config, parameters)
    name = type(model).__name__
    if "pixel_values" not in parameters:
        raise RecipeError(f"encoder: {name} is no vision model: its forward takes no `pixel_values`")
    others = [key for key, value in parameters.items() if value.default is value.empty and _named(value)]
    others = [key for key in others if key not in {"self", "pixel_values"}]
    if others:
        raise RecipeError(
            f"encoder: {name} asks for {', '.join(others)}, which one square picture does not give; "
            "take a model whose forward asks for `pixel_values` alone, with `grid_thw` or with `spatial_shapes`"
        )
    fixed: Arguments = {}
    if "interpolate_pos_encoding" in parameters and resolution != own_size(config):
        fixed["interpolate_pos_encoding"] = True
    unmasked = "noise" in parameters and hasattr(config, "mask_ratio")
    if unmasked:
        config.mask_ratio = 0.0  # masked autoencoders leave patches out otherwise

    def build(pictures: Tensor) -> Arguments:
        found = {"pixel_values": pictures, **fixed}
        if unmasked:
            # Patches are sorted by the noise: let them stay where they are.
            patches = (resolution // side_of(config.patch_size, 1)) ** 2
            found["noise"] = torch.arange(patches, device=pictures.device).expand(len(pictures), -1)
        return found

    return Inputs(build)


def own_size(config: Any) -> int | None:
    """The side of the pictures that a configuration was made for; None where it says none, or two different ones."""
    side: int | None = side_of(getattr(config, "image_size", None), None)
    return side


def side_of(value: Any, default: Any) -> Any:
    """A number, or the one that stands for both sides; else the default."""
    if isinstance(value, list | tuple) and len(set(value)) == 1:
        value = value[0]
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _named(value: inspect.Parameter) -> bool:
    return value.kind not in {value.VAR_KEYWORD, value.VAR_POSITIONAL}


def _patches(config: Any, parameters: Mapping[str, inspect.Parameter]) -> Inputs:
    patch = int(side_of(config.patch_size, 1))

    def build(pictures: Tensor) -> Arguments:
        count, channels, size, _ = pictures.shape
        side = size // patch
        cut = pictures.view(count, channels, side, patch, side, patch).permute(0, 2, 4, 3, 5, 1)
        found: Arguments = {
            "pixel_values": cut.reshape(count, side * side, -1),
            "spatial_shapes": torch.full((count, 2), side, dtype=torch.long, device=pictures.device),
        }
        for name in ("pixel_attention_mask", "attention_mask"):
            if name in parameters:
                found[name] = torch.ones(count, side * side, dtype=torch.long, device=pictures.device)
                break
        return found

    return Inputs(build, patch)


def _packed(config: Any, parameters: Mapping[str, inspect.Parameter], grid: str) -> Inputs:
    patch = int(side_of(config.patch_size, 1))
    merge = int(side_of(getattr(config, "spatial_merge_size", None), 1))
    frames = int(side_of(getattr(config, "temporal_patch_size", None), 1))
    name = next(name for name in ("pixel_values", "hidden_states") if name in parameters)

    def build(pictures: Tensor) -> Arguments:
        count, channels, size, _ = pictures.shape
        side, blocks = size // patch, size // patch // merge
        cut = pictures.view(count, channels, blocks, merge, patch, blocks, merge, patch)
        cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7)[:, :, :, :, :, :, None]
        cut = cut.expand(*cut.shape[:6], frames, patch, patch)
        # Values decide about shapes in there: they stay on the CPU where the model has none itself.
        device = torch.device("cpu") if pictures.is_meta else pictures.device
        found: Arguments = {
            name: cut.reshape(count * side * side, -1),
            grid: torch.tensor([[1, side, side]] * count, dtype=torch.long, device=device),
        }
        if "merge_sizes" in parameters:
            found["merge_sizes"] = torch.full((count,), merge, dtype=torch.long, device=device)
        return found

    return Inputs(build, patch * merge, merge)
