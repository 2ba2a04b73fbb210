"""Faster arithmetic for models that transformers built, without changing what they are.

`accelerate` gives modules of known classes a subclass with the same parameters and the same values; state
dicts, LoRA and export see no difference. Other architectures run as transformers wrote them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, Cache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaMLP, LlamaRMSNorm

from triptych.kernels import functions, packed

NAME = "triptych"
"""The attention implementation's name in a transformers configuration."""

EXTENDED = "triptych_extended"
"""The same of models that keep transformers' masks and fused attention, where a fusion adds to it."""

EXTENDED_EAGER = "triptych_extended_eager"
"""The same of models whose attention is spelled out in their own file."""

SHARE = "attention_share"
"""The attribute of an attention module that says what is added to its output; see `bind`."""

LONGEST_ROW = 512
"""Beyond this many tokens the fused kernel of PyTorch is the faster one."""


def attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention of transformers' interface: `[B, H, L, D]` in, `[B, L, H, D]` out."""
    share = _share(module, query, key, value, options)
    out = _attention(module, query, key, value, attention_mask, **options)
    return out if share is None else out + share, None


def extended_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Transformers' fused attention and what is added to it, with its interface."""
    share = _share(module, query, key, value, options)
    out: Tensor = sdpa_attention_forward(module, query, key, value, attention_mask, **options)[0]
    return out if share is None else out + share, None


def extended_eager_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """The attention that a model's own file spells out (caps, sinks), and what is added to it."""
    share = _share(module, query, key, value, options)
    out, weights = sys.modules[type(module).__module__].eager_attention_forward(
        module, query, key, value, attention_mask, **options
    )
    return out if share is None else out + share, weights


def bind(module: nn.Module, share: Callable[[Tensor, Tensor, Tensor, float], Tensor | None] | None) -> None:
    """Let a module's attention call `share(query, key, value, scale)`, all `[B, H, L, D]`, before it computes.

    The result `[B, L, H, D]` is added to the output; None adds nothing. The module's tree and state stay as they are.
    """
    object.__setattr__(module, SHARE, share)


def extensible(model: Any) -> bool:
    """Whether what is bound to the attention of a model will be called; switches to an implementation that does."""
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(EXTENDED, extended_attention)
        AttentionMaskInterface.register(EXTENDED, sdpa_mask)
        model.set_attn_implementation(EXTENDED)
    elif model.config._attn_implementation == "eager":
        AttentionInterface.register(EXTENDED_EAGER, extended_eager_attention)
        AttentionMaskInterface.register(EXTENDED_EAGER, eager_mask)
        model.set_attn_implementation(EXTENDED_EAGER)
    return model.config._attn_implementation in {NAME, EXTENDED, EXTENDED_EAGER}


def _share(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, options: Mapping[str, Any]) -> Tensor | None:
    share = module.__dict__.get(SHARE)
    if share is None:
        return None
    added: Tensor | None = share(query, key, value, options.get("scaling") or query.shape[-1] ** -0.5)
    return added


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> Tensor:
    length, keys = query.shape[2], key.shape[2]
    if length == 1 and query.device.type == "cpu" and attention_mask is not None and not options.get("dropout"):
        return _one_token(query, key, value, attention_mask, options.get("scaling"))
    plain = query.device.type == "cpu" and length > 1 and keys <= LONGEST_ROW and not options.get("dropout")
    plain = plain and query.shape[-1] == key.shape[-1] == value.shape[-1]
    if not plain or attention_mask is None or attention_mask.dtype == torch.bool:
        fused: Tensor = sdpa_attention_forward(module, query, key, value, attention_mask, **options)[0]
        return fused
    scale = options.get("scaling") or query.shape[-1] ** -0.5
    # Masks of numbers come from `packed_bias` and `padded_bias` alone, and are causal.
    out: Tensor = functions.Attention.apply(query, key, value, attention_mask, scale, True)  # type: ignore[no-untyped-call]
    return out.transpose(1, 2)


def _one_token(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float | None) -> Tensor:
    """Attention of a single query, `[B, 1, H, D]`: the query heads that share keys are rows of one product.

    To repeat the keys for each of them, as is usual, costs more than the attention itself.
    """
    rows, heads, _, width = query.shape
    grouped = query.reshape(rows, key.shape[1], -1, width)
    mask = (
        mask.expand(-1, -1, grouped.shape[2], -1)
        if mask.shape[1] == 1
        else mask.reshape(rows, key.shape[1], -1, mask.shape[-1])
    )
    out = functional.scaled_dot_product_attention(grouped, key, value, attn_mask=mask, scale=scale)
    return out.reshape(rows, 1, heads, width)


