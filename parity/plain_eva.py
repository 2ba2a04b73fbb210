"""EVA's vision towers as the published code defines them (`eva_vit_model.py`, `rope.py` of EVA-CLIP), written plainly:
a picture at a time, a head at a time, positions turned as complex numbers. For comparison only.
"""

from __future__ import annotations

import cmath

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.encoders.architecture import VisionArchitecture


class PlainEva(nn.Module):
    """A tower with the names of the EVA repository: separate projections where the feed-forward is gated (EVA-02)."""

    def __init__(self, shape: VisionArchitecture, embed_dim: int) -> None:
        super().__init__()
        self.shape = shape
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + shape.side**2, shape.width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, shape.width, shape.patch_size, shape.patch_size)})
        self.blocks = nn.ModuleList(PlainBlock(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)
        self.head = nn.Linear(shape.width, embed_dim)

    def states(self, pixels: Tensor) -> Tensor:
        """`[N, 1 + T, D]` of normalised pixels, all normalised at the end."""
        return torch.stack([self._picture(picture) for picture in pixels])

    def forward(self, pixels: Tensor) -> Tensor:
        """`[N, E]`: the projected class tokens."""
        out: Tensor = self.head(self.states(pixels)[:, 0])
        return out

    def _picture(self, pixels: Tensor) -> Tensor:
        cells = self.patch_embed["proj"](pixels[None])[0].flatten(1).t()
        x = torch.cat([self.cls_token[0], cells]) + self.pos_embed[0]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out


class PlainBlock(nn.Module):
    """A block, pre-normalised."""

    def __init__(self, shape: VisionArchitecture) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(shape.width, eps=1e-6), nn.LayerNorm(shape.width, eps=1e-6)
        self.attn, self.mlp = PlainAttention(shape), PlainFeedForward(shape)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class PlainAttention(nn.Module):
    """Queries and values have biases, keys none; EVA-02 turns queries and keys, but not the class token's."""

    def __init__(self, shape: VisionArchitecture) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        if shape.activation == "swiglu":
            self.q_proj = nn.Linear(width, width, bias=False)
            self.k_proj = nn.Linear(width, width, bias=False)
            self.v_proj = nn.Linear(width, width, bias=False)
        else:
            self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.inner_attn_ln = nn.LayerNorm(width, eps=1e-6) if shape.sub_norm == "both" else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        if self.shape.activation == "swiglu":
            q, k, v = self.q_proj(x) + self.q_bias, self.k_proj(x), self.v_proj(x) + self.v_bias
        else:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            q, v = q + self.q_bias, v + self.v_bias
        size = self.shape.width // self.shape.heads
        heads = []
        for start in range(0, self.shape.width, size):
            query, key, value = (y[:, start : start + size] for y in (q, k, v))
            if self.shape.rope is not None:
                query, key = self._turned(query), self._turned(key)
            scores = query @ key.t() / size**0.5
            heads.append(scores.softmax(-1) @ value)
        out: Tensor = self.proj(self.inner_attn_ln(torch.cat(heads, dim=-1)))
        return out

    def _turned(self, x: Tensor) -> Tensor:
        side, size = self.shape.side, x.shape[-1]
        reference = self.shape.rope or side
        rows = [x[0]]
        for position, row in enumerate(x[1:]):
            places = (position // side, position % side)
            factors = []
            for pair in range(size // 2):
                axis, i = divmod(pair, size // 4)  # the first half of the channels turns by row
                speed = 10_000.0 ** (-2 * i / (size // 2))
                factors.append(cmath.exp(1j * places[axis] / side * reference * speed))
            turned = torch.view_as_complex(row.reshape(-1, 2).contiguous()) * torch.tensor(factors)
            rows.append(torch.view_as_real(turned).flatten())
        return torch.stack(rows)


class PlainFeedForward(nn.Module):
    """Gated and normalised inside (EVA-02), or two layers with a GELU (EVA-01)."""

    def __init__(self, shape: VisionArchitecture) -> None:
        super().__init__()
        if shape.activation == "swiglu":
            self.w1 = nn.Linear(shape.width, shape.hidden)
            self.w2 = nn.Linear(shape.width, shape.hidden)
            self.w3 = nn.Linear(shape.hidden, shape.width)
        else:
            self.fc1 = nn.Linear(shape.width, shape.hidden)
            self.fc2 = nn.Linear(shape.hidden, shape.width)
        if shape.sub_norm != "none":
            self.ffn_ln = nn.LayerNorm(shape.hidden, eps=1e-6)
        self.gated = shape.activation == "swiglu"

    def forward(self, x: Tensor) -> Tensor:
        if self.gated:
            first = self.w1(x)
            out: Tensor = self.w3(self.ffn_ln(first * first.sigmoid() * self.w2(x)))
        else:
            out = self.fc2(functional.gelu(self.fc1(x)))
        return out
