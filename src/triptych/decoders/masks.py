"""SAM's mask decoder (Kirillov et al., 2023), prompted by one embedding per region as in LISA (Lai et al., 2024).

picture [N, C, h, w] + "no mask" ─────┐
tokens: quality, masks, prompt [K, S] ─┴► two-way transformer ─┬► picture ─► upscaled 4 × [K, C/8, 4h, 4w] ─┐
                                                              ├► mask token ─► three layers [K, C/8] ───────┴► · ─► logits
                                                              └► quality token ─► expected IoU [K]
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.decoders.config import MaskDecoderConfig
from triptych.decoders.positions import FourierPositions
from triptych.decoders.two_way import TwoWayTransformer

UPSCALING = 4
"""How much finer a mask is than the features that it comes from."""

QUALITY_HIDDEN = 256


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """`[..., last]` of `[..., first]`."""
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class Upscaling(nn.Module):
    """Twice as fine, twice: `[K, C, h, w]` to `[K, C/8, 4h, 4w]`.

    Transposed convolutions of kernel and stride 2, whose outputs do not overlap: each is a product per cell.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.ConvTranspose2d(width, width // 4, 2, stride=2)
        self.norm = nn.LayerNorm(width // 4, eps=1e-6)
        self.second = nn.ConvTranspose2d(width // 4, width // 8, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """`[K, C/8, 4h, 4w]` of `[K, C, h, w]`."""
        x = self.first(x)
        x = functional.gelu(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return functional.gelu(self.second(x))


class MaskDecoder(nn.Module):
    """One mask per prompt.

    Args:
        config: Its shape.
        width: Channels of picture features and prompts, C; a multiple of 8.
    """

    def __init__(self, config: MaskDecoderConfig, width: int) -> None:
        super().__init__()
        masks = 1 + config.more_masks
        self.positions = FourierPositions(width)
        self.no_mask = nn.Parameter(torch.randn(1, width))
        self.quality_token = nn.Parameter(torch.randn(1, width))
        self.mask_tokens = nn.Parameter(torch.randn(masks, width))
        self.transformer = TwoWayTransformer(config.layers, width, config.heads, config.feed_forward, config.reduction)
        self.upscaling = Upscaling(width)
        self.mask_heads = nn.ModuleList(MLP(width, width, width, width // 8) for _ in range(masks))
        self.quality_head = MLP(width, QUALITY_HIDDEN, QUALITY_HIDDEN, masks)

    def forward(self, features: Tensor, prompts: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
        """The mask's logits `[K, 4h, 4w]`, and how well it is expected to fit (IoU) `[K]`.

        Args:
            features: Of the pictures `[N, C, h, w]`.
            prompts: `[K, C]`, or `[K, S, C]` of several embeddings each.
            owner: `[K]`, which of the pictures each prompt is about.
        """
        masks, quality = self.all_masks(features, prompts, owner, 1)
        return masks[:, 0], quality[:, 0]

    def all_masks(
        self, features: Tensor, prompts: Tensor, owner: Tensor, count: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """The logits `[K, M, 4h, 4w]` and expected IoUs `[K, M]` of the first `count` masks, or of all.

        The first is the one for a prompt that leaves no doubt; arguments as those of `forward`.
        """
        prompts = prompts[:, None] if prompts.dim() == 2 else prompts
        rows, columns = features.shape[-2:]
        own = torch.cat([self.quality_token, self.mask_tokens])
        tokens = torch.cat([own.expand(len(prompts), -1, -1), prompts], dim=1)
        picture = (features + self.no_mask[0, :, None, None]).flatten(2).transpose(1, 2)
        tokens, picture = self.transformer(tokens, picture, self.positions.grid(rows, columns), owner)
        fine = self.upscaling(picture.transpose(1, 2).unflatten(2, (rows, columns)))
        heads = list(self.mask_heads)[:count]
        filters = torch.stack([head(tokens[:, 1 + i]) for i, head in enumerate(heads)], dim=1)
        masks = torch.einsum("kmc,kchw->kmhw", filters, fine)
        return masks, self.quality_head(tokens[:, 0])[:, : len(heads)]
