"""FLOPs of the language model, counted from its shapes.

A matrix product of a weight with N entries costs 2 N per token forward. Backward it costs 2 N to pass the gradient on
to its input, where something below learns, and 2 N for the gradient of the weight itself, where that learns: 6 N in
all for a trained model (Kaplan et al. 2020, section 2.1), 4 N for a frozen one that an adapter learns through.
Attention costs 4 · heads · width of a head per token and position of the row, in every layer: the implementation
masks what belongs to other documents and to the future, but computes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from triptych.fusion.cross_attend import CrossAttend, GatedBlock
from triptych.fusion.fusion import Fusion
from triptych.fusion.prompt import Prompt
from triptych.language.backbone import LanguageModel
from triptych.model.composed import MultimodalModel

ATTENTION_BACKWARD = 2.5
"""Backward over forward of fused attention: five matrix products (one of them a recomputation) against two."""


@dataclass(frozen=True)
class LanguageShape:
    """What the FLOPs of a language model depend on.

    Args:
        trunk: Entries of all weights that every token is multiplied with, in the layers.
        lora: Entries of the matrices that LoRA added.
        head: Entries of the matrix that makes logits.
        attention: 4 · heads · width of a head, summed over layers.
        kv_bytes: Bytes that a token takes in the cache of keys and values, in bfloat16.
    """

    trunk: int
    lora: int
    head: int
    attention: int
    kv_bytes: int


@dataclass(frozen=True)
class Learning:
    """What learns in a stage: the layers, LoRA, the head, and anything below the layers (embeddings, an adapter, …)."""

    layers: bool
    lora: bool
    head: bool
    below: bool

    @property
    def backward(self) -> bool:
        """Whether a gradient passes through the layers."""
        return self.layers or self.lora or self.below


def language_shape(language: LanguageModel) -> LanguageShape:
    """Read the shape off a language model on any device, with or without LoRA."""
    config = language.config
    trunk = sum(
        parameter.numel() * (_active_share(config) if parameter.dim() == 3 else 1.0)
        for _, parameter in language.part("layers")
        if parameter.dim() >= 2
    )
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    layers = config.num_hidden_layers
    return LanguageShape(
        trunk=round(trunk),
        lora=sum(parameter.numel() for _, parameter in language.part("lora")),
        head=language.model.get_output_embeddings().weight.numel(),
        attention=4 * heads * width * layers,
        kv_bytes=2 * 2 * shared * width * layers,
    )


def learning(model: MultimodalModel) -> Learning:
    """What learns, as the parameters' `requires_grad` says."""
    language = model.language
    panels = [*model.adapters.parameters(), *model.encoders.parameters(), *model.fusion.parameters()]
    return Learning(
        layers=any(parameter.requires_grad for _, parameter in language.part("layers")),
        lora=any(parameter.requires_grad for _, parameter in language.part("lora")),
        head=language.model.get_output_embeddings().weight.requires_grad,
        below=language.embedding.weight.requires_grad or any(parameter.requires_grad for parameter in panels),
    )


def forward_flops(shape: LanguageShape, tokens: float, supervised: float, row: float) -> float:
    """FLOPs of reading `tokens` tokens in rows of `row`, with logits for `supervised` of them."""
    return tokens * (2 * (shape.trunk + shape.lora) + shape.attention * row) + 2 * shape.head * supervised


def backward_flops(shape: LanguageShape, tokens: float, supervised: float, row: float, learns: Learning) -> float:
    """FLOPs of the gradients of the same."""
    to_head = 2 * shape.head * (learns.backward + learns.head)
    if not learns.backward:
        return supervised * to_head
    to_input = 2 * (shape.trunk + shape.lora) + ATTENTION_BACKWARD * shape.attention * row
    to_weights = 2 * shape.trunk * learns.layers + 2 * shape.lora * learns.lora
    return tokens * (to_input + to_weights) + supervised * to_head


def fusion_flops(fusion: Fusion, tokens: float, media: float, beside: float) -> float:
    """FLOPs, forward, of what a fusion puts into the language model.

    Args:
        fusion: Which one.
        tokens: That are read.
        media: Positions of adapted media, in all.
        beside: Positions of adapted media beside a row, which its tokens look at.
    """
    match fusion:
        case CrossAttend():
            found = 0.0
            for block in fusion.blocks:
                assert isinstance(block, GatedBlock)
                projections = block.key.weight.numel() + block.value.weight.numel()
                matrices = sum(parameter.numel() for parameter in block.parameters() if parameter.dim() == 2)
                attention = 4 * block.key.out_features * beside
                found += tokens * (2 * (matrices - projections) + attention) + media * 2 * projections
            return found
        case Prompt():
            # Projecting the prompts costs as much as reading a few tokens more; what counts is that all look at them.
            width = fusion.heads * fusion.head_dim
            late = len(fusion.gates) * fusion.config.length
            early = len(fusion.early.gates) * beside if fusion.early is not None else 0.0
            return tokens * 4 * width * (late + early)
        case _:
            return 0.0


def _active_share(config: Any) -> float:
    """The share of a mixture's experts that a token passes through (their weights are stacked in one tensor)."""
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    active = getattr(config, "num_experts_per_tok", None)
    return active / experts if experts and active else 1.0
