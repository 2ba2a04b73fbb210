"""OpenAI's CLIP as its published code builds it, out of PyTorch's own layers: the names of OpenAI and open_clip. For comparison
only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class QuickGelu(nn.Module):
    """OpenAI's activation."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class ResidualBlock(nn.Module):
    """A block, pre-normalised."""

    def __init__(self, width: int, heads: int, gelu: type[nn.Module] = QuickGelu) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads)
        layers = {"c_fc": nn.Linear(width, 4 * width), "gelu": gelu(), "c_proj": nn.Linear(4 * width, width)}
        self.mlp = nn.Sequential()
        for name, layer in layers.items():
            self.mlp.add_module(name, layer)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Positions first, as MultiheadAttention has it."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class Transformer(nn.Module):
    """Blocks in a row."""

    def __init__(self, width: int, layers: int, heads: int, gelu: type[nn.Module] = QuickGelu) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ResidualBlock(width, heads, gelu) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.resblocks:
            x = block(x, mask)
        return x


class Visual(nn.Module):
    """The image tower: normalised pixels → features `[N, E]`."""

    def __init__(self, size: int, patch: int, width: int, layers: int, heads: int, embed_dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty((size // patch) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, layers, heads)
        self.proj = nn.Parameter(torch.empty(width, embed_dim))

    def forward(self, pixels: Tensor) -> Tensor:
        cells = self.conv1(pixels).flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(len(cells), 1, -1)
        x = self.ln_pre(torch.cat([token, cells], dim=1) + self.positional_embedding)
        x = self.transformer(x.transpose(0, 1)).transpose(0, 1)
        out: Tensor = self.ln_post(x[:, 0]) @ self.proj
        return out


class Text(nn.Module):
    """The text tower."""

    def __init__(
        self,
        words: int,
        positions: int,
        width: int,
        layers: int,
        heads: int,
        embed_dim: int,
        gelu: type[nn.Module] = QuickGelu,
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(words, width)
        self.positional_embedding = nn.Parameter(torch.empty(positions, width))
        self.transformer = Transformer(width, layers, heads, gelu)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, embed_dim))

    def encode(self, ids: Tensor) -> Tensor:
        """Pooled at the highest id, which is the end token's here as in OpenAI's vocabulary."""
        x = (self.token_embedding(ids) + self.positional_embedding).transpose(0, 1)
        mask = torch.full((ids.shape[1],) * 2, float("-inf")).triu(1)
        x = self.ln_final(self.transformer(x, mask).transpose(0, 1))
        out: Tensor = x[torch.arange(len(x)), ids.argmax(dim=-1)] @ self.text_projection
        return out


class OpenAIClip(Text):
    """The text tower's names are the model's own."""

    def __init__(self, vision: dict[str, Any], text: dict[str, Any]) -> None:
        super().__init__(**text)
        self.visual = Visual(**vision)
        self.logit_scale = nn.Parameter(torch.zeros(()))


class CustomTextClip(nn.Module):
    """open_clip's other form, the EVA repository's too."""

    def __init__(self, vision: dict[str, Any], text: dict[str, Any]) -> None:
        super().__init__()
        self.visual = Visual(**vision)
        self.text = Text(**text)
        self.logit_scale = nn.Parameter(torch.zeros(()))

    def encode(self, ids: Tensor) -> Tensor:
        """Features of texts `[N, E]`."""
        return self.text.encode(ids)
