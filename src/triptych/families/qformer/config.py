"""What a recipe says about BLIP-2's first stage, and the objective that it learns by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from triptych.adapters.config import QFormerConfig
from triptych.adapters.limits import mistake as adapter_mistake
from triptych.encoders.config import EncoderConfig
from triptych.encoders.known import known_features
from triptych.family import FamilyConfig, ObjectiveConfig
from triptych.language.config import LanguageConfig
from triptych.weights.embedded import SMOLLM2


class Blip2Losses(ObjectiveConfig):
    """The sum of BLIP-2's three (Li et al., 2023): contrast (ITC), matching with hard negatives (ITM), captions (ITG).

    Negatives come from all processes. ITC per pair, ITM per pair of three that are judged, ITG per token.
    """

    implementation: ClassVar[str] = "triptych.families.qformer.objective:Blip2Objective"

    kind: Literal["blip2"] = "blip2"
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="in the contrast and in the captions")
    weights: dict[Literal["itc", "itm", "itg"], float] = Field(
        {}, description="of the losses where they are not 1; 0 leaves one out, and it is not computed"
    )


class Blip2Config(FamilyConfig):
    """BLIP-2's first stage: a Q-Former that reads pictures and texts, in front of any encoder, which stays frozen."""

    implementation: ClassVar[str] = "triptych.families.qformer.family:QFormerFamily"
    objectives: ClassVar[tuple[type[ObjectiveConfig], ...]] = (Blip2Losses,)

    kind: Literal["blip2"] = "blip2"
    encoder: EncoderConfig = Field(description="an encoder as in `model.encoders.image` of a composed model")
    qformer: QFormerConfig = Field(
        QFormerConfig(text_tokens=512),
        description="an adapter as in `model.adapters.image`, which can start from it later; `text_tokens` are its places "
        "for text, `vocabulary` counts [DEC], behind which texts are written",
    )
    embed_dim: int = Field(256, ge=1, description="channels of the space that pictures and texts share")
    tokenizer: str = Field(SMOLLM2, description="URI of the tokenizer (BLIP-2: that of BERT)")
    max_tokens: int = Field(32, ge=3, description="longer texts are cut")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the Q-Former; master copies and losses are in float32 always"
    )
    scale: float = Field(1 / 0.07, gt=0, description="what cosines are multiplied with, at the start; it is learned")
    largest_scale: float = Field(100.0, gt=0, description="the scale is held below this after each step")

    @model_validator(mode="after")
    def _goes_together(self) -> Blip2Config:
        if self.max_tokens > self.qformer.text_tokens:
            raise ValueError(
                f"`max_tokens: {self.max_tokens}` are more than the places `qformer.text_tokens: {self.qformer.text_tokens}`"
            )
        if self.qformer.instruction or self.qformer.tokenizer is not None:
            raise ValueError(
                "`qformer.instruction` and its `tokenizer` are for adapters of a language model; leave them out"
            )
        return self

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model takes in."""
        return ["image"]

    @property
    def parts(self) -> list[str]:
        """Every name that a stage may train."""
        return ["qformer", "heads", "logit_scale"]

    def lacking(self, part: str) -> str:
        """What a model needs to have a part that this one has not; nothing where no model has it."""
        if part == "encoder":
            return "; the encoder of a model of `kind: blip2` stays frozen"
        return "; a model of `kind: blip2` has no language model" if part.split(".")[0] == "language" else ""

    def mistakes(self, recipe: Any) -> Iterator[str]:
        """See `FamilyConfig.mistakes`."""
        features = known_features(self.encoder, Path(recipe.base))
        if features is not None and (reason := adapter_mistake(self.qformer, *features)) is not None:
            yield f"model.qformer: {reason}"
        for i, stage in enumerate(recipe.stages):
            if not self.learns_by(stage.objective):
                yield (
                    f"stages.{i}.objective: a model of `kind: blip2` learns by `objective: {{kind: blip2}}`, not by "
                    f"`{stage.objective.kind}`"
                )

    def tokenizer_source(self) -> LanguageConfig:
        """See `FamilyConfig.tokenizer_source`."""
        return LanguageConfig(weights=self.tokenizer)

    def encoder_of(self, part: str) -> EncoderConfig | None:
        """See `FamilyConfig.encoder_of`."""
        return self.encoder if part == "encoder" else None

    @property
    def can(self) -> frozenset[str]:
        """See `FamilyConfig.can`."""
        return frozenset({"embeds", "pools", "rereads"})

    @property
    def sources(self) -> list[str]:
        """See `FamilyConfig.sources`."""
        weights = (getattr(part, "weights", None) for part in (self.encoder, self.qformer))
        return [uri for uri in (*weights, self.tokenizer) if uri is not None]

    @property
    def written_precision(self) -> Literal["float32", "bfloat16"]:
        """See `FamilyConfig.written_precision`."""
        return self.precision


CONFIG = Blip2Config
