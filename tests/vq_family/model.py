"""picture [N, 3, S, S] ─► encoder ─► [N, W, S/4, S/4] ─► nearest codes ─► decoder ─► picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from triptych.model.trainable import TrainableModule
from vq_family.config import VQConfig


class Reconstruction(NamedTuple):
    """A picture `[N, 3, S, S]` from 0 to 1, its codes `[N, S/4, S/4]`, encoder states and codebook entries `[N, W, S/4, S/4]`."""

    picture: Tensor
    codes: Tensor
    states: Tensor
    entries: Tensor


class VQAutoencoder(TrainableModule):
    """Encoder, codebook, decoder."""

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        width = config.width
        self.side = config.side
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(width, width, 4, stride=2, padding=1)
        )
        self.codebook = nn.Embedding(config.codes, width)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1),
        )

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and states of pictures `[N, 3, S, S]` (0–255)."""
        states = self.encoder(pictures.float() / 255)
        distances = torch.cdist(states.permute(0, 2, 3, 1).flatten(0, 2), self.codebook.weight)
        return distances.argmin(dim=-1).view(len(states), *states.shape[2:]), states

    def forward(self, pictures: Tensor) -> Reconstruction:
        """Through the codes and back; gradients pass the quantisation unchanged."""
        codes, states = self.encode(pictures)
        entries = self.codebook(codes).permute(0, 3, 1, 2)
        passed = states + (entries - states).detach()
        return Reconstruction(self.decoder(passed).sigmoid(), codes, states, entries)
