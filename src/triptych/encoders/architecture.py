"""The shapes of our own transformers, as a recipe says them. Importable without torch."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from triptych.config import Config

Activation: TypeAlias = Literal["gelu", "gelu_tanh", "quick_gelu", "swiglu"]
Bias: TypeAlias = Literal["all", "query_value", "none"]
SubNorm: TypeAlias = Literal["none", "feed_forward", "both"]
Projection: TypeAlias = Literal["none", "plain", "bias"]
Pixels: TypeAlias = Literal["clip", "imagenet", "half"]


class TransformerArchitecture(Config):
    """What the two towers of a dual encoder have in common."""

    width: int = Field(ge=4, description="channels")
    layers: int = Field(ge=1, description="number of blocks")
    heads: int = Field(ge=1, description="attention heads; divides `width`")
    mlp_ratio: float = Field(4.0, gt=0, description="width inside the feed-forward layers over `width`, rounded down")
    activation: Activation = Field("gelu", description="`swiglu` has two linear layers in front instead of one")
    norm_eps: float = Field(1e-5, gt=0, description="added to the variance in every layer normalisation")
    projection: Projection = Field("plain", description="from the pooled state to the shared space, with a bias or not")

    @property
    def hidden(self) -> int:
        """Width inside the feed-forward layers."""
        return int(self.width * self.mlp_ratio + 1e-6)  # a ratio that came from a division must give the width back

    @model_validator(mode="after")
    def _heads_divide(self) -> TransformerArchitecture:
        if self.width % self.heads:
            raise ValueError(f"`width: {self.width}` is not a multiple of `heads: {self.heads}`")
        return self


class VisionArchitecture(TransformerArchitecture):
    """A vision transformer: CLIP's by default; EVA-01, EVA-02 and SigLIP by its options."""

    image_size: int = Field(224, ge=4, description="side in pixels that the positions are made for")
    patch_size: int = Field(16, ge=1, description="side of a patch in pixels; divides `image_size`")
    class_token: bool = Field(True, description="a learned token in front of the patches")
    patch_bias: bool = Field(False, description="a bias in the embedding of patches (EVA, SigLIP)")
    norm_pre: bool = Field(True, description="a normalisation in front of the first block (CLIP)")
    attention_bias: Bias = Field("all", description="`query_value`: keys have none (EVA)")
    sub_norm: SubNorm = Field("none", description="normalise inside the feed-forward, or inside attention too (EVA-02)")
    rope: int | None = Field(
        None, ge=1, description="rotate queries and keys by row and column, scaled to a grid of this side (EVA-02: 16)"
    )
    pooling: Literal["class", "attention"] = Field("class", description="`attention`: a learned query (SigLIP)")
    mask_token: bool = Field(False, description="a learned token that stands for a masked patch")
    pixels: Pixels = Field("clip", description="mean and standard deviation that pixels are normalised with")

    @property
    def side(self) -> int:
        """Patches along a side of the picture."""
        return self.image_size // self.patch_size

    @model_validator(mode="after")
    def _goes_together(self) -> VisionArchitecture:
        if self.image_size % self.patch_size:
            raise ValueError(f"`image_size: {self.image_size}` is not a multiple of `patch_size: {self.patch_size}`")
        if self.pooling == "class" and not self.class_token:
            raise ValueError("`pooling: class` needs the class token; take `pooling: attention` without one")
        if self.rope is not None and self.width // self.heads % 4:
            raise ValueError(f"`rope` needs heads of a multiple of 4 channels, not {self.width // self.heads}")
        return self


class TextArchitecture(TransformerArchitecture):
    """A text transformer: CLIP's by default; SigLIP's by its options."""

    vocabulary: int | None = Field(None, ge=1, description="number of words; null takes the tokenizer's")
    max_tokens: int = Field(77, ge=2, description="positions, the end token's among them")
    attention: Literal["causal", "bidirectional"] = Field("causal", description="what a token sees")
    pooling: Literal["end", "last", "highest"] = Field(
        "end",
        description="the state at a text's last token; at the last of `max_tokens` positions, padding included (SigLIP); "
        "or at the highest id (the rule of old CLIP configurations)",
    )
    pad: int = Field(0, ge=0, description="id that fills up to `max_tokens` with `pooling: last`")
