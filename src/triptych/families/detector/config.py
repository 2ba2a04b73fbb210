"""What a recipe says about an open-vocabulary detector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from triptych.config import Config
from triptych.encoders.config import EfficientNetConfig, EncoderConfig, TextTransformerConfig
from triptych.family import FamilyConfig, ObjectiveConfig
from triptych.language.config import LanguageConfig
from triptych.weights.embedded import SMOLLM2


class WordEmbeddingsConfig(Config):
    """Phrases by the frozen input embeddings of a language model: the mean over their tokens."""

    kind: Literal["embeddings"] = "embeddings"
    weights: str = Field(SMOLLM2, description="URI of the language model whose embeddings and tokenizer are taken")


class DetectionLoss(ObjectiveConfig):
    """What a detector learns by: focal losses of phrases and of objectness over all cells, L1 and GIoU of boxes. Per box."""

    implementation: ClassVar[str] = "triptych.families.detector.objective:DetectionObjective"

    kind: Literal["detection"] = "detection"
    generic: str | None = Field(
        "thing", description="a word that every box answers to as well, for whatever has no name; null has none"
    )
    alpha: float = Field(0.25, gt=0, lt=1, description="focal loss: share of what is there against what is not")
    gamma: float = Field(2.0, ge=0, description="focal loss: how little the easy cells count")
    phrases: float = Field(2.0, ge=0, description="weight of the phrases")
    objectness: float = Field(1.0, ge=0, description="weight of being an object of whatever kind")
    l1: float = Field(5.0, ge=0, description="weight of the distance of boxes, as shares of the picture")
    giou: float = Field(2.0, ge=0, description="weight of one minus their generalised IoU")


class DetectorModelConfig(FamilyConfig):
    """An open-vocabulary detector in the manner of OWL-ViT: each cell of a picture has an embedding, which is held against
    those of phrases, a box, and how likely it is to be an object at all."""

    implementation: ClassVar[str] = "triptych.families.detector.family:DetectorFamily"
    objectives: ClassVar[tuple[type[ObjectiveConfig], ...]] = (DetectionLoss,)

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

    def mistakes(self, recipe: Any) -> Iterator[str]:
        """See `FamilyConfig.mistakes`."""
        for i, stage in enumerate(recipe.stages):
            if not self.learns_by(stage.objective):
                yield (
                    f"stages.{i}.objective: a model of `kind: detector` learns by `detection` alone, not by "
                    f"`{stage.objective.kind}`"
                )

    def tokenizer_source(self) -> LanguageConfig:
        """See `FamilyConfig.tokenizer_source`."""
        if isinstance(self.text, WordEmbeddingsConfig):
            return LanguageConfig(weights=self.text.weights)
        return LanguageConfig(weights=self.tokenizer)

    def encoder_of(self, part: str) -> EncoderConfig | None:
        """See `FamilyConfig.encoder_of`."""
        return self.vision if part == "vision" else None

    @property
    def can(self) -> frozenset[str]:
        """See `FamilyConfig.can`."""
        return frozenset({"grounds", "detects"})

    @property
    def sources(self) -> list[str]:
        """See `FamilyConfig.sources`."""
        weights = (getattr(side, "weights", None) for side in (self.vision, self.text))
        return [uri for uri in (*weights, self.tokenizer) if uri is not None]


CONFIG = DetectorModelConfig
