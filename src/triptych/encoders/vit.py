"""Our own vision transformer: CLIP, EVA-01, EVA-02 or SigLIP by its options (`VisionArchitecture`).

pixels ─► normalise ─► patches (masked ones replaced, some left out while training) ─► [class token]
       ─► + positions ─► [norm] ─► blocks ─► norm ─► states [N, T, D] ─► pool ─► project ─► [N, E]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.encoders.architecture import Pixels, VisionArchitecture
from triptych.encoders.blocks import AttentionPooling, Block, projection, stack, start
from triptych.encoders.encoder import Normalisation
from triptych.encoders.preparation import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD
from triptych.encoders.rope import Rotation, rotation, select

Colour = tuple[float, float, float]

PIXELS: dict[Pixels, tuple[Colour, Colour]] = {
    "clip": (CLIP_MEAN, CLIP_STD),
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "half": (HALF, HALF),
}
"""Mean and standard deviation, 0–1, by the architecture's word."""


class VisionTransformer(nn.Module):
    """The tower up to its states, of any size of picture.

    Args:
        architecture: Its shape.
        layers: How many blocks are built; None for all.
        normed: Whether the last normalisation is there.
        patch_dropout: Share of the patches left out of each picture while training (Li et al., 2022: FLIP).
    """

    def __init__(
        self,
        architecture: VisionArchitecture,
        *,
        layers: int | None = None,
        normed: bool = True,
        patch_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.architecture = shape = architecture
        self.patch_dropout = patch_dropout
        self.prefix = int(shape.class_token)
        self.normalise = Normalisation(*PIXELS[shape.pixels])
        self.patches = nn.Conv2d(3, shape.width, shape.patch_size, shape.patch_size, bias=shape.patch_bias)
        self.class_token = nn.Parameter(torch.empty(shape.width)) if shape.class_token else None
        self.mask_token = nn.Parameter(torch.empty(shape.width)) if shape.mask_token else None
        self.positions = nn.Parameter(torch.empty(self.prefix + shape.side**2, shape.width))
        self.norm_pre = nn.LayerNorm(shape.width, eps=shape.norm_eps) if shape.norm_pre else None
        self.blocks = stack(shape, shape.layers if layers is None else layers)
        self.norm = nn.LayerNorm(shape.width, eps=shape.norm_eps) if normed else None
        self._rotations: dict[tuple[int, int, torch.device], Rotation] = {}
        start(self.blocks, shape.layers)
        for parameter in (self.positions, self.class_token, self.mask_token):
            if parameter is not None:
                nn.init.normal_(parameter, std=shape.width**-0.5)

    def forward(self, pixels: Tensor, masked: Tensor | None = None) -> Tensor:
        """States `[N, T, D]`: the class token's where there is one, then those of the patches, row by row.

        Args:
            pixels: `[N, 3, H, W]` in 0–255, any number type; sides are multiples of the patches'.
            masked: `[N, rows * columns]`, true where the mask token stands for a patch. Then no patch is left out.

        Raises:
            ValueError: The sides do not fit, or there is no mask token.
        """
        x, turns = self.embed(pixels, masked)
        for block in self.blocks:
            x = block(x, turns)
        return x if self.norm is None else self.norm(x)

    def embed(self, pixels: Tensor, masked: Tensor | None = None) -> tuple[Tensor, Rotation | None]:
        """What the first block reads `[N, T, D]`, and how its positions turn; `forward` says the rest."""
        cells, grid = self._cells(self.normalise(pixels, self.patches.weight.dtype))
        kept = None if masked is not None else self._kept(cells)
        if kept is not None:
            cells = cells.gather(1, kept[..., None].expand(-1, -1, cells.shape[-1]))
        x: Tensor = functional.linear(cells, self.patches.weight.flatten(1), self.patches.bias)
        if masked is not None:
            if self.mask_token is None:
                raise ValueError("patches can be masked only with a mask token: set `mask_token` in the architecture")
            x = torch.where(masked[..., None], self.mask_token.to(x.dtype), x)
        places = self._positions(grid)
        x = x + (places[self.prefix :] if kept is None else places[self.prefix :][kept])
        if self.class_token is not None:
            x = torch.cat([(self.class_token + places[0]).to(x.dtype).expand(len(x), 1, -1), x], dim=1)
        if self.norm_pre is not None:
            x = self.norm_pre(x)
        return x, self._turns(grid, kept, x.device)

    def _cells(self, pixels: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Patches as rows of numbers `[N, rows * columns, 3 * P * P]`, in the order of the convolution's weights."""
        size = self.architecture.patch_size
        count, channels, height, width = pixels.shape
        if height % size or width % size:
            raise ValueError(f"pictures of {height} × {width} pixels cannot be cut into patches of {size} × {size}")
        grid = (height // size, width // size)
        cut = pixels.reshape(count, channels, grid[0], size, grid[1], size).permute(0, 2, 4, 1, 3, 5)
        return cut.reshape(count, grid[0] * grid[1], -1), grid

    def _kept(self, cells: Tensor) -> Tensor | None:
        """Which patches of each picture this training step looks at, in their order; None is all."""
        if not (self.training and self.patch_dropout):
            return None
        count, total = cells.shape[:2]
        kept = max(1, int(total * (1 - self.patch_dropout)))
        return torch.rand(count, total, device=cells.device).topk(kept, dim=1).indices.sort(dim=1).values

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """Positions of this grid `[prefix + T, D]`: the learned ones, interpolated where the grid is another."""
        side = self.architecture.side
        if grid == (side, side):
            return self.positions
        prefix, cells = self.positions[: self.prefix], self.positions[self.prefix :]
        square = cells.reshape(side, side, -1).permute(2, 0, 1)[None].float()
        resized = functional.interpolate(square, size=grid, mode="bicubic", align_corners=False)
        return torch.cat([prefix, resized[0].flatten(1).t().to(cells.dtype)])

    def _turns(self, grid: tuple[int, int], kept: Tensor | None, device: torch.device) -> Rotation | None:
        shape = self.architecture
        if shape.rope is None:
            return None
        key = (*grid, device)
        if key not in self._rotations:
            self._rotations[key] = rotation(grid, shape.width // shape.heads, shape.rope, self.prefix, device)
        if kept is None:
            return self._rotations[key]
        places = torch.cat([kept.new_zeros(len(kept), self.prefix), kept + self.prefix], dim=1)
        return select(self._rotations[key], places)


class VisionTower(VisionTransformer):
    """The image side of a dual encoder: the whole tower with its pooling and projection.

    Args:
        architecture: Its shape.
        embed_dim: Channels E of the space that pictures and texts share.
        patch_dropout: Share of the patches left out of each picture while training.

    Raises:
        RecipeError: Without a projection, E is not the tower's width.
    """

    def __init__(self, architecture: VisionArchitecture, embed_dim: int, *, patch_dropout: float = 0.0) -> None:
        super().__init__(architecture, patch_dropout=patch_dropout)
        shape = architecture
        self.embed_dim = embed_dim
        self.pool = (
            AttentionPooling(shape.width, shape.heads, shape.hidden, shape.activation, shape.norm_eps)
            if shape.pooling == "attention"
            else None
        )
        self.projection = projection(shape, embed_dim, "vision")
        if self.pool is not None:
            start(nn.ModuleList([self.pool]), shape.layers)
            nn.init.normal_(self.pool.probe, std=shape.width**-0.5)

    def encode(self, pixels: Tensor) -> Tensor:
        """Pictures in the shared space `[N, E]`, of any length; a class token's last block is computed for it alone."""
        if self.pool is not None:
            return self.pooled(self(pixels))
        x, turns = self.embed(pixels)
        for block in self.blocks[:-1]:
            x = block(x, turns)
        last = self.blocks[-1]
        assert isinstance(last, Block) and self.norm is not None
        return self._project(self.norm(last.only(x, None, turns)))

    def pooled(self, states: Tensor) -> Tensor:
        """The same `[N, E]` of states `[N, T, D]` that `forward` answered."""
        return self._project(states[:, 0] if self.pool is None else self.pool(states))

    def _project(self, state: Tensor) -> Tensor:
        out: Tensor = state if self.projection is None else self.projection(state)
        return out
