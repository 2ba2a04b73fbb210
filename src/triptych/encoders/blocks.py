"""The blocks of our own vision and text transformers, pre-normalised, with the options of CLIP, EVA and SigLIP.

x ─┬─ norm ─ attention (queries and keys turned; normalised inside) ─ + ─┬─ norm ─ feed-forward ─ + ─►
   └────────────────────────────────────────────────────────────────────┘└────────────────────────┘
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.encoders.architecture import Activation, Bias, SubNorm, TransformerArchitecture, VisionArchitecture
from triptych.encoders.rope import Rotation, rotate
from triptych.errors import RecipeError
from triptych.kernels.products import attend


class Block(nn.Module):
    """One layer.

    Args:
        width: Channels D.
        heads: Attention heads H.
        hidden: Width inside the feed-forward.
        activation: Of the feed-forward.
        eps: Of the normalisations.
        bias: Which of queries, keys and values have one.
        sub_norm: Where there is a normalisation inside.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        activation: Activation,
        eps: float,
        bias: Bias = "all",
        sub_norm: SubNorm = "none",
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.attention = Attention(width, heads, bias, eps if sub_norm == "both" else None)
        self.feed_forward_norm = nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(width, hidden, activation, eps if sub_norm != "none" else None)

    def forward(
        self, x: Tensor, rotation: Rotation | None = None, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """`[N, T, D]` of the same.

        Args:
            x: The states.
            rotation: Of queries and keys, by position.
            mask: Broadcastable to `[N, H, T, T]`; true where a position sees another.
            causal: A position sees none behind it (instead of a mask).
        """
        x = x + self.attention(self.attention_norm(x), rotation, mask, causal)
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out

    def only(
        self, x: Tensor, places: Tensor | None, rotation: Rotation | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """`[N, D]`: what `forward` answers at one position of each sample, without computing it for the others.

        Args:
            x: The states `[N, T, D]`.
            places: `[N]`; None is the first, which must not turn.
            rotation: Of the keys; with `places`, queries would have to turn as well, so it goes with the first only.
            mask: Broadcastable to `[N, H, 1, T]`.
        """
        normed = self.attention_norm(x)
        asking, state = (y[:, :1] if places is None else pick(y, places)[:, None] for y in (normed, x))
        state = state + self.attention.asked(asking, normed, rotation, mask)
        out: Tensor = state + self.feed_forward(self.feed_forward_norm(state))
        return out[:, 0]


class Attention(nn.Module):
    """Multi-head attention with one matrix for queries, keys and values.

    Args:
        width: Channels D.
        heads: Heads H.
        bias: Which of queries, keys and values have one. That of keys changes nothing where nothing turns: it adds the
            same number to all scores of a query.
        inner_eps: Of a normalisation in front of the output's projection; None leaves it out.
    """

    def __init__(self, width: int, heads: int, bias: Bias = "all", inner_eps: float | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias == "all")
        apart = bias == "query_value"
        self.query_bias = nn.Parameter(torch.zeros(width)) if apart else None
        self.value_bias = nn.Parameter(torch.zeros(width)) if apart else None
        self.norm = nn.LayerNorm(width, eps=inner_eps) if inner_eps is not None else None
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor, rotation: Rotation | None, mask: Tensor | None, causal: bool) -> Tensor:
        """`[N, T, D]` of the same."""
        qkv = self.qkv(x)
        bias = self._bias_apart()
        if bias is not None:
            qkv = qkv + bias
        query, key, value = _split(qkv, 3, self.heads)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        return self._put_together(attend(query, key, value, mask, causal))

    def asked(self, asking: Tensor, x: Tensor, rotation: Rotation | None = None, mask: Tensor | None = None) -> Tensor:
        """`[N, Q, D]` of positions `asking` `[N, Q, D]` that see `x` `[N, T, D]`; their queries do not turn."""
        width = x.shape[-1]
        weight = self.qkv.weight
        bias = self.qkv.bias if self.query_bias is None else self._bias_apart()
        query_bias, other_bias = (None, None) if bias is None else (bias[:width], bias[width:])
        (query,) = _split(functional.linear(asking, weight[:width], query_bias), 1, self.heads)
        key, value = _split(functional.linear(x, weight[width:], other_bias), 2, self.heads)
        if rotation is not None:
            key = rotate(key, rotation)
        return self._put_together(attend(query, key, value, mask))

    def _bias_apart(self) -> Tensor | None:
        if self.query_bias is None or self.value_bias is None:
            return None
        return torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])

    def _put_together(self, heads: Tensor) -> Tensor:
        out: Tensor = self.output(heads if self.norm is None else self.norm(heads))
        return out


