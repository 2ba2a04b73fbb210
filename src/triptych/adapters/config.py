"""What a recipe says about adapters. Importable without torch; `build.py` pairs each with its module."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from triptych.config import Config
from triptych.custom import CUSTOM_TAG, CustomConfig, kind_tag


class GridOptions(Config):
    """Options of the adapters that keep the grid of the encoder's features."""

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
    markers: Literal["none", "places"] = Field(
        "none",
        description="`places`: in front of each cell stand vectors that start as the words for its place (`top left`), "
        "so that a language model can look things up in a picture as it does in a text",
    )

    @model_validator(mode="after")
    def _pool_has_a_reduction(self) -> GridOptions:
        if self.pool > 1 and self.reduction == "none":
            raise ValueError(f"`pool: {self.pool}` needs `reduction: average` or `reduction: pixel_shuffle`")
        return self


class LinearConfig(GridOptions):
    """One linear layer (LLaVA, MiniGPT-4)."""

    kind: Literal["linear"] = "linear"


class MLPConfig(GridOptions):
    """Linear layers with an activation between (LLaVA-1.5: two layers, GELU)."""

    kind: Literal["mlp"] = "mlp"
    depth: int = Field(2, ge=1, le=8, description="number of linear layers")
    hidden: int | None = Field(None, ge=1, description="width between the layers; null takes the language model's")
    activation: Literal["gelu", "silu", "relu"] = "gelu"


AdapterConfig: TypeAlias = Annotated[
    Annotated[LinearConfig, Tag("linear")]
    | Annotated[MLPConfig, Tag("mlp")]
    | Annotated[CustomConfig, Tag(CUSTOM_TAG)],
    Discriminator(kind_tag),
]
"""One of the kinds of adapters, told apart by `kind`."""
