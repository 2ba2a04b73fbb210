"""The sides of a dual encoder that do not learn, but for a head: any encoder, and any language model.

pixels ─► encoder (once per picture, cached) ─► [N, T, D] ─► pool ─┐
                                                                   ├─► head ─► [N, E]
ids ────► language model (once per text, kept) ─► mean ─► [N, D] ──┘
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.encoders.image_encoder import ImageEncoder
from triptych.families.dual.config import FrozenImageConfig, FrozenTextConfig, HeadConfig
from triptych.kernels import fast
from triptych.language.backbone import LanguageModel

KEPT = 256 * 2**20
"""Bytes of text features that are kept in memory; beyond, texts are read anew."""


class Head(nn.Module):
    """Pooled features into the shared space: normalised, some left out while training, then a linear map or an MLP.

    Args:
        width: Channels of the features.
        embed_dim: Channels E of the space that pictures and texts share.
        config: What it is made of.
        looks: Whether it has a query that says how positions are weighted; it starts with their mean.
    """

    def __init__(self, width: int, embed_dim: int, config: HeadConfig, looks: bool = False) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width)) if looks else None
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.hidden = nn.Linear(width, config.hidden) if config.hidden is not None else None
        self.projection = nn.Linear(config.hidden or width, embed_dim)

    def forward(self, features: Tensor) -> Tensor:
        """`[N, E]` of features `[N, D]`."""
        x = self.dropout(self.norm(features.float()))
        if self.hidden is not None:
            x = self.dropout(functional.gelu(self.hidden(x)))
        out: Tensor = self.projection(x)
        return out


class FrozenImages(nn.Module):
    """An encoder that stays as it is, and what learns behind it.

    Args:
        encoder: The encoder; it loses its gradients.
        embed_dim: Channels E of the shared space.
        config: How positions are pooled, and the head.
    """

    def __init__(self, encoder: ImageEncoder, embed_dim: int, config: FrozenImageConfig) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False).eval()
        self.embed_dim, self.width = embed_dim, encoder.dim
        self.head = Head(encoder.dim, embed_dim, config.head, looks=config.pool == "attention")

    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures in the shared space `[N, E]`, of any length: pixels `[N, 3, H, W]`, uint8, or features `[N, T, D]`."""
        return self.pooled(self.features(pictures))

    @torch.no_grad()
    def features(self, pictures: Tensor) -> Tensor:
        """Features `[N, T, D]` of pixels; features stay what they are. Equal to those in the cache, bit by bit."""
        if pictures.dim() == 3:
            return pictures
        return torch.stack(self.encoder.encode(list(pictures)))

    def pooled(self, features: Tensor) -> Tensor:
        """`[N, E]` of features `[N, T, D]`."""
        out: Tensor = self.head(self.pool(features))
        return out

    def pool(self, features: Tensor) -> Tensor:
        """`[N, D]`: the mean over positions, or one weighted by what the head's query looks for."""
        query = self.head.query
        if query is None:
            return features.float().mean(dim=1)
        normed = functional.layer_norm(features.float(), (self.width,))
        weights = torch.softmax(normed @ query, dim=1)
        return torch.einsum("nt,ntd->nd", weights, features.float())


class FrozenTexts(nn.Module):
    """A language model that stays as it is, up to a layer, and what learns behind it.

    Args:
        language: The language model; layers behind the chosen one are cut off, and it loses its gradients.
        embed_dim: Channels E of the shared space.
        config: Which layer, and the head.
        begin: The begin token, if texts have one: it is read, but what becomes of it says nothing about the text.
    """

    def __init__(
        self, language: LanguageModel, embed_dim: int, config: FrozenTextConfig, begin: int | None = None
    ) -> None:
        super().__init__()
        self.language = language.requires_grad_(False).eval()
        self.begin = begin
        self.layer, self.embed_dim, self.width = config.layer, embed_dim, language.dim
        cut(language, config.layer)
        self.head = Head(language.dim, embed_dim, config.head)
        self._kept: dict[tuple[int, ...], Tensor] = {}

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Texts in the shared space `[N, E]`, of any length; ids `[N, L]`, the last of `lengths` an end token."""
        out: Tensor = self.head(self.features(ids, lengths))
        return out

    @torch.no_grad()
    def features(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """`[N, D]`, float32: the mean state of each text's words, begin and end left out; each text is read once."""
        keys = [tuple(row[:n]) for row, n in zip(ids.tolist(), lengths.tolist(), strict=True)]
        fresh = list(dict.fromkeys(key for key in keys if key not in self._kept))
        found = dict(zip(fresh, self._read(fresh, ids.device), strict=True)) if fresh else {}
        if (len(self._kept) + len(found)) * self.width * 4 <= KEPT:
            self._kept |= found
        return torch.stack([self._kept[key] if key in self._kept else found[key] for key in keys]).to(ids.device)

    def _read(self, texts: list[tuple[int, ...]], device: torch.device) -> list[Tensor]:
        """Each text by itself, whatever it is read with: shortest first, so that little is padding."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        means: list[Tensor] = [torch.empty(0)] * len(texts)
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            lengths = torch.tensor([max(1, len(texts[i]) - 1) for i in rows], device=device)  # without the end token
            ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long, device=device)
            for row, i in enumerate(rows):
                ids[row, : lengths[row]] = torch.tensor(texts[i][: int(lengths[row])], device=device)
            for i, mean in zip(rows, self._states(ids, lengths), strict=True):
                means[i] = mean.cpu()
        return means

    def _states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        states = self.language.embed(ids)
        if self.layer:
            places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
            # Every word sees those before it alone, so padding behind a text changes nothing in it.
            documents = torch.where(inside, torch.arange(len(ids), device=ids.device)[:, None], -1)
            own = self.language.config._attn_implementation == fast.NAME
            states = self.language(states, places, documents if own else None, None if own else inside.long(), ids=ids)
        if self.begin is not None:
            inside = inside & ~((ids == self.begin) & (lengths[:, None] > 1))
        return (states.float() * inside[..., None]).sum(dim=1) / inside.sum(dim=1, keepdim=True)


def cut(language: LanguageModel, layers: int) -> None:
    """Leave a language model's first layers, without the normalisation behind the last one.

    Raises:
        RecipeError: It has not as many, or is built another way than transformers' decoders usually are.
    """
    from triptych.errors import RecipeError

    decoder = language.model.get_decoder()
    found = getattr(decoder, "layers", None)
    if found is None or not hasattr(decoder, "norm"):
        raise RecipeError(f"model.text: no layers can be told apart in a {type(decoder).__name__}; take `layer: 0`")
    if layers > len(found):
        raise RecipeError(f"model.text.layer: {layers} is more than the language model's {len(found)} layers")
    if layers < len(found):
        decoder.layers, decoder.norm = found[:layers], nn.Identity()
