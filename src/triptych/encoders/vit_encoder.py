"""Our own vision transformer as an encoder of a composed model: the states of its patches, `[N, T, D]`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from triptych.conversation import Image
from triptych.encoders import checkpoints
from triptych.encoders.config import VisionTransformerConfig
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.precision import resolve
from triptych.encoders.preparation import ImagePreparation, mean_colour
from triptych.encoders.vit import PIXELS, VisionTransformer
from triptych.errors import RecipeError
from triptych.kernels import packed


class VisionTransformerEncoder(ImageEncoder):
    """The tower, cut off behind the chosen layer, without pooling and projection.

    Args:
        tower: With exactly the layers that are needed.
        config: Which layer, how to prepare.

    Raises:
        RecipeError: The resolution is no multiple of the patches.
    """

    def __init__(self, tower: VisionTransformer, config: VisionTransformerConfig) -> None:
        shape = tower.architecture
        resolution = config.resolution or shape.image_size
        if resolution % shape.patch_size:
            near = max(1, round(resolution / shape.patch_size)) * shape.patch_size
            raise RecipeError(
                f"encoder: `resolution: {resolution}` is not a multiple of the tower's "
                f"patches of {shape.patch_size} pixels; try {near}"
            )
        rows = resolution // shape.patch_size
        super().__init__(
            dim=shape.width,
            grid=(rows, rows),
            preparation=ImagePreparation(
                resolution, config.fit, mean_colour(PIXELS[shape.pixels][0]), background=config.background
            ),
            identity={
                "architecture": shape.model_dump(mode="json"),
                "layers": len(tower.blocks),
                "normed": tower.norm is not None,
                "drop_cls": config.drop_cls,
            },
        )
        packed.pack(tower)
        self.tower = tower
        self._dropped = tower.prefix if config.drop_cls else 0

    @classmethod
    def from_config(cls, config: VisionTransformerConfig, base: Path | None = None) -> VisionTransformerEncoder:
        """Build it with its weights (random ones, the same in every process, where the config has none)."""
        weights = checkpoints.read(config.weights, base) if config.weights is not None else None
        shape = config.architecture or (weights.shapes.vision if weights is not None else None)
        if shape is None:
            raise RecipeError(
                f"encoder: weights {config.weights} do not say what shape they have; give `architecture`, "
                "for example the name of a published one"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            tower = VisionTransformer(
                shape, layers=_layers_needed(config, shape.layers), normed=config.layer == "output"
            )
        if weights is not None:
            checkpoints.load(tower, weights, "vision")
        return cls(tower, config).to(resolve(config.precision)).eval()

    def tokens(self, part: Image) -> int:
        """Cells of the grid, and the class token where it is there and kept."""
        return self.tower.prefix - self._dropped + super().tokens(part)

    def forward(self, pixels: Tensor) -> Tensor:
        """Features `[N, tokens, dim]` of pixels `[N, 3, H, W]` (0–255)."""
        states: Tensor = self.tower(pixels)
        return states[:, self._dropped :]


def _layers_needed(config: VisionTransformerConfig, count: int) -> int:
    """How many layers come before `hidden_states[layer]`; all where the output is asked for."""
    if config.layer == "output":
        return count
    if not -(count + 1) <= config.layer <= count:
        raise RecipeError(
            f"encoder: `layer: {config.layer}` does not exist; a tower of {count} layers has "
            f"hidden states 0 to {count}, or -{count + 1} to -1"
        )
    return config.layer % (count + 1)
