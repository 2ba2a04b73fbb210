"""What a recipe says about encoders. Importable without torch; each names its implementation."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from triptych.config import Config
from triptych.conversation.decoding import WHITE
from triptych.encoders.architecture import TextArchitecture, VisionArchitecture
from triptych.encoders.published import published
from triptych.registry import CustomConfig, Slot
from triptych.weights.embedded import EFFICIENTNET_LITE2

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
Fit: TypeAlias = Literal["pad", "squash", "crop", "corner"]
_Channel: TypeAlias = Annotated[int, Field(ge=0, le=255)]
Background: TypeAlias = Annotated[
    tuple[_Channel, _Channel, _Channel],
    Field(description="RGB (0–255) behind the transparent pixels of a picture"),
]


class EfficientNetConfig(Config):
    """EfficientNet-Lite2 trained on ImageNet: the embedded default, small and fast on a CPU."""

    implementation: ClassVar[str] = "triptych.encoders.efficientnet:EfficientNet"

    kind: Literal["efficientnet"] = "efficientnet"
    weights: str | None = Field(EFFICIENTNET_LITE2, description="URI of the weights; null starts from random ones")
    resolution: int = Field(260, ge=32, le=2048, description="side of the square input in pixels; one cell per 32")
    features: Literal["head", "last", "pyramid"] = Field(
        "head",
        description="`head`: 1280 channels of the last convolution; `last`: 352 of the block before it; `pyramid`: those and "
        "what is behind strides 16 and 8, for decoders of boxes and masks (1600 channels; `resolution` a multiple of 32)",
    )
    fit: Fit = Field("pad", description="how a picture becomes square: `pad` keeps all of it and its shape")
    background: Background = WHITE
    precision: Precision = Field("auto", description="precision to compute in; `auto`: bfloat16 where that is fast")


PLAIN_TOWERS = frozenset(
    {
        "clip_vision_model",
        "blip_2_vision_model",
        "instructblip_vision_model",
        "siglip_vision_model",
        "dinov2",
        "dinov2_with_registers",
        "vit",
    }
)
"""Model types whose layers behind the chosen one are never built, and whose grid the configuration says: image over patch."""


class HuggingFaceConfig(Config):
    """Any vision model of transformers whose output is a sequence or a grid, alone or inside a larger model."""

    implementation: ClassVar[str] = "triptych.encoders.probed:AnyTower"

    kind: Literal["huggingface"] = "huggingface"
    weights: str | None = Field(None, description="hf:ORG/NAME or file:FOLDER in the hub's format")
    architecture: dict[str, Any] | None = Field(
        None, description="a transformers configuration (`model_type: clip_vision_model`, …) for random weights"
    )
    layer: int | Literal["output"] = Field(
        -2,
        description="index into transformers' `hidden_states`, or `output` for the (normalised) last layer; models that give "
        "no hidden states have `output` only",
    )
    drop_cls: bool = Field(True, description="leave out the class token, so that positions are cells of a grid")
    unit: bool = Field(
        False,
        description="every position through the last normalisation and to length one (Kosmos); with `layer: output`",
    )
    resolution: int | None = Field(None, ge=8, le=4096, description="side in pixels; null takes the tower's own")
    fit: Fit = Field("pad", description="how a picture becomes square: `pad` keeps all of it and its shape")
    background: Background = WHITE
    precision: Precision = Field("auto", description="precision to compute in; `auto`: bfloat16 where that is fast")

    @model_validator(mode="after")
    def _has_one_origin(self) -> HuggingFaceConfig:
        if (self.weights is None) == (self.architecture is None):
            raise ValueError(
                "give either `weights` (pretrained) or `architecture` (random weights), not both or neither"
            )
        if self.architecture is not None and "model_type" not in self.architecture:
            raise ValueError("`architecture` needs a `model_type`, such as clip_vision_model")
        if self.unit and self.layer != "output":
            raise ValueError("`unit` goes through the tower's last normalisation: set `layer: output`")
        return self


class SamConfig(Config):
    """SAM's image encoder (Kirillov et al., 2023) with its neck: what mask decoders look at."""

    implementation: ClassVar[str] = "triptych.encoders.sam:SamEncoder"

    kind: Literal["sam"] = "sam"
    weights: str | None = Field(None, description="hf:ORG/NAME or file:FOLDER of a SAM in the hub's format")
    architecture: dict[str, Any] | None = Field(
        None, description="transformers' values of a SamVisionConfig for random weights; `{}` is ViT-B"
    )
    fit: Fit = Field("corner", description="how a picture becomes square; SAM was trained with `corner`")
    background: Background = WHITE
    precision: Precision = Field("auto", description="precision to compute in; `auto`: bfloat16 where that is fast")

    @model_validator(mode="after")
    def _has_one_origin(self) -> SamConfig:
        if (self.weights is None) == (self.architecture is None):
            raise ValueError(
                "give either `weights` (pretrained) or `architecture` (random weights), not both or neither"
            )
        return self


class VisionTransformerConfig(Config):
    """Our own vision transformer, which Triptych trains: an encoder, and the image side of a dual encoder."""

    implementation: ClassVar[str] = "triptych.encoders.vit_encoder:VisionTransformerEncoder"

    kind: Literal["vit"] = "vit"
    weights: str | None = Field(
        None,
        description="run:FOLDER of a dual encoder trained here, hf:ORG/NAME or file:PATH of a known format; "
        "null starts from random ones",
    )
    architecture: VisionArchitecture | None = Field(
        None, description="its shape, or the name of a published one (clip-l14, …); null takes that of the weights"
    )
    layer: int | Literal["output"] = Field(
        -2, description="features: index into the hidden states, or `output` for the normalised last layer"
    )
    drop_cls: bool = Field(True, description="leave out the class token, so that positions are cells of a grid")
    resolution: int | None = Field(None, ge=8, le=4096, description="side in pixels; null takes the tower's own")
    fit: Fit = Field("pad", description="how a picture becomes square: `pad` keeps all of it and its shape")
    background: Background = WHITE
    precision: Precision = Field("auto", description="precision to compute in; `auto`: bfloat16 where that is fast")
    patch_dropout: float = Field(0.0, ge=0, lt=1, description="share of the patches left out of each training step")

    @field_validator("architecture", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return published(value).vision if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_an_architecture(self) -> VisionTransformerConfig:
        if self.weights is None and self.architecture is None:
            raise ValueError("give `architecture` (a shape, or a published name), or `weights` that bring theirs along")
        return self


class TextTransformerConfig(Config):
    """Our own text transformer, the text side of a dual encoder."""

    kind: Literal["transformer"] = "transformer"
    weights: str | None = Field(None, description="as those of `vit`")
    architecture: TextArchitecture | None = Field(
        None, description="its shape, or the name of a published one (clip-l14, …); null takes that of the weights"
    )

    @field_validator("architecture", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return published(value).text if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_an_architecture(self) -> TextTransformerConfig:
        if self.weights is None and self.architecture is None:
            raise ValueError("give `architecture` (a shape, or a published name), or `weights` that bring theirs along")
        return self


EncoderConfig: TypeAlias = Annotated[
    EfficientNetConfig | HuggingFaceConfig | VisionTransformerConfig | SamConfig | CustomConfig, Slot("encoder")
]
"""One of the kinds of encoders, told apart by `kind`."""
