"""The MLP adapter (LLaVA-1.5: two linear layers with a GELU between)."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from triptych.adapters.config import MLPConfig
from triptych.adapters.grid import GridAdapter

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "silu": nn.SiLU, "relu": nn.ReLU}


class MLP(GridAdapter):
    """`depth` linear layers with an activation between, per cell."""

    def __init__(
        self, config: MLPConfig, encoder_dim: int, grid: tuple[int, int], language_dim: int, embedding_std: float
    ) -> None:
        super().__init__(config, encoder_dim, grid, language_dim, embedding_std)
        hidden = config.hidden or language_dim
        widths = [self.input_dim, *[hidden] * (config.depth - 1), language_dim]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[config.activation]()]
        self._start(nn.Sequential(*layers[:-1]))