class FastRMSNorm(LlamaRMSNorm):  # type: ignore[misc]
    """LLaMA's norm with a hand-written derivative."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Normalised `[..., D]`."""
        out: Tensor = functions.RMSNorm.apply(hidden_states, self.weight, self.variance_epsilon)  # type: ignore[no-untyped-call]
        return out


class FastMLP(LlamaMLP):  # type: ignore[misc]
    """LLaMA's gated layer with a hand-written derivative."""

    def forward(self, x: Tensor) -> Tensor:
        """`[..., D]` to `[..., D]`."""
        gated: Tensor = functions.SwiGLU.apply(self.gate_proj(x), self.up_proj(x))  # type: ignore[no-untyped-call]
        out: Tensor = self.down_proj(gated)
        return out


class FastAttention(LlamaAttention):  # type: ignore[misc]
    """LLaMA's attention with rotary positions applied in place of four passes."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        attention_mask: Tensor | None = None,
        **options: Any,
    ) -> tuple[Tensor, None]:
        """`[B, L, D]` to `[B, L, D]`."""
        assert position_embeddings is not None
        shape = hidden_states.shape[:-1]
        cos, sin = (angle[:, :, None, : self.head_dim // 2] for angle in position_embeddings)
        query, key, value = (
            project(hidden_states).view(*shape, -1, self.head_dim)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        query = functions.Rotary.apply(query, cos, sin).transpose(1, 2)  # type: ignore[no-untyped-call]
        key = functions.Rotary.apply(key, cos, sin).transpose(1, 2)  # type: ignore[no-untyped-call]
        value = value.transpose(1, 2)
        # The name of the cache's argument differs between versions of transformers.
        for option in options.values():
            if isinstance(option, Cache):
                key, value = option.update(key, value, self.layer_idx)
        dropout = self.attention_dropout if self.training else 0.0
        out, _ = attention(self, query, key, value, attention_mask, dropout=dropout, scaling=self.scaling, **options)
        return self.o_proj(out.reshape(*shape, -1)), None


FASTER: dict[type[nn.Module], type[nn.Module]] = {
    LlamaRMSNorm: FastRMSNorm,
    LlamaMLP: FastMLP,
    LlamaAttention: FastAttention,
}
"""Exact class → the subclass that computes the same."""


def accelerate(model: Any, with_attention: bool | None = None) -> None:
    """Switch a transformers model to this module's arithmetic, where it has the same.

    Args:
        model: To be changed.
        with_attention: Whether attention is switched as well; None where it may be the same (`accelerable`).
    """
    if accelerable(model) if with_attention is None else with_attention:
        AttentionInterface.register(NAME, attention)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)
    for module in model.modules():
        if type(module) in FASTER and getattr(getattr(module, "config", None), "hidden_act", "silu") == "silu":
            module.__class__ = FASTER[type(module)]
    packed.pack(model)


def accelerable(model: Any) -> bool:
    """Whether a model's attention may be the same as this module's, as far as its class tells."""
    return bool(model._supports_sdpa) and not uses_windows(model.config)  # those that do not cap their scores


def uses_windows(config: Any) -> bool:
    """Whether some layers see only a window of what is before them, which transformers' own masks know about."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return kinds != {"full_attention"} or getattr(config, "sliding_window", None) is not None


def packed_bias(documents_RL: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to the scores of packed rows, `[R, 1, L, L]`: 0 where a token sees another, -inf elsewhere.

    Args:
        documents_RL: Number of each token's document, -1 for padding (padding sees padding: no row is empty).
        dtype: Of the scores.
    """
    same = documents_RL[:, :, None] == documents_RL[:, None, :]
    bias = torch.zeros(same.shape, dtype=dtype, device=same.device)
    return bias.masked_fill_(~same.tril_(), float("-inf"))[:, None]


def padded_bias(mask_RK: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """What is added to the scores of the last `length` of K tokens, `[R, 1, length, K]`: 0 where one sees another, else -inf.

    Args:
        mask_RK: One where there is a token, zero for padding (which sees itself: no row of scores is empty).
        length: Number of queries; the keys before them were read earlier.
        dtype: Of the scores.
    """
    rows, keys = mask_RK.shape
    seen = mask_RK.bool()[:, None, :]
    if length > 1:
        place = torch.arange(keys, device=mask_RK.device)
        query = place[keys - length :, None]
        seen = (seen & (place <= query)) | (place == query)
    bias = torch.zeros(rows, length, keys, dtype=dtype, device=mask_RK.device)
    return bias.masked_fill_(~seen, float("-inf"))[:, None]
