"""What a recipe says about models that are not composed: dual encoders, detectors. Importable without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from triptych.config import Config
from triptych.encoders.config import EfficientNetConfig, EncoderConfig, TextTransformerConfig, VisionTransformerConfig
from triptych.weights.embedded import SMOLLM2


class DualConfig(Config):
    """Two towers with one space: CLIP, EVA-CLIP and SigLIP by their architectures and the stages' objectives."""

    kind: Literal["dual"] = "dual"
    vision: VisionTransformerConfig = Field(description="the image side; its `layer` and `drop_cls` play no part")
    text: TextTransformerConfig = Field(description="the text side")
    embed_dim: int | None = Field(
        None, ge=1, description="channels of the space that both share; null takes that of the weights"
    )
    tokenizer: str = Field(SMOLLM2, description="URI of the tokenizer; it needs an end token")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="precision of the towers; master copies and losses are in float32 always"
    )
    scale: float = Field(
        1 / 0.07, gt=0, description="what cosines are multiplied with, at the start; it is learned (SigLIP: 10)"
    )
    largest_scale: float = Field(100.0, gt=0, description="the scale is held below this after each step")
    bias: float | None = Field(
        None, description="what is added then, at the start; learned (SigLIP: -10). null has none"
    )
    masked_features: int | None = Field(
        None, ge=1, description="channels of the teacher's features that `masked_image` predicts; null has no such head"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> DualConfig:
        if self.vision.precision != "auto":
            raise ValueError("`vision.precision` is for encoders; both towers compute in `precision`, beside `vision`")
        if self.embed_dim is None and self.vision.weights is None and self.text.weights is None:
            raise ValueError("`embed_dim`: say how many channels the shared space has; there are no weights to tell it")
        shape = self.vision.architecture
        if self.masked_features is not None and shape is not None and not shape.mask_token:
            raise ValueError("`masked_features` needs `mask_token: true` in `vision.architecture`")
        return self

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model takes in."""
        return ["image"]

    @property
    def parts(self) -> list[str]:
        """Every name that a stage may train."""
        return ["vision", "text", "projections", "logit_scale"] + (["masked_head"] if self.masked_features else [])

    def lacking(self, part: str) -> str:
        """What a model needs to have a part that this one has not; nothing where no model has it."""
        if part == "masked_head":
            return "; set `model.masked_features` to have it"
        return "; a model of `kind: dual` has no language model" if part.split(".")[0] == "language" else ""


class WordEmbeddingsConfig(Config):
    """Phrases by the frozen input embeddings of a language model: the mean over their tokens."""

    kind: Literal["embeddings"] = "embeddings"
    weights: str = Field(SMOLLM2, description="URI of the language model whose embeddings and tokenizer are taken")


class DetectorModelConfig(Config):
    """An open-vocabulary detector in the manner of OWL-ViT: each cell of a picture has an embedding, which is held against
    those of phrases, a box, and how likely it is to be an object at all."""

    kind: Literal["detector"] = "detector"
    vision: EncoderConfig = Field(EfficientNetConfig(), description="the image side, without class token")
    text: Annotated[WordEmbeddingsConfig | TextTransformerConfig, Field(discriminator="kind")] = Field(
        WordEmbeddingsConfig(), description="the text side: `embeddings`, or `transformer`, as that of a dual encoder"
    )
    tokenizer: str = Field(SMOLLM2, description="URI of the tokenizer of a `transformer`; it needs an end token")
    width: int = Field(192, ge=8, description="channels between features and heads")
    blocks: int = Field(2, ge=0, description="residual blocks of two 3 × 3 convolutions in front of the heads")
    embed_dim: int = Field(128, ge=4, description="channels of the space that cells and phrases share")
    fineness: Literal[1, 2, 4] = Field(
        1,
        description="cells per position of the features, along each side: more than 1 needs an encoder with finer levels",
    )

    @model_validator(mode="after")
    def _cells_only(self) -> DetectorModelConfig:
        if getattr(self.vision, "drop_cls", True) is False:
            raise ValueError(
                "`vision.drop_cls: false` puts a token in front of the cells, which has no place; leave it out"
            )
        if isinstance(self.vision, EfficientNetConfig) and self.fineness > 1 and self.vision.features != "pyramid":
            raise ValueError(f"`fineness: {self.fineness}` needs `vision.features: pyramid`")
        return self

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model takes in."""
        return ["image"]

    @property
    def parts(self) -> list[str]:
        """Every name that a stage may train."""
        return ["vision", "text", "heads"]

    def lacking(self, part: str) -> str:
        """What a model needs to have a part that this one has not; nothing where no model has it."""
        return "; a model of `kind: detector` has no language model" if part.split(".")[0] == "language" else ""
