"""What a forward pass keeps for the backward pass, measured by running the model's own code on the meta device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from triptych.encoders.encoder import Encoder
from triptych.fusion.fusion import Fusion
from triptych.fusion.memory import Spot
from triptych.kernels import fast
from triptych.language.backbone import LanguageModel
from triptych.language.shapes import reader, values_assumed
from triptych.planner.language import SHORT, attention_heads, empty_row, looped

WORKING = 4
"""Results that are alive at the same time in an encoder that keeps nothing: input, widened, activated, output."""

INSTRUCTION = "a question of sixteen words that someone may ask about what is seen in the picture"
"""What an adapter that reads text is taken to read."""


class _Fused(torch.autograd.Function):
    """What fused attention keeps: queries, keys, values, mask, output, and one float32 per query and head."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        # Fused kernels lay their output out as [B, L, H, D], so that putting the heads together copies nothing.
        out = query.new_empty(query.shape[0], query.shape[2], query.shape[1], value.shape[-1]).transpose(1, 2)
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, mask, out, sums)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        raise NotImplementedError  # on the meta device nothing is ever differentiated


class FusedAttention(TorchFunctionMode):
    """Attention as a GPU computes it; the meta device would spell out the scores that a fused kernel never stores."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention:
            query, key, value = args[:3]
            mask = args[3] if len(args) > 3 else (kwargs or {}).get("attn_mask")
            if mask is not None and mask.dtype == torch.bool:
                mask = mask.to(query.dtype)  # what kernels add to the scores, made anew in every layer
            return _Fused.apply(query, key, value, mask)  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))


class SpelledOutAttention(TorchFunctionMode):
    """Attention as adapters compute it on the CPU in bfloat16: the weights of all pairs of positions are kept."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention:
            query, key, value = args[:3]
            mask = args[3] if len(args) > 3 else (kwargs or {}).get("attn_mask")
            scores = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
            return (scores if mask is None else scores.masked_fill(~mask, float("-inf"))).softmax(dim=-1) @ value
        return func(*args, **(kwargs or {}))


class KeptBytes(torch.autograd.graph.saved_tensors_hooks):
    """Bytes that autograd keeps while this is entered, which it may be again; every storage counts once.

    Args:
        known: Tensors that are there anyway.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__(self._pack, lambda tensor: tensor)
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        self._kept: dict[int, Any] = {}
        self.total = 0

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._known and storage._cdata not in self._kept:
            self._kept[storage._cdata] = storage  # held, so that its place is not used again
            self.total += storage.nbytes()
        return tensor


def kept_bytes(run: Callable[[], Tensor], parameters: Iterable[nn.Parameter]) -> int:
    """Bytes that autograd keeps during `run` besides the parameters; every storage counts once."""
    kept = KeptBytes(parameters)
    with kept:
        result = run()
    del result
    return kept.total


def language_bytes(
    language: LanguageModel,
    rows: int,
    length: int,
    learning_below: bool,
    fusion: Fusion | None = None,
    adapted: Sequence[int] = (),
) -> int:
    """Activations of `rows` rows of `length` tokens; what learns is said by the parameters' `requires_grad`.

    Args:
        language: On the meta device.
        rows: Rows in one forward pass.
        length: Of a row.
        learning_below: Whether the embeddings carry a gradient.
        fusion: What is put into the language model.
        adapted: Positions of the adapted media beside the rows, medium by medium.
    """
    with values_assumed(language.model):
        try:
            read = reader(language)
        except RuntimeError:
            return _usual_bytes(language, rows, length)

        def kept(row: int) -> int:
            embeddings, positions = empty_row(language, row, rows)
            embeddings.requires_grad_(learning_below)

            def run() -> Tensor:
                with _reading(fusion, adapted, embeddings, positions, learning_below):
                    return read(embeddings, positions)

            parameters = chain(language.parameters(), fusion.parameters() if fusion is not None else ())
            with FusedAttention():
                return kept_bytes(run, parameters)

        if length <= 2 * SHORT or not looped(language, read):
            return kept(length)
        # Token by token: a long row takes minutes even without values, and keeps in proportion.
        short, double = kept(SHORT), kept(2 * SHORT)
    return short + (double - short) * (length - SHORT) // SHORT


def _usual_bytes(language: LanguageModel, rows: int, length: int) -> int:
    """34 bytes per token, layer and channel of a transformer in 16 bits (Korthikanti et al. 2022, equation 2, without
    the scores, which fused attention does not keep), for models whose code does not run without values."""
    text = language.config.get_text_config()
    layers = getattr(text, "num_hidden_layers", None) or 1
    return 17 * language.embedding.weight.element_size() * rows * length * language.dim * int(layers)


def _reading(
    fusion: Fusion | None, adapted: Sequence[int], embeddings: Tensor, numbers: Tensor, learning_below: bool
) -> AbstractContextManager[None]:
    """The media spread over the rows, a document each."""
    if fusion is None:
        return nullcontext()
    width = embeddings.shape[-1]
    features = [torch.empty(tokens, width, device="meta", requires_grad=learning_below) for tokens in adapted]
    spots = [Spot(i % len(embeddings), i, i, i) for i in range(len(features))]
    return fusion.reading(fusion.remember(features, spots, len(embeddings), embeddings), numbers, numbers)


def spelled_out_bytes(language: LanguageModel, rows: int, length: int) -> int:
    """What the CPU's attention for short rows keeps on top: the weights of every pair of positions."""
    if language.config._attn_implementation != fast.NAME or length > fast.LONGEST_ROW:
        return 0
    with values_assumed(language.model):
        try:
            heads = attention_heads(language, reader(language))
        except RuntimeError:
            return 0
    return rows * heads * length**2 * language.embedding.weight.element_size()


