"""LLaMA as Meta's published code defines it (`llama/model.py`), written plainly: a document at a time, a head at a time,
neighbouring channels turned as complex numbers. For comparison only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlainLlama(nn.Module):
    """The decoder by Meta's names.

    Args:
        params: Of `params.json`.
        words: Size of the vocabulary.
        inner: Width of the feed-forward layers.
    """

    def __init__(self, params: dict[str, Any], words: int, inner: int) -> None:
        super().__init__()
        width = int(params["dim"])
        self.tok_embeddings = nn.Embedding(words, width)
        self.layers = nn.ModuleList(_Layer(params, inner) for _ in range(params["n_layers"]))
        self.norm = _Norm(width, params["norm_eps"])
        self.output = nn.Linear(width, words, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits `[L, V]` of one document `[L]`."""
        x = self.tok_embeddings(ids)
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.output(self.norm(x))
        return logits


class _Norm(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(width)), epsilon

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x / (x.square().mean(dim=-1, keepdim=True) + self.epsilon).sqrt()


class _Layer(nn.Module):
    def __init__(self, params: dict[str, Any], inner: int) -> None:
        super().__init__()
        width = int(params["dim"])
        self.attention = _Attention(params)
        self.feed_forward = nn.ModuleDict(
            {
                "w1": nn.Linear(width, inner, bias=False),
                "w2": nn.Linear(inner, width, bias=False),
                "w3": nn.Linear(width, inner, bias=False),
            }
        )
        self.attention_norm = _Norm(width, params["norm_eps"])
        self.ffn_norm = _Norm(width, params["norm_eps"])

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        y, layers = self.ffn_norm(x), self.feed_forward
        out: Tensor = x + layers["w2"](functional.silu(layers["w1"](y)) * layers["w3"](y))
        return out


class _Attention(nn.Module):
    """Causal; several heads of queries may share one of keys and values."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__()
        width, self.heads = int(params["dim"]), int(params["n_heads"])
        self.shared, self.size = int(params.get("n_kv_heads") or self.heads), width // self.heads
        self.theta = float(params.get("rope_theta") or 10_000.0)
        self.wq = nn.Linear(width, self.heads * self.size, bias=False)
        self.wk = nn.Linear(width, self.shared * self.size, bias=False)
        self.wv = nn.Linear(width, self.shared * self.size, bias=False)
        self.wo = nn.Linear(self.heads * self.size, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = self.wq(x), self.wk(x), self.wv(x)
        later = torch.full((len(x), len(x)), float("-inf")).triu(1)
        heads = []
        for head in range(self.heads):
            own, other = self._piece(head), self._piece(head // (self.heads // self.shared))
            query, key = self._turned(queries[:, own]), self._turned(keys[:, other])
            heads.append((query @ key.t() / self.size**0.5 + later).softmax(-1) @ values[:, other])
        out: Tensor = self.wo(torch.cat(heads, dim=-1))
        return out

    def _piece(self, head: int) -> slice:
        return slice(head * self.size, (head + 1) * self.size)

    def _turned(self, x: Tensor) -> Tensor:
        speeds = self.theta ** (-torch.arange(0, self.size, 2).double() / self.size)
        angles = torch.outer(torch.arange(len(x)).double(), speeds)
        pairs = torch.view_as_complex(x.double().reshape(len(x), -1, 2).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(1).to(x.dtype)
