"""Gated cross-attention (Flamingo; Alayrac et al., 2022): text looks at media in front of every k-th layer.

    x ──► x + tanh(a) · attention(norm x, media) ──► x + tanh(b) · feedforward(norm x) ──► the language model's layer

Both gates start at zero, so the language model starts as it was. Dimensions and order are those of OpenFlamingo's
`helpers.py` (norm: layer, feedforward: gelu) or of Idefics (rms, swiglu).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.errors import RecipeError
from triptych.fusion.config import CrossAttendConfig
from triptych.fusion.fusion import Fusion, Reading
from triptych.fusion.memory import Memory, Spot, remember
from triptych.language.backbone import LanguageModel
from triptych.language.layers import decoder_layers, hidden_size


class GatedBlock(nn.Module):
    """One block.

    Args:
        config: Its dimensions.
        dim: Width of the language model's layers.
        media_dim: Width of the media.
    """

    def __init__(self, config: CrossAttendConfig, dim: int, media_dim: int) -> None:
        super().__init__()
        inner, hidden = config.heads * config.head_dim, round(config.ff_mult * dim)
        self.heads, self.head_dim = config.heads, config.head_dim
        self.attention_norm = norm(config, dim)
        self.query = nn.Linear(dim, inner, bias=False)
        self.key = nn.Linear(media_dim, inner, bias=False)
        self.value = nn.Linear(media_dim, inner, bias=False)
        self.output = nn.Linear(inner, dim, bias=False)
        self.feedforward_norm = norm(config, dim)
        self.gate_projection = nn.Linear(dim, hidden, bias=False) if config.feedforward == "swiglu" else None
        self.up = nn.Linear(dim, hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)
        self.attention_gate = nn.Parameter(torch.zeros(1))
        self.feedforward_gate = nn.Parameter(torch.zeros(1))

    def project(self, media_RSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[R, H, S, d]` of media."""
        return self._heads(self.key(media_RSD)), self._heads(self.value(media_RSD))

    def forward(self, x_RLD: Tensor, projected: tuple[Tensor, Tensor] | None, mask: tuple[Tensor, ...]) -> Tensor:
        """`[R, L, D]` to `[R, L, D]`.

        Args:
            x_RLD: Hidden states.
            projected: What `project` made of the media; None where there are none.
            mask: `[R, 1, L, S]` who is looked at, no row empty; `[R, L, 1]` whether a token sees anything at all.
        """
        if projected is not None:
            looks, sees = mask
            query = self._heads(self.query(self.attention_norm(x_RLD)))
            found = functional.scaled_dot_product_attention(query, *projected, attn_mask=looks)
            found = self.output(found.transpose(1, 2).flatten(2)).masked_fill(~sees, 0.0)
            x_RLD = x_RLD + torch.tanh(self.attention_gate) * found
        return x_RLD + torch.tanh(self.feedforward_gate) * self._feedforward(self.feedforward_norm(x_RLD))

    def _feedforward(self, x: Tensor) -> Tensor:
        up = self.up(x)
        hidden = functional.gelu(up) if self.gate_projection is None else functional.silu(self.gate_projection(x)) * up
        down: Tensor = self.down(hidden)
        return down

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, self.head_dim).transpose(1, 2)


class CrossAttend(Fusion):
    """Blocks in front of decoder layers, which call them.

    Args:
        config: Where, and how large.
        language: The language model that they are put into; its own tree of modules does not change.
        embedding_std: Standard deviation of its token embeddings: the marker of a medium starts at it.

    Raises:
        RecipeError: There is no layer to put the first block in front of, or none that reads hidden states.
    """

    def __init__(self, config: CrossAttendConfig, language: LanguageModel, embedding_std: float) -> None:
        super().__init__(config)
        if refused := language.capabilities.layers_refused:
            raise RecipeError(f"model.fusion: `cross_attend` stands in front of layers, but {refused}; use `splice`")
        layers = decoder_layers(language.model)
        if (reason := config.mistake(len(layers))) is not None:
            raise RecipeError(reason)
        self.config: CrossAttendConfig = config
        dtype = language.embedding.weight.dtype
        chosen = layers[config.first :: config.every]
        self.blocks = nn.ModuleList(GatedBlock(config, hidden_size(language.model), language.dim) for _ in chosen)
        self.marker = nn.Parameter(torch.randn(1, language.dim) * embedding_std)
        self.media_norm = norm(config, language.dim) if config.normalise else None
        self.to(dtype)
        for number, layer in enumerate(chosen):
            layer.register_forward_pre_hook(_Before(self, number), with_kwargs=True)

    def places(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The marker."""
        return [self.marker] * len(features)

    def remember(self, features: Sequence[Tensor], spots: Sequence[Spot], rows: int, like: Tensor) -> Memory:
        """The features, normalised."""
        memory = remember(features, spots, rows, like)
        if self.media_norm is not None:
            memory.tokens = self.media_norm(memory.tokens)
        return memory

    def prepare(self, memory: Memory) -> None:
        """Keys and values for every block."""
        for number in range(len(self.blocks)):
            self._projected(number, memory)

    def before(self, number: int, x_RLD: Tensor) -> Tensor:
        """What a layer reads instead of `x_RLD`."""
        now, block = self.now, self.blocks[number]
        assert isinstance(block, GatedBlock)
        if now is None or now.memory is None or not now.memory.tokens.shape[1]:
            return block(x_RLD, None, ())  # type: ignore[no-any-return]
        if now.mask is None:
            now.mask = self._mask(now)
        out: Tensor = block(x_RLD, self._projected(number, now.memory), now.mask)
        return out

    def _mask(self, now: Reading) -> tuple[Tensor, Tensor]:
        assert now.memory is not None
        seen = now.memory.seen(now.positions, now.documents, self.config.sees == "last")
        sees = seen.any(dim=-1, keepdim=True)
        return (seen | ~sees)[:, None], sees

    def _projected(self, number: int, memory: Memory) -> tuple[Tensor, Tensor]:
        if number not in memory.projected:
            block = self.blocks[number]
            assert isinstance(block, GatedBlock)
            memory.projected[number] = block.project(memory.tokens)
        return memory.projected[number]


class _Before:
    """The hook in front of a layer."""

    def __init__(self, fusion: CrossAttend, number: int) -> None:
        self.fusion, self.number = fusion, number

    def __call__(self, layer: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:  # noqa: ARG002 - PyTorch's signature
        if args:
            return (self.fusion.before(self.number, args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self.fusion.before(self.number, kwargs["hidden_states"])}


def norm(config: CrossAttendConfig, dim: int) -> nn.Module:
    """The norm of a recipe's choice."""
    return nn.RMSNorm(dim, eps=1e-6) if config.norm == "rms" else nn.LayerNorm(dim)
