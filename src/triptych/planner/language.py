"""What a language model costs by token, measured on the modules that compute it, whatever its configuration calls them.

The model reads two short rows on the meta device. Products with parameters grow with the row; products of activations
grow with it (a state-space layer) or with its square (attention):

    FLOPs(L) = 2 · trunk · L + mixing · L + attention · L²
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from triptych.language.backbone import LanguageModel
from triptych.language.shapes import Reader, reader, values_assumed
from triptych.planner.products import Products, counted

SHORT = 8
"""Tokens of the shorter row; the other has twice as many."""

ODD = 13
"""Tokens of a row that is read into a cache: a number that no other dimension is likely to have."""

LONG = 512
"""The same for layers that fill their rows up to a chunk: a multiple of every chunk that is usual."""

LOOPED = 1.5
"""More operations by this factor in a row of twice the length: the code takes one token after another."""


@dataclass(frozen=True)
class LanguageShape:
    """What the FLOPs and the cache of a language model depend on.

    Args:
        trunk: Entries of all weights that a token is multiplied with, in the layers; of experts, those it is sent to.
        lora: Entries of the matrices that LoRA added.
        head: Entries of the matrix that makes logits.
        attention: FLOPs of attention per token and position of the row: 4 · heads · width of a head, summed over layers.
        kv_bytes: Bytes that a token takes in the cache of keys and values, in bfloat16, as long as no window is full.
        mixing: FLOPs per token of products of activations that do not grow with the row (state-space layers).
        note: Why nothing of it could be measured; what depends on its code is then derived from its parameters.
    """

    trunk: int
    lora: int
    head: int
    attention: int
    kv_bytes: int
    mixing: int = 0
    note: str = ""


def language_shape(language: LanguageModel) -> LanguageShape:
    """Measure a language model, with or without LoRA; its tensors may be on any device, and no number of them is read."""
    with _on_meta(language), values_assumed(language.model):
        lora = sum(parameter.numel() for _, parameter in language.part("lora"))
        head = _head(language)
        try:
            read = reader(language)
        except RuntimeError as error:
            return _estimated(language, lora, head, str(error))
        short, double = (_products(language, read, length) for length in (SHORT, 2 * SHORT))
        _LOOPED[language.model] = in_turn = double.calls > LOOPED * short.calls
        quadratic, linear = _grown(short.activations, double.activations, SHORT)
        if quadratic < 0 and not in_turn:  # filled up to a chunk, so that rows this short cost the same
            long, longer = (_products(language, read, length) for length in (LONG, 2 * LONG))
            quadratic, linear = _grown(long.activations, longer.activations, LONG)
        return LanguageShape(
            trunk=round((double.weights["trunk"] - short.weights["trunk"]) / SHORT / 2),
            lora=round((double.weights["lora"] - short.weights["lora"]) / SHORT / 2) if lora else 0,
            head=head,
            attention=max(0, round(quadratic)),
            kv_bytes=_cached_bytes(language),
            mixing=max(0, round(linear)),
        )


def _grown(short: float, double: float, length: int) -> tuple[float, float]:
    """The coefficients of L² and of L, from values at `length` and twice that."""
    quadratic = (double - 2 * short) / (2 * length**2)
    return quadratic, short / length - quadratic * length


def _products(language: LanguageModel, read: Reader, length: int) -> Products:
    trunk = [parameter for part in ("layers", "embeddings") for _, parameter in language.part(part)]
    groups = {"trunk": trunk, "lora": [parameter for _, parameter in language.part("lora")]}
    return counted(lambda: read(*empty_row(language, length)), groups)


def looped(language: LanguageModel, read: Reader) -> bool:
    """Whether a model's code takes the tokens of a row one after another. Call it inside `values_assumed`."""
    if language.model not in _LOOPED:
        short, double = (_products(language, read, length).calls for length in (SHORT, 2 * SHORT))
        _LOOPED[language.model] = double > LOOPED * short
    return _LOOPED[language.model]


_LOOPED: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""What was measured, by transformers' model."""


