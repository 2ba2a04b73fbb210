"""SAM's image encoder (Kirillov et al., 2023) from transformers: a ViT with windows, and a neck to 256 channels.

pixels [N, 3, 1024, 1024] ─► ViT ─► neck ─► [N, 64 · 64, 256]
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from triptych.encoders.config import SamConfig
from triptych.encoders.encoder import Normalisation
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.precision import resolve
from triptych.encoders.preparation import IMAGENET_MEAN, IMAGENET_STD, ImagePreparation, mean_colour
from triptych.errors import RecipeError
from triptych.weights import fetch
from triptych.weights.pretrained import load_pretrained

if TYPE_CHECKING:
    from transformers import SamVisionConfig, SamVisionModel


class SamEncoder(ImageEncoder):
    """The vision part of a SAM; its features are what its mask decoder takes.

    Args:
        model: The tower.
        config: How pictures become square.
    """

    def __init__(self, model: SamVisionModel, config: SamConfig) -> None:
        tower = model.config
        rows = tower.image_size // tower.patch_size
        super().__init__(
            dim=tower.output_channels,
            grid=(rows, rows),
            preparation=ImagePreparation(
                tower.image_size, config.fit, mean_colour(IMAGENET_MEAN), bilinear=True, background=config.background
            ),
            identity={"tower": "sam", **_shape(tower)},
        )
        self.normalise = Normalisation(IMAGENET_MEAN, IMAGENET_STD)
        self.model = model

    @classmethod
    def from_config(cls, config: SamConfig, base: Path | None = None) -> SamEncoder:
        """Load the tower, or make it with random weights that are the same in every process.

        Raises:
            WeightsError: The weights cannot be had, or are no SAM's.
            RecipeError: The architecture is none.
        """
        from transformers import SamVisionConfig, SamVisionModel

        if config.weights is None:
            try:
                shape = SamVisionConfig(**(config.architecture or {}))
            except Exception as error:  # transformers' and huggingface_hub's own kinds, by version
                raise RecipeError(f"encoder: `architecture` is not a configuration of SAM: {error}") from error
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model = SamVisionModel(shape)
        else:
            model = _pretrained(config.weights, fetch(config.weights, base=base))
        return cls(model, config).to(resolve(config.precision)).eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Features `[N, rows * columns, dim]` of pixels `[N, 3, H, W]` (0–255)."""
        found: Tensor = self.model(self.normalise(pixels, self.dtype)).last_hidden_state
        return found.flatten(2).transpose(1, 2)


def _pretrained(uri: str, folder: Path) -> SamVisionModel:
    from transformers import SamVisionModel

    others = ("prompt_encoder.*", "mask_decoder.*", "shared_image_embedding.*")
    tower: SamVisionModel = load_pretrained(
        SamVisionModel, folder, f"weights {uri}", dtype=torch.float32, may_have=others
    )
    return tower


def _shape(tower: SamVisionConfig) -> dict[str, Any]:
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "window_size", "use_rel_pos", "hidden_act")
    return {name: getattr(tower, name) for name in names} | {"whole": list(tower.global_attn_indexes)}