def adapter_bytes(adapter: nn.Module, encoder: Encoder, pictures: int) -> int:
    """Activations of an adapter that learns."""
    features = torch.empty(pictures, encoder.usual_tokens, encoder.dim, device="meta")
    with FusedAttention():
        return kept_bytes(lambda: _adapted(adapter, features), adapter.parameters())


def adapter_flops(adapter: nn.Module, encoder: Encoder) -> int:
    """FLOPs of adapting one picture, forward and as far backward as something learns, counted by PyTorch."""
    tokens = encoder.usual_tokens
    features = torch.empty(1, tokens, encoder.dim, device="meta", requires_grad=_learns(encoder))
    with FlopCounterMode(display=False) as counter:
        adapted = _adapted(adapter, features)
        if adapted.requires_grad:
            adapted.sum().backward()  # type: ignore[no-untyped-call]
    adapter.zero_grad()
    return int(counter.get_total_flops())


def _adapted(adapter: nn.Module, features: Tensor) -> Tensor:
    """What an adapter makes of features `[N, T, D_enc]`, and of a text to each where it reads one."""
    reads = getattr(adapter, "reads_text", False)
    adapted: Tensor = adapter(features, [INSTRUCTION] * len(features)) if reads else adapter(features)
    return adapted


def encoder_bytes(encoder: Encoder, pictures: int) -> int:
    """Activations of an encoder that learns."""
    with FusedAttention():
        return kept_bytes(lambda: encoder(encoder.blank(pictures)), encoder.parameters())


def encoder_working_bytes(encoder: Encoder) -> int:
    """What a frozen encoder needs while it works: a few times the largest result among its modules, for one chunk."""
    largest = 0

    def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output.numel() * output.element_size())

    hooks = [module.register_forward_hook(look) for module in encoder.modules()]
    try:
        with FusedAttention(), torch.no_grad():
            encoder(encoder.blank(1))
    finally:
        for hook in hooks:
            hook.remove()
    return WORKING * largest * encoder.chunk


def encoder_flops(encoder: Encoder) -> int:
    """FLOPs of encoding one picture, counted by PyTorch."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(encoder.blank(1))
    return int(counter.get_total_flops())


def _learns(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
