"""Embedding-as-region: a hidden state becomes a box and a mask (LISA: Lai et al., 2024; NExT-Chat: Zhang et al., 2023).

hidden [K, D] ─► standardised ─► Linear-ReLU-Linear ─► prompt [K, C] ─┬─► box head ───► centre and size [K, 4]
features [N, T, D_enc] ─► neck ─► picture [N, C, h, w] ───────────────┴─► mask decoder ─► logits [K, 4h, 4w], expected IoU [K]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from triptych.decoders.boxes import BoxHead
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.decoders.masks import MLP, UPSCALING, MaskDecoder
from triptych.decoders.neck import Neck
from triptych.decoders.standardise import Standardise
from triptych.encoders.encoder import Level
from triptych.errors import RecipeError


@dataclass(frozen=True)
class Decoded:
    """What K hidden states say, in the square that the encoder sees.

    Args:
        boxes: `[K, 4]`, centre x, centre y, width, height from 0 to 1; None without a box head.
        masks: Logits `[K, H, W]`, above zero inside; None without a mask decoder.
        quality: `[K]`, how well the masks are expected to fit (IoU); None without a mask decoder.
    """

    boxes: Tensor | None
    masks: Tensor | None
    quality: Tensor | None


class RegionDecoder(nn.Module):
    """Boxes and masks of hidden states.

    Args:
        config: Which of the two, and their shapes.
        hidden: Channels of the hidden states, D.
        dim: Channels of the encoder's features, D_enc.
        grid: Rows and columns of these features.
        levels: What they are made of (`Encoder.levels`).

    Raises:
        RecipeError: Without a neck, features and decoders are of different widths.
    """

    def __init__(
        self,
        config: EmbeddingRegionsConfig,
        hidden: int,
        dim: int,
        grid: tuple[int, int],
        levels: Sequence[Level],
    ) -> None:
        super().__init__()
        width = config.width
        self.features = grid
        if config.neck:
            self.neck: Neck | None = Neck(levels, grid, width, config.fineness)
        elif dim != width:
            raise RecipeError(
                f"model.regions.neck: without one the decoders take the encoder's {dim} channels as they are; set "
                f"`width: {dim}`, or `neck: true`"
            )
        else:
            self.neck = None
        fineness = config.fineness if config.neck else 1
        self.grid = (grid[0] * fineness, grid[1] * fineness)
        self.standardise = Standardise(hidden) if config.standardise else None
        self.box_prompt = MLP(hidden, hidden, width) if config.box is not None else None
        self.box = BoxHead(config.box, width) if config.box is not None else None
        self.mask_prompt = MLP(hidden, hidden, width) if config.mask is not None else None
        self.mask = MaskDecoder(config.mask, width) if config.mask is not None else None

    @property
    def mask_size(self) -> tuple[int, int]:
        """Rows and columns of masks."""
        return self.grid[0] * UPSCALING, self.grid[1] * UPSCALING

    def picture(self, features: Tensor) -> Tensor:
        """What the decoders look at, `[N, C, h, w]`, of an encoder's features `[N, T, D_enc]`."""
        if self.neck is not None:
            out: Tensor = self.neck(features)
            return out
        dtype = next(self.parameters()).dtype
        return features.to(dtype).transpose(1, 2).reshape(len(features), -1, *self.features)

    def forward(self, hidden: Tensor, picture: Tensor, owner: Tensor) -> Decoded:
        """The regions of hidden states.

        Args:
            hidden: `[K, D]`.
            picture: `[N, C, h, w]`; see `picture`.
            owner: `[K]`, which of the N pictures each is about.
        """
        hidden = hidden.to(next(self.parameters()).dtype)
        if self.standardise is not None:
            hidden = self.standardise(hidden)
        boxes = masks = quality = None
        if self.mask is not None and self.mask_prompt is not None:
            masks, quality = self.mask(picture, self.mask_prompt(hidden), owner)
        if self.box is not None and self.box_prompt is not None:
            boxes = self.box(picture, self.box_prompt(hidden), owner)
        return Decoded(boxes, masks, quality)

    def after_step(self) -> None:
        """What follows each step of training."""
        if self.standardise is not None:
            self.standardise.after_step()
