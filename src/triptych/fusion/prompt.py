"""Zero-init attention (LLaMA-Adapter; Zhang et al., 2023): learned prompts beside the text, in the layers' own attention.

    out = softmax(q kᵀ) v  +  tanh(gate) · softmax(q k̂ᵀ) v̂        k̂, v̂ = the layer's own projections of its prompts

The second softmax is separate from the first, the prompts have no rotary positions, and the gates start at zero, so the
language model starts as it was. Media take no positions: they are added to the prompts of their document, all of it.

Version 2 (Gao et al., 2023) adds a bias and a scale to every linear layer (`tuning`), and shows the media to the first
layers instead, as keys and values of gated attention (`early`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from triptych.errors import RecipeError
from triptych.fusion.config import PromptConfig, TuningConfig
from triptych.fusion.fusion import Fusion, Reading
from triptych.fusion.memory import Memory, Spot, remember
from triptych.kernels import fast
from triptych.language.attention import KeysAndValues, attentions
from triptych.language.backbone import LanguageModel
from triptych.language.layers import decoder_layers, heads_of, linear_layers

NO_MEDIA = -3
"""The document, in a memory, of the prompts for documents without media."""


class Prompts(nn.Module):
    """The table of prompts `[layers, length, D]`."""

    def __init__(self, layers: int, length: int, dim: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(layers, length, dim) * std)


class Early(nn.Module):
    """Gates `[layers, heads]` of the layers that see the media."""

    def __init__(self, gates: Tensor) -> None:
        super().__init__()
        self.gates = nn.Parameter(gates)


class Tuned(nn.Module):
    """y = s · (W x + b) behind a linear layer, from s = 1 and b = 0.

    Args:
        config: Which of the two.
        linear: The linear layer, which calls this module with its output.
    """

    def __init__(self, config: TuningConfig, linear: nn.Linear) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(linear.out_features)) if config.bias else None
        self.scale = nn.Parameter(torch.ones(linear.out_features)) if config.scale else None

    def forward(self, linear: nn.Module, inputs: Any, output: Tensor) -> Tensor:  # noqa: ARG002 - PyTorch's signature
        """`[..., D_out]` to `[..., D_out]`."""
        if self.bias is not None:
            output = output + self.bias
        return output if self.scale is None else output * self.scale


class Prompt(Fusion):
    """Prompts in the attention of decoder layers, which call this module for their share.

    Args:
        config: How many prompts, in how many layers.
        language: The language model that they are put into; its own tree of modules does not change.
        embedding_std: Standard deviation of its token embeddings.

    Raises:
        RecipeError: It has too few layers, or attention that takes no prompts.
    """

    def __init__(self, config: PromptConfig, language: LanguageModel, embedding_std: float) -> None:
        super().__init__(config)
        self.config: PromptConfig = config
        layers = _layers(config, language)
        self.heads = heads_of(language.model)
        self.head_dim = int(getattr(layers[0], "head_dim", None) or language.dim // self.heads)
        std = embedding_std if config.std == "embeddings" else config.std
        self.prompts = Prompts(config.layers, config.length, language.dim, std)
        self.gates = nn.Parameter(self._gates(config.layers))
        self.early = Early(self._gates(config.early.layers)) if config.early is not None else None
        self.tuning: nn.ModuleList | None = None
        if config.tuning is not None:
            every = decoder_layers(language.model)
            self.tuning = nn.ModuleList(nn.ModuleDict() for _ in every)
            for group, layer in zip(self.tuning, every, strict=True):
                for name, linear in linear_layers(layer):
                    tuned = Tuned(config.tuning, linear)
                    group[name.replace(".", "_")] = tuned  # type: ignore[operator]
                    linear.register_forward_hook(tuned)
        self.to(language.embedding.weight.dtype)
        self._language = (language,)  # in a tuple: its modules are not this module's
        self._makers = [KeysAndValues(attention) for attention in layers[len(layers) - config.layers :]]
        for number, maker in enumerate(self._makers):
            fast.bind(maker.attention, Share(self, number))
        for number in range(config.early.layers if config.early is not None else 0):
            fast.bind(layers[number], EarlyShare(self, number, KeysAndValues(layers[number])))

    def places(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Nothing."""
        return [self.prompts.weight.new_empty(0, self.prompts.weight.shape[-1])] * len(features)

    def remember(self, features: Sequence[Tensor], spots: Sequence[Spot], rows: int, like: Tensor) -> Memory:
        """One token per document with media, the mean of its features, behind a token of zeros for those without.

        With `early`: the features themselves.
        """
        if self.early is not None:
            return remember(features, spots, rows, like)
        held: dict[tuple[int, int], list[int]] = {}
        for spot in spots:
            held.setdefault((spot.row, spot.document), []).append(spot.features)
        means = [feature.mean(dim=0) for feature in features]
        nothing = [like.new_zeros(1, like.shape[-1])]
        added = nothing + [torch.stack([means[i] for i in numbers]).mean(dim=0)[None] for numbers in held.values()]
        places = [Spot(row, NO_MEDIA, 0, 0) for row in range(rows)]
        places += [Spot(row, document, 0, i) for i, (row, document) in enumerate(held, start=1)]
        return remember(added, places, rows, like)

    def prepare(self, memory: Memory) -> None:
        """Keys and values for every layer with prompts."""
        if self._makers[0].arguments is None:  # the layers were not called yet
            (language,) = self._language
            token = torch.full((1, 1), language.placeholder, device=language.embedding.weight.device)
            language(language.embed(token), torch.zeros_like(token), ids=token)
        for number in range(len(self._makers)):
            self.keys_and_values(number, memory)

    def keys_and_values(self, number: int, memory: Memory | None) -> tuple[Tensor, Tensor]:
        """The prompts of a layer, projected: `[R, H', M · length, d]`, or `[1, H', length, d]` where media change nothing."""
        if memory is not None and number in memory.projected:
            return memory.projected[number]
        prompts = self.prompts.weight[number][None, None]
        if memory is not None and self.early is None:
            several = memory.tokens.shape[1] > 1  # else there are only the zeros
            prompts = prompts + (memory.tokens if several else memory.tokens[:1])[:, :, None]
        projected = self._makers[number](prompts.flatten(1, 2))
        if memory is not None:
            rows = len(memory.tokens)
            memory.projected[number] = projected = tuple(x.expand(rows, *x.shape[1:]) for x in projected)  # type: ignore[assignment]
        return projected

    def own_prompts(self) -> Tensor | None:
        """Which prompts belong to a token's document, `[R, 1, L, M · length]`; None where all do."""
        now = self.now
        if now is None or now.memory is None or self.early is not None or now.memory.tokens.shape[1] < 2:
            return None
        if now.mask is None:
            own = now.memory.own(now.documents)
            own[:, :, 0] = ~own.any(dim=-1)
            now.mask = (own.repeat_interleave(self.config.length, dim=-1)[:, None],)
        return now.mask[0]

    def own_media(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """The media `[R, S, D]`, which of them a token looks at, no row empty, and whether it has any; None without media."""
        now = self.now
        if now is None or now.memory is None or not now.memory.tokens.shape[1]:
            return None
        if now.mask is None:
            now.mask = _looks(now)
        return (now.memory.tokens, *now.mask)  # type: ignore[return-value]

    def _gates(self, layers: int) -> Tensor:
        shape = (layers, self.heads if self.config.gate == "head" else 1)
        return {"zero": torch.zeros, "one": torch.ones, "random": torch.randn}[self.config.start](shape)


class Share:
    """What the prompts of one layer add to its attention.

    Args:
        fusion: Whose prompts.
        number: Of the layer among those with prompts.
    """

    def __init__(self, fusion: Prompt, number: int) -> None:
        self.fusion, self.number = fusion, number

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:  # noqa: ARG002 - see `fast.bind`
        """`[R, L, H, d]` of queries `[R, H, L, d]`."""
        memory = self.fusion.now.memory if self.fusion.now is not None else None
        keys, values = self.fusion.keys_and_values(self.number, memory)
        gate = torch.tanh(self.fusion.gates[self.number])
        return gated_attention(query, keys, values, self.fusion.own_prompts(), gate, scale)


class EarlyShare:
    """What the media add to the attention of one of the first layers; see `Share`."""

    def __init__(self, fusion: Prompt, number: int, maker: KeysAndValues) -> None:
        self.fusion, self.number, self.maker = fusion, number, maker

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor | None:  # noqa: ARG002
        """`[R, L, H, d]` of queries `[R, H, L, d]`; None where there are no media."""
        media, now, early = self.fusion.own_media(), self.fusion.now, self.fusion.early
        if media is None or now is None or now.memory is None or early is None:
            return None
        tokens, looks, has = media
        place = -1 - self.number  # prompts have the numbers from zero
        if place not in now.memory.projected:
            now.memory.projected[place] = self.maker(tokens)
        gate = torch.tanh(early.gates[self.number])
        found = gated_attention(query, *now.memory.projected[place], looks, gate, scale)
        return found.masked_fill(~has[..., None], 0.0)


def gated_attention(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, gate: Tensor, scale: float
) -> Tensor:
    """gate · softmax(q kᵀ · scale) v, `[R, L, H, d]`; the softmax in float32.

    Args:
        query: `[R, H, L, d]`.
        keys: `[R or 1, H', N, d]`, shared by groups of query heads.
        values: The same.
        mask: `[R, 1, L, N]`, whom a query looks at; None for all.
        gate: `[H]` or `[1]`.
        scale: Of the scores.
    """
    groups = query.shape[1] // keys.shape[1]
    keys, values = (x.repeat_interleave(groups, dim=1) for x in (keys, values))
    scores = (query @ keys.transpose(2, 3)).float() * scale
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    found = scores.softmax(dim=-1).to(query.dtype) @ values
    return (found * gate[:, None, None]).transpose(1, 2)


def _looks(now: Reading) -> tuple[Tensor, Tensor]:
    assert now.memory is not None
    own = now.memory.own(now.documents)
    has = own.any(dim=-1, keepdim=True)
    return (own | ~has)[:, None], has


def _layers(config: PromptConfig, language: LanguageModel) -> list[Any]:
    """The attention of the layers that have one, from the first to the last."""
    name = type(language.model).__name__
    if reason := language.capabilities.prompts_refused or (
        "" if fast.extensible(language.model) else f"{name} has no attention that can be extended"
    ):
        raise RecipeError(f"model.fusion: `prompt` adds to attention, but {reason}; use `splice` or `cross_attend`")
    modules = attentions(language.model, language.capabilities.attention)
    layers = [module for module in modules if module is not None]
    among = "" if len(layers) == len(modules) else f" (of {len(modules)} layers, those with attention)"
    if (wrong := config.mistake(len(layers), name + among)) is not None:
        raise RecipeError(wrong)
    return layers
