"""Our own text transformer: CLIP's (causal, the end token's state) or SigLIP's (bidirectional, the last position's).

ids [N, L] ─► words + positions ─► blocks ─► the state at one position ─► norm ─► project ─► [N, E]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.encoders.architecture import TextArchitecture
from triptych.encoders.blocks import Block, projection, stack, start
from triptych.errors import RecipeError


class TextTower(nn.Module):
    """The text side of a dual encoder.

    Args:
        architecture: Its shape.
        embed_dim: Channels E of the space that pictures and texts share.
        vocabulary: Number of words where the architecture leaves it to the tokenizer.

    Raises:
        RecipeError: Nobody says how many words there are, or without a projection E is not the tower's width.
    """

    def __init__(self, architecture: TextArchitecture, embed_dim: int, vocabulary: int | None = None) -> None:
        super().__init__()
        self.architecture = shape = architecture
        self.embed_dim = embed_dim
        words = shape.vocabulary or vocabulary
        if words is None:
            raise RecipeError("text.architecture: there is no tokenizer to take the `vocabulary` from; give its number")
        self.words = nn.Embedding(words, shape.width)
        self.positions = nn.Parameter(torch.empty(shape.max_tokens, shape.width))
        self.blocks = stack(shape, shape.layers)
        self.norm = nn.LayerNorm(shape.width, eps=shape.norm_eps)
        self.projection = projection(shape, embed_dim, "text")
        start(self.blocks, shape.layers)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)

    def forward(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Texts in the shared space `[N, E]`, of any length.

        A text's answer does not depend on how far it is padded. The last block is computed for one position of each.

        Args:
            ids: `[N, L]`, padded at the right.
            lengths: `[N]`: tokens of each text, its end token among them; None where all have L.

        Raises:
            ValueError: A text is empty, or longer than the positions or than L.
        """
        ids, lengths = self._checked(ids, lengths)
        x = self._embedded(ids)
        seen = self._seen(ids, lengths)
        causal = self.architecture.attention == "causal"
        for block in self.blocks[:-1]:
            x = block(x, mask=seen, causal=causal)
        places = self._places(ids, lengths)
        if causal:
            seen = (torch.arange(ids.shape[1], device=ids.device) <= places[:, None])[:, None, None]
        last = self.blocks[-1]
        assert isinstance(last, Block)
        state: Tensor = self.norm(last.only(x, places, mask=seen))
        return state if self.projection is None else self.projection(state)

    def states(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Normalised states `[N, L, D]` of all positions; L is `max_tokens` with `pooling: last`. As for `forward`."""
        ids, lengths = self._checked(ids, lengths)
        x = self._embedded(ids)
        seen = self._seen(ids, lengths)
        for block in self.blocks:
            x = block(x, mask=seen, causal=self.architecture.attention == "causal")
        out: Tensor = self.norm(x)
        return out

    def _checked(self, ids: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        shape = self.architecture
        length = ids.shape[1]
        if length > shape.max_tokens:
            raise ValueError(f"texts of {length} tokens are longer than the {shape.max_tokens} positions")
        if lengths is None:
            lengths = ids.new_full((len(ids),), length)
        elif lengths.device.type == "cpu" and bool(((lengths < 1) | (lengths > length)).any()):
            raise ValueError(f"lengths must be 1 to {length}, got {lengths.tolist()}")
        if shape.pooling == "last":  # padding is read there, so it has to be the same always
            ids = functional.pad(ids, (0, shape.max_tokens - length))
            ids = ids.masked_fill(torch.arange(ids.shape[1], device=ids.device) >= lengths[:, None], shape.pad)
        return ids, lengths

    def _embedded(self, ids: Tensor) -> Tensor:
        out: Tensor = self.words(ids) + self.positions[: ids.shape[1]]
        return out

    def _seen(self, ids: Tensor, lengths: Tensor) -> Tensor | None:
        """`[N, 1, 1, L]`, true at what is seen, where padding would be seen otherwise; None where it cannot be."""
        if self.architecture.attention == "causal" or self.architecture.pooling == "last":
            return None
        return (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None])[:, None, None]

    def _places(self, ids: Tensor, lengths: Tensor) -> Tensor:
        match self.architecture.pooling:
            case "end":
                return lengths - 1
            case "last":
                return torch.full_like(lengths, ids.shape[1] - 1)
            case "highest":
                return ids.argmax(dim=1)
