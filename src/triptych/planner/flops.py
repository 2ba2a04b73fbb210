"""FLOPs of the language model, by what was measured of it (`triptych.planner.language`).

A matrix product of a weight with N entries costs 2 N per token forward. Backward it costs 2 N to pass the gradient on
to its input, where something below learns, and 2 N for the gradient of the weight itself, where that learns: 6 N in
all for a trained model (Kaplan et al. 2020, section 2.1), 4 N for a frozen one that an adapter learns through.
Attention costs 4 · heads · width of a head per token and position of the row, in every layer: the implementation
masks what belongs to other documents and to the future, but computes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from triptych.fusion.cross_attend import CrossAttend, GatedBlock
from triptych.fusion.fusion import Fusion
from triptych.fusion.prompt import Prompt
from triptych.model.composed import MultimodalModel
from triptych.planner.language import LanguageShape

ATTENTION_BACKWARD = 2.5
"""Backward over forward of fused attention: five matrix products (one of them a recomputation) against two."""


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
    token = 2 * (shape.trunk + shape.lora) + shape.mixing + shape.attention * row
    return tokens * token + 2 * shape.head * supervised


def backward_flops(shape: LanguageShape, tokens: float, supervised: float, row: float, learns: Learning) -> float:
    """FLOPs of the gradients of the same."""
    to_head = 2 * shape.head * (learns.backward + learns.head)
    if not learns.backward:
        return supervised * to_head
    # A product of two activations passes a gradient to both.
    to_input = 2 * (shape.trunk + shape.lora) + 2 * shape.mixing + ATTENTION_BACKWARD * shape.attention * row
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
