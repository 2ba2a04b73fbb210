"""An open-vocabulary detector on the features of an encoder, in the manner of OWL-ViT (Minderer et al., 2022).

features [N, T, D] ─► cells [N, C, W] ─► 3 × 3 convolutions ─┬─► embedding [N, C, E] ─┐
                                                             │                        ├─► cosines · scale + shift [N, C, P]
phrases ─► text side [P, E] ─────────────────────────────────┼────────────────────────┘
                                                             ├─► shift [N, C, 1]; objectness [N, C] (OWLv2)
                                                             └─► box [N, C, 4], a step away from the cell's own place
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.encoders.encoder import Level
from triptych.encoders.image_encoder import ImageEncoder
from triptych.families.detector.batch import DetectionBatch
from triptych.model.trainable import TrainableModule

PRIOR = 0.01
"""How likely a cell is to show a thing before anything was learned: rare, so that the many empty cells do not drown it."""


class Answers(NamedTuple):
    """What the cells of pictures say.

    Args:
        logits: `[N, C, P]` of each cell for each phrase.
        objectness: `[N, C]` logits for being an object of whatever kind.
        boxes: `[N, C, 4]` centre x, centre y, width, height as shares of the square.
    """

    logits: Tensor
    objectness: Tensor
    boxes: Tensor


class Cells(nn.Module):
    """Features of an encoder, with all of its levels, on one grid.

    Args:
        levels: What the channels are made of.
        grid: Rows and columns of the features.
        fineness: Cells per position, along each side.
        width: Channels that come out.
    """

    def __init__(self, levels: Sequence[Level], grid: tuple[int, int], fineness: int, width: int) -> None:
        super().__init__()
        self.levels, self.grid, self.fineness = tuple(levels), grid, fineness
        sizes = [level.channels * max(1, level.fineness // fineness) ** 2 for level in self.levels]
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in sizes)
        self.projection = nn.Linear(sum(sizes), width)
        rows, columns = grid[0] * fineness, grid[1] * fineness
        self.position = nn.Parameter(torch.zeros(rows, columns, width))
        nn.init.normal_(self.position, std=0.02)

    def forward(self, features: Tensor) -> Tensor:
        """`[N, T, D]` to `[N, W, rows · fineness, columns · fineness]`."""
        found, (rows, columns), target = [], self.grid, self.fineness
        parts = torch.split(features, [level.size for level in self.levels], dim=-1)
        for part, level, norm in zip(parts, self.levels, self.norms, strict=True):
            f = level.fineness
            x = part.reshape(-1, rows, columns, f, f, level.channels)
            if f >= target:
                g = f // target
                x = x.reshape(-1, rows, columns, target, g, target, g, level.channels)
                x = x.permute(0, 1, 3, 2, 5, 4, 6, 7).flatten(5).flatten(3, 4).flatten(1, 2)
            else:
                x = x.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)
                x = x.repeat_interleave(target // f, dim=1).repeat_interleave(target // f, dim=2)
            found.append(norm(x.to(self.projection.weight.dtype)))
        cells = self.projection(torch.cat(found, dim=-1)) + self.position
        mapped: Tensor = cells.permute(0, 3, 1, 2)
        return mapped


class Block(nn.Module):
    """A residual block of two 3 × 3 convolutions; it starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """`[N, W, rows, columns]`, the same shape out."""
        y: Tensor = self.second(functional.gelu(self.first(functional.gelu(self.norm(x)))))
        return x + y


class Heads(nn.Module):
    """Everything that is trained beside the two sides.

    Args:
        levels: Of the encoder's features.
        grid: Of the encoder.
        fineness: Cells per position, along each side.
        width: Channels between features and heads.
        blocks: How many residual blocks.
        embed_dim: Channels of the space that cells and phrases share.
    """

    def __init__(
        self, levels: Sequence[Level], grid: tuple[int, int], fineness: int, width: int, blocks: int, embed_dim: int
    ) -> None:
        super().__init__()
        self.cells = Cells(levels, grid, fineness, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.embedding = nn.Linear(width, embed_dim)
        self.shift = nn.Linear(width, 1)
        self.objectness = nn.Linear(width, 1)
        place = nn.Linear(width, 4)
        self.box = nn.Sequential(nn.Linear(width, width), nn.GELU(), place)
        self.scale = nn.Parameter(torch.tensor(math.log(10.0)))
        rare = -math.log((1 - PRIOR) / PRIOR)
        for last, bias in ((self.shift, rare), (self.objectness, rare), (place, 0.0)):
            nn.init.normal_(last.weight, std=0.01)
            nn.init.constant_(last.bias, bias)
        rows, columns = grid[0] * fineness, grid[1] * fineness
        self.register_buffer("places", _places(rows, columns), persistent=False)

    def forward(self, features: Tensor, phrases_PE: Tensor) -> Answers:
        """What the cells say of features `[N, T, D]` and phrases."""
        x = self.blocks(self.cells(features)).flatten(2).transpose(1, 2)
        x = self.norm(x)
        cosines = functional.normalize(self.embedding(x), dim=-1) @ functional.normalize(phrases_PE, dim=-1).T
        logits = cosines * self.scale.exp() + self.shift(x)
        boxes = (self.box(x) + self.places).sigmoid()
        return Answers(logits, self.objectness(x).squeeze(-1), boxes)


class OpenVocabularyDetector(TrainableModule):
    """An encoder, a text side, and heads.

    Args:
        vision: The image side.
        text: The text side.
        heads: What joins the two.
        saved: Beginnings of the names of parameters that come from no weights, so that a run holds them.
    """

    def __init__(self, vision: ImageEncoder, text: nn.Module, heads: Heads, saved: tuple[str, ...]) -> None:
        super().__init__()
        self.vision, self.text, self.heads, self.saved = vision, text, heads, saved

    def slots(self) -> Mapping[str, ImageEncoder]:
        """See `Trainable.slots`."""
        return {"image": self.vision}

    def after_step(self) -> dict[str, float]:
        """Nothing is bounded; how sharply cosines are read, for the log."""
        return {"scale": float(self.heads.scale.detach().exp())}

    def describe(self, batch: DetectionBatch) -> list[dict[str, Any]]:
        """The pictures of a batch in words."""
        return [
            {
                "id": document.id,
                "media": [str(medium)],
                "boxes": dict(enumerate(zip(names, boxes.tolist(), strict=True))),
            }
            for document, medium, names, boxes in zip(
                batch.conversations, batch.media, batch.names, batch.boxes, strict=True
            )
        ]

    def features(self, batch: DetectionBatch) -> Tensor:
        """Features `[N, T, D]` of a batch, from the cache or by running the encoder."""
        if batch.features is not None:
            return batch.features.to(self.device)
        assert batch.pixels is not None
        if any(parameter.requires_grad for parameter in self.vision.parameters()):
            found: Tensor = self.vision(batch.pixels.to(self.device))
            return found
        with torch.no_grad():
            return torch.stack(self.vision.encode(list(batch.pixels)))

    def forward(self, features: Tensor, phrases: Sequence[str]) -> Answers:
        """What the cells of features `[N, T, D]` say of phrases."""
        answers: Answers = self.heads(features, self.text(phrases))
        return answers


def _places(rows: int, columns: int) -> Tensor:
    """`[rows · columns, 4]`: what a box head adds to, in front of its sigmoid: the cell's centre and three cells' size."""
    y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
    size = torch.full_like(x, min(0.9, 3 / min(rows, columns)))
    return torch.logit(torch.stack([x, y, size, size], dim=-1).flatten(0, 1), eps=1e-4)
