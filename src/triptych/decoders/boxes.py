"""A box from a projected hidden state, which looks at the picture to find where it ends.

    prompt [K, C] ─► attend to the picture [N, C, h, w], as often as wanted ─► state, and where it looked (mean, spread)
                                                                              └─► small network ─► centre and size [K, 4]

Where attention looks on average is the first guess of the centre; the network says how far the box is from it, in logits, as
decoders with reference points do (Zhu et al., 2021, Deformable DETR; Meng et al., 2021, Conditional DETR).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.decoders.config import BoxHeadConfig
from triptych.decoders.masks import MLP
from triptych.decoders.positions import FourierPositions, cell_centres

FIRST_SIZE = 0.25
"""Width and height that an untrained head answers with, as a share of the picture's."""


class Look(nn.Module):
    """One look at the picture: attention, then a feed-forward part, each with a residual and a normalisation."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed_forward = MLP(width, hidden, width)

    def forward(
        self, state: Tensor, place: Tensor, picture: Tensor, cells: Tensor, owner: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The state `[K, C]` after the look, and how much each head looked where, `[K, H, T]`.

        Args:
            state: `[K, C]`.
            place: `[K, C]`, the position that the look before it found, zeros before the first; what a linear layer makes of
                sines and cosines can be the position so far to the left of it.
            picture: `[N, T, C]`.
            cells: `[T, C]`, what says where a cell is.
            owner: `[K]`, which of the N pictures each state is about.
        """
        query = self.query(state + place).unflatten(-1, (self.heads, -1))
        key = self.key(picture + cells).unflatten(-1, (self.heads, -1))[owner]
        value = self.value(picture).unflatten(-1, (self.heads, -1))[owner]
        weights = (torch.einsum("khc,kthc->kht", query, key) / query.shape[-1] ** 0.5).softmax(dim=-1)
        seen = torch.einsum("kht,kthc->khc", weights, value).flatten(1)
        state = self.norm1(state + self.output(seen))
        return self.norm2(state + self.feed_forward(state)), weights


class BoxHead(nn.Module):
    """One box per prompt.

    Args:
        config: Its shape.
        width: Channels of picture features and prompts, C.
    """

    def __init__(self, config: BoxHeadConfig, width: int) -> None:
        super().__init__()
        self.positions = FourierPositions(width)
        self.looks = nn.ModuleList(Look(width, config.heads, 2 * width) for _ in range(config.looks))
        where = 4 * config.heads if config.looks else 0
        self.network = MLP(width + where, *[config.hidden] * (config.depth - 1), 4)
        for parameter in self.network.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor, prompts: Tensor, owner: Tensor) -> Tensor:
        """Boxes `[K, 4]`: centre x, centre y, width, height as shares of the picture's sides.

        Args:
            features: Of the pictures `[N, C, h, w]`.
            prompts: `[K, C]`.
            owner: `[K]`, which of the pictures each prompt is about.
        """
        first = prompts.new_tensor([0.5, 0.5, FIRST_SIZE, FIRST_SIZE]).expand(len(prompts), 4)
        known = [prompts]
        if self.looks:
            rows, columns = features.shape[-2:]
            cells, picture = self.positions.grid(rows, columns), features.flatten(2).transpose(1, 2)
            centres = cell_centres(rows, columns, features.device).to(features.dtype)
            state, place = prompts, torch.zeros_like(prompts)
            for look in self.looks:
                state, weights = look(state, place, picture, cells, owner)
                means = weights @ centres
                place = self.positions(means.mean(dim=1))
            spreads = (weights @ centres**2 - means**2).clamp(min=1e-6).sqrt()
            first = torch.cat([means.mean(dim=1), first[:, 2:]], dim=1)
            known = [state, means.flatten(1), spreads.flatten(1)]
        return functional.sigmoid(self.network(torch.cat(known, dim=-1)) + first.clamp(1e-3, 1 - 1e-3).logit())