class FeedForward(nn.Module):
    """Two linear layers with an activation between, or three with a gate (SwiGLU).

    Args:
        width: Channels in and out.
        hidden: Channels between.
        activation: Which.
        inner_eps: Of a normalisation behind the activation; None leaves it out.
    """

    def __init__(self, width: int, hidden: int, activation: Activation, inner_eps: float | None = None) -> None:
        super().__init__()
        self.activation = activation
        self.gate = nn.Linear(width, hidden) if activation == "swiglu" else None
        self.up = nn.Linear(width, hidden)
        self.norm = nn.LayerNorm(hidden, eps=inner_eps) if inner_eps is not None else None
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., D]` of the same."""
        y = self.up(x)
        match self.activation:
            case "swiglu":
                assert self.gate is not None
                y = functional.silu(self.gate(x)) * y
            case "gelu":
                y = functional.gelu(y)
            case "gelu_tanh":
                y = functional.gelu(y, approximate="tanh")
            case "quick_gelu":
                y = functional.silu(1.702 * y) / 1.702  # y · sigmoid(1.702 y), with less kept for the gradient
        out: Tensor = self.down(y if self.norm is None else self.norm(y))
        return out


class AttentionPooling(nn.Module):
    """A learned query that looks at all positions, then a feed-forward (SigLIP's head)."""

    def __init__(self, width: int, heads: int, hidden: int, activation: Activation, eps: float) -> None:
        super().__init__()
        self.probe = nn.Parameter(torch.zeros(width))
        self.attention = Attention(width, heads)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(width, hidden, activation)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, D]` of `[N, T, D]`."""
        state = self.attention.asked(self.probe.expand(len(x), 1, -1), x)
        out: Tensor = state + self.feed_forward(self.norm(state))
        return out[:, 0]


def stack(architecture: TransformerArchitecture, layers: int) -> nn.ModuleList:
    """The first `layers` blocks of a tower."""
    vision = architecture if isinstance(architecture, VisionArchitecture) else None
    return nn.ModuleList(
        Block(
            architecture.width,
            architecture.heads,
            architecture.hidden,
            architecture.activation,
            architecture.norm_eps,
            vision.attention_bias if vision else "all",
            vision.sub_norm if vision else "none",
        )
        for _ in range(layers)
    )


def _split(x: Tensor, pieces: int, heads: int) -> Tensor:
    """`[pieces, N, H, T, D / H]` of `[N, T, pieces * D]`."""
    return x.reshape(*x.shape[:2], pieces, heads, -1).permute(2, 0, 3, 1, 4)


def pick(x: Tensor, places: Tensor) -> Tensor:
    """`[N, D]`: the state of `x` `[N, T, D]` at one position of each sample."""
    return x[torch.arange(len(x), device=x.device), places]


@torch.no_grad()
def start(blocks: nn.ModuleList, layers: int) -> None:
    """CLIP's first weights (Radford et al., 2021): spreads by width, and what is added to the stream also by depth."""
    for module in blocks.modules():
        if isinstance(module, Attention):
            width = module.output.in_features
            nn.init.normal_(module.qkv.weight, std=width**-0.5)
            nn.init.normal_(module.output.weight, std=(2 * width * layers) ** -0.5)
        elif isinstance(module, FeedForward):
            width = module.up.in_features
            nn.init.normal_(module.up.weight, std=(2 * width) ** -0.5)
            if module.gate is not None:
                nn.init.normal_(module.gate.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(module.down.weight, std=(2 * width * layers) ** -0.5)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def projection(architecture: TransformerArchitecture, embed_dim: int, where: str) -> nn.Linear | None:
    """From a tower's pooled state to the shared space, as its architecture says."""
    width = architecture.width
    if architecture.projection == "none":
        if width != embed_dim:
            raise RecipeError(
                f"{where}.architecture: without a projection its `width: {width}` must be the `embed_dim: {embed_dim}`; "
                "set `projection: plain` or make the two equal"
            )
        return None
    made = nn.Linear(width, embed_dim, bias=architecture.projection == "bias")
    nn.init.normal_(made.weight, std=width**-0.5)
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made
