"""What a recipe says about the decoders of regions. Importable without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from triptych.config import Config
from triptych.conversation.expression import LOCATE, Wording
from triptych.encoders.config import EncoderConfig
from triptych.generate.config import GenerationSettings

ASKED = "[REGION]"
"""The token in whose place the embedding of a region in a question stands."""


class MaskDecoderConfig(Config):
    """SAM's mask decoder (Kirillov et al., 2023); the defaults are the shape of every published SAM, 256 channels wide."""

    kind: Literal["sam"] = "sam"
    weights: str | None = Field(
        None, description="hf:ORG/NAME or file:FOLDER of a SAM in the hub's format; null starts from random weights"
    )
    layers: int = Field(2, ge=1, description="blocks of the two-way transformer")
    heads: int = Field(8, ge=1)
    feed_forward: int = Field(2048, ge=8, description="inner width of a block's feed-forward part")
    reduction: int = Field(2, ge=1, description="attention between prompts and picture runs in `width / reduction`")
    more_masks: int = Field(
        3, ge=0, description="masks for ambiguous prompts beside the one that is used; published weights have three"
    )


class BoxHeadConfig(Config):
    """A box from the projected hidden state: centre and size by a small network, as in DETR (Carion et al., 2020)."""

    kind: Literal["mlp"] = "mlp"
    hidden: int = Field(256, ge=8, description="inner width")
    depth: int = Field(3, ge=2, description="linear layers")
    looks: int = Field(
        2, ge=0, description="how often it attends to the picture's features; with 0, the hidden state has to say all"
    )
    heads: int = Field(8, ge=1, description="of that attention")


class EmbeddingRegionsConfig(Config):
    """A region is a token whose hidden state decoders turn into a box and a mask (LISA, GLaMM, NExT-Chat)."""

    kind: Literal["embedding"] = "embedding"
    token: str = Field(
        "[SEG]", min_length=1, description="the token, added to the vocabulary; [LOC] for boxes, by custom"
    )
    encoder: EncoderConfig | None = Field(
        None, description="whose features the decoders look at; null takes those of `model.encoders.image`"
    )
    width: int = Field(256, ge=8, description="channels of the picture and of the prompts that the decoders take")
    neck: bool = Field(
        True,
        description="whether features are projected and mixed first; SAM's own are what its mask decoder takes",
    )
    standardise: bool = Field(
        True,
        description="whether hidden states are brought to mean 0 and deviation 1 first, channel by channel; LISA takes them as "
        "they are, which needs many more steps",
    )
    fineness: int = Field(1, ge=1, le=8, description="how much finer than the features' grid the neck's output is")
    box: BoxHeadConfig | None = Field(BoxHeadConfig(), description="how boxes are told; null tells them by the mask")
    mask: MaskDecoderConfig | None = Field(MaskDecoderConfig(), description="how masks are told; null has none")
    questions: bool = Field(
        True,
        description="whether regions in questions become an embedding: the picture's features under the box or mask",
    )
    prompt: Wording = Field(LOCATE, description="how an expression is asked for by `triptych ground` and the like")
    generation: GenerationSettings = GenerationSettings(max_new_tokens=48, batch_size=32)

    @model_validator(mode="after")
    def _goes_together(self) -> EmbeddingRegionsConfig:
        if self.box is None and self.mask is None:
            raise ValueError("`box` and `mask` are both null, so that nothing could tell a region: set one of them")
        if self.mask is not None:
            if self.width % 8:
                raise ValueError(f"`width: {self.width}` must be a multiple of 8: a mask ends with an eighth of it")
            if self.width % self.mask.reduction or (self.width // self.mask.reduction) % self.mask.heads:
                raise ValueError(
                    f"`width: {self.width}` by `mask.reduction: {self.mask.reduction}` must be a multiple of "
                    f"`mask.heads: {self.mask.heads}`"
                )
        if self.box is not None and self.box.looks and self.width % self.box.heads:
            raise ValueError(f"`width: {self.width}` must be a multiple of `box.heads: {self.box.heads}`")
        if not self.neck and self.fineness > 1:
            raise ValueError("`fineness` is the neck's: set `neck: true`")
        return self
