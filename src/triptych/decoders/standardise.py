"""Hidden states brought to mean 0 and deviation 1, channel by channel, by what training has seen of them so far.

Hidden states of language models have a few channels that are far larger than the rest and nearly the same for every token (Sun
et al., 2024, "Massive activations in large language models"). What tells one region from another is a ripple on them, and each
step of a network behind them mostly moves what all regions share. A normalisation over the channels of one state leaves it so.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from triptych.distributed import sum_over_ranks

RATE = 0.05
"""How much of the statistics a step replaces, once there are twenty of them."""

PRIOR = 16
"""Each step's variances count so many states of deviation 1 beside its own, so that few states make no large factor."""


class Standardise(nn.Module):
    """`(x - mean) / deviation` with running statistics, in training as in use.

    They carry no gradient and change between steps only (`after_step`): however a step is cut into micro-batches or spread over
    ranks, it computes the same.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean, self.variance = nn.Buffer(torch.zeros(width)), nn.Buffer(torch.ones(width))
        self.steps = nn.Buffer(torch.zeros(()))
        self.seen = nn.Buffer(torch.zeros(2 * width + 1), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """States `[K, width]`, standardised."""
        centred = states - self.mean
        if self.training:
            with torch.no_grad():
                own = centred.float()
                self.seen.add_(torch.cat([own.sum(dim=0), own.square().sum(dim=0), own.new_tensor([len(own)])]))
        return centred * self.variance.rsqrt()

    @torch.no_grad()
    def after_step(self) -> None:
        """Learn from the states of the step, those of all ranks together."""
        sum_over_ranks([self.seen])
        count = self.seen[-1]
        if count > 0:
            shifts, squares = self.seen[:-1].chunk(2)
            shift = shifts / count
            variance = (squares - count * shift.square() + PRIOR) / (count + PRIOR)
            self.steps.add_(1)
            share = torch.clamp(1 / self.steps, min=RATE)
            self.mean.add_(share * shift)
            self.variance.lerp_(variance, share)
        self.seen.zero_()