def empty_row(language: LanguageModel, length: int, rows: int = 1) -> tuple[Tensor, Tensor]:
    """Embeddings `[R, L, D]` and positions `[R, L]`, of which only the shapes are real."""
    embeddings = torch.empty(rows, length, language.dim, dtype=language.embedding.weight.dtype, device="meta")
    return embeddings, torch.zeros(rows, length, dtype=torch.long, device="meta")


def _head(language: LanguageModel) -> int:
    """Entries of the matrices between hidden states and logits."""
    head = language.model.get_output_embeddings()
    return sum(parameter.numel() for parameter in head.parameters() if parameter.dim() >= 2)


class _Heads(TorchFunctionMode):
    """Counts the query heads of PyTorch's attention."""

    count: int = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention:
            self.count += int(args[0].shape[1])
        return func(*args, **(kwargs or {}))


def attention_heads(language: LanguageModel, read: Reader) -> int:
    """Query heads of PyTorch's attention, summed over layers. Call it inside `values_assumed`."""
    with torch.no_grad(), _Heads() as heads:
        read(*empty_row(language, SHORT))
    count: int = heads.count
    return count


def _cached_bytes(language: LanguageModel) -> int:
    """What transformers' own cache holds of a token, in bfloat16; states that do not grow with the row are left out."""
    ids = torch.zeros(1, ODD, dtype=torch.long, device="meta")
    mask = torch.ones(1, 1, ODD, ODD, dtype=torch.bool, device="meta")
    try:
        with torch.no_grad():
            # Positions are left out: packed documents are looked for in given ones, which have no values here.
            out = language.model.get_decoder()(input_ids=ids, attention_mask=mask, use_cache=True)
    except Exception:  # whatever a model's code raises without values
        return _configured_cache(language.config)
    return sum(2 * held.numel() // ODD for held in _tensors(_cache_of(out)) if ODD in held.shape)


def _cache_of(out: Any) -> Any:
    names = ("past_key_values", "cache", "cache_params", "state")
    return next((getattr(out, name) for name in names if getattr(out, name, None) is not None), None)


def _tensors(cache: Any) -> list[Tensor]:
    """All tensors in a cache, whatever its layers call them."""
    layers = getattr(cache, "layers", None)
    held = [vars(layer) for layer in layers] if layers is not None else cache
    return [leaf for leaf in tree_leaves(held) if isinstance(leaf, Tensor)]


def _configured_cache(config: Any) -> int:
    """By the names that are usual in configurations; 0 where one has others."""
    text = config.get_text_config()
    heads, layers = getattr(text, "num_attention_heads", None), getattr(text, "num_hidden_layers", None)
    hidden = getattr(text, "hidden_size", None)
    if not (isinstance(heads, int) and isinstance(layers, int) and isinstance(hidden, int)):
        return 0
    width = getattr(text, "head_dim", None) or hidden // heads
    return int(2 * 2 * (getattr(text, "num_key_value_heads", None) or heads) * width * layers)


def _estimated(language: LanguageModel, lora: int, head: int, reason: str) -> LanguageShape:
    """By its parameters: each matrix once per token, of a stack of experts as many as its router chooses."""
    text = language.config.get_text_config()
    experts = getattr(text, "num_local_experts", None) or getattr(text, "num_experts", None)
    chosen = getattr(text, "num_experts_per_tok", None)
    share = chosen / experts if experts and chosen else 1.0
    trunk = sum(
        parameter.numel() * (share if parameter.dim() == 3 and parameter.shape[0] == experts else 1.0)
        for _, parameter in language.part("layers")
        if parameter.dim() >= 2
    )
    cache = _configured_cache(language.config)
    return LanguageShape(round(trunk), lora, head, attention=0, kv_bytes=cache, note=reason)


@contextmanager
def _on_meta(module: nn.Module) -> Iterator[None]:
    """The tensors of a module on the meta device for a while; those that are there already stay."""
    moved: list[tuple[Any, str, Tensor]] = []
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            moved += [(table, name, own) for name, own in table.items() if own is not None and not own.is_meta]
    try:
        for table, name, own in moved:
            shape = own.detach().to("meta")
            table[name] = nn.Parameter(shape, own.requires_grad) if isinstance(own, nn.Parameter) else shape
        yield
    finally:
        for table, name, own in moved:
            table[name] = own
