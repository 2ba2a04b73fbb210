"""What a recipe says about adapters. Importable without torch; each names its implementation."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, model_validator

from triptych.config import Config
from triptych.registry import CustomConfig, Slot


class AdapterOptions(Config):
    """Options of every kind of adapter: what stands in front of it, and the scale of what comes out."""

    normalise: bool = Field(True, description="LayerNorm in front, so that every encoder's features have one scale")
    positions: bool = Field(True, description="a learned position per output cell, starting at zero")
    pool: int = Field(1, ge=1, le=16, description="side of the squares of cells that become one")
    reduction: Literal["none", "average", "pixel_shuffle"] = Field(
        "none", description="how: their average, or all of their channels side by side"
    )
    output_scale: Literal["embeddings", "normalised"] | None = Field(
        "embeddings",
        description="`embeddings`: start at the standard deviation of the language model's token embeddings; "
        "`normalised`: keep every position at it (an RMS norm with a learned gain)",
    )

    @model_validator(mode="after")
    def _pool_has_a_reduction(self) -> AdapterOptions:
        if self.pool > 1 and self.reduction == "none":
            raise ValueError(f"`pool: {self.pool}` needs `reduction: average` or `reduction: pixel_shuffle`")
        return self


class GridOptions(AdapterOptions):
    """Options of the adapters that keep the grid of the encoder's features."""

    markers: Literal["none", "places"] = Field(
        "none",
        description="`places`: in front of each cell stand vectors that start as the words for its place (`top left`), "
        "so that a language model can look things up in a picture as it does in a text",
    )


class LinearConfig(GridOptions):
    """One linear layer (LLaVA, MiniGPT-4)."""

    implementation: ClassVar[str] = "triptych.adapters.linear:Linear"

    kind: Literal["linear"] = "linear"


class MLPConfig(GridOptions):
    """Linear layers with an activation between (LLaVA-1.5: two layers, GELU)."""

    implementation: ClassVar[str] = "triptych.adapters.mlp:MLP"

    kind: Literal["mlp"] = "mlp"
    depth: int = Field(2, ge=1, le=8, description="number of linear layers")
    hidden: int | None = Field(None, ge=1, description="width between the layers; null takes the language model's")
    activation: Literal["gelu", "silu", "relu"] = "gelu"


class ResamplerOptions(AdapterOptions):
    """Options of the adapters in which a fixed number of learned vectors ask the features."""

    @model_validator(mode="before")
    @classmethod
    def _has_no_cells_to_mark(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("markers") is not None:
            raise ValueError(
                "`markers` stand in front of the cells of a grid, and learned vectors have no places in one: "
                "leave them out, or take `kind: linear` or `kind: mlp`"
            )
        return values

    positions: bool = Field(
        False,
        description="a learned position per cell of the features, starting at zero: for encoders whose features do not "
        "say where they are (a convolutional network's)",
    )


class QFormerConfig(ResamplerOptions):
    """A querying transformer (BLIP-2, InstructBLIP); the defaults are BLIP-2's."""

    implementation: ClassVar[str] = "triptych.adapters.qformer_adapter:QFormerAdapter"

    kind: Literal["qformer"] = "qformer"
    queries: int = Field(32, ge=1, le=4096, description="learned queries, and positions that come out")
    layers: int = Field(12, ge=1, le=96)
    width: int = Field(768, ge=1, description="channels of the queries")
    heads: int = Field(12, ge=1, description="attention heads; divides `width`")
    intermediate: int = Field(3072, ge=1, description="width inside the feed-forward layers")
    cross_every: int = Field(2, ge=1, description="layers 0, k, 2k, … look at the features")
    instruction: bool = Field(
        False, description="the queries also read the text of the message that the medium stands in (InstructBLIP)"
    )
    text_tokens: int = Field(128, ge=1, le=4096, description="tokens of that text that are read; what follows is not")
    tokenizer: str | None = Field(
        None,
        description="URI of the tokenizer of that text, where `weights` were trained with another than the language model's",
    )
    vocabulary: int | None = Field(
        None, ge=1, description="words of that text, where they cannot be counted because the tokenizer is not at hand"
    )
    weights: str | None = Field(
        None,
        description="run:FOLDER of a `kind: blip2` trained here, hf:ORG/NAME or file:FOLDER of BLIP-2 or InstructBLIP in "
        "the hub's format; null starts from random ones",
    )
    dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> QFormerConfig:
        if self.width % self.heads:
            raise ValueError(f"`heads: {self.heads}` does not divide `width: {self.width}`")
        return self


class PerceiverConfig(ResamplerOptions):
    """A Perceiver resampler (Flamingo); the defaults are OpenFlamingo's."""

    implementation: ClassVar[str] = "triptych.adapters.perceiver:Perceiver"

    kind: Literal["perceiver"] = "perceiver"
    normalise: bool = Field(False, description="LayerNorm in front; every layer has one of its own for the features")
    latents: int = Field(64, ge=1, le=4096, description="learned latents, and positions that come out")
    depth: int = Field(6, ge=1, le=96, description="number of layers")
    heads: int = Field(8, ge=1)
    head_dim: int = Field(64, ge=1, description="channels of a head")
    ff_mult: int = Field(4, ge=1, description="width inside the feed-forward layers over that of the features")
    activation: Literal["gelu", "relu"] = Field("gelu", description="Idefics takes relu")
    qk_norm: bool = Field(False, description="LayerNorm on the queries and keys of each head (Idefics)")
    media_positions: int = Field(
        0, ge=0, le=4096, description="learned embeddings of the place in time of so many grids (frames) in a medium"
    )
    project: bool = Field(True, description="a linear layer to the language model's width; false where they are equal")


class ConnectorConfig(ResamplerOptions):
    """The XConnector of Kosmos-1 and Kosmos-2: one layer of attention."""

    implementation: ClassVar[str] = "triptych.adapters.connector:Connector"

    kind: Literal["connector"] = "connector"
    latents: int = Field(64, ge=1, le=4096, description="learned latents, and positions that come out")
    heads: int | None = Field(
        None, ge=1, description="attention heads; null takes one per 64 channels of the language model (Kosmos: 32)"
    )


AnyAdapterConfig: TypeAlias = (
    LinearConfig | MLPConfig | QFormerConfig | PerceiverConfig | ConnectorConfig | CustomConfig
)
"""One of the kinds of adapters."""

AdapterConfig: TypeAlias = Annotated[AnyAdapterConfig, Slot("adapter")]
"""The same in a recipe, told apart by `kind`."""
