"""What a recipe says about a detector. Importable without torch; each names its implementation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator

from triptych.config import Config
from triptych.registry import Slot


class GroundingDinoConfig(Config):
    """GroundingDINO (Liu et al., 2023, https://arxiv.org/abs/2303.05499), as in transformers."""

    implementation: ClassVar[str] = "triptych.grounding.detectors.grounding_dino:GroundingDinoDetector"

    kind: Literal["grounding_dino"] = "grounding_dino"
    weights: str = Field("hf:IDEA-Research/grounding-dino-tiny", description="hf:ORG/NAME or file:FOLDER")
    threshold: float = Field(0.25, ge=0, lt=1, description="boxes of a lower score are left out")
    text_threshold: float = Field(
        0.25, ge=0, lt=1, description="a box belongs to no phrase where none of its tokens has more than this"
    )
    overlap: float | None = Field(
        None, gt=0, le=1, description="of two boxes of a phrase with more IoU the better stays; null keeps both"
    )
    batch_size: int = Field(4, ge=1, description="pictures per forward pass")


class OwlConfig(Config):
    """OWL-ViT (Minderer et al., 2022, https://arxiv.org/abs/2205.06230) and OWLv2 (2023), as in transformers."""

    implementation: ClassVar[str] = "triptych.grounding.detectors.owl:OwlDetector"

    kind: Literal["owlvit", "owlv2"]
    weights: str = Field(description="hf:ORG/NAME (google/owlvit-base-patch32, …) or file:FOLDER")
    threshold: float = Field(0.1, ge=0, lt=1, description="boxes of a lower score are left out")
    prompt: str = Field(
        "a photo of {a}", description="how a phrase is written; `{}` is the phrase, `{a}` with its article"
    )
    overlap: float | None = Field(
        None, gt=0, le=1, description="of two boxes of a phrase with more IoU the better stays; null keeps both"
    )
    batch_size: int = Field(4, ge=1, description="pictures per forward pass")

    @field_validator("prompt", mode="after")
    @classmethod
    def _has_a_place(cls, value: str) -> str:
        if value.count("{}") + value.count("{a}") != 1:
            raise ValueError("`prompt` says once where the phrase stands: `{}`, or `{a}` for it with an article")
        return value


class TrainedConfig(Config):
    """A detector that a recipe with `model.kind: detector` trained here."""

    implementation: ClassVar[str] = "triptych.grounding.detectors.trained:TrainedDetector"

    kind: Literal["trained"] = "trained"
    weights: str = Field("run:runs/detector", description="run:FOLDER, the output of `triptych train`")
    threshold: float = Field(0.3, ge=0, lt=1, description="boxes of a lower score are left out")
    overlap: float | None = Field(
        0.5, gt=0, le=1, description="of two boxes of a phrase with more IoU the better stays; null keeps both"
    )
    batch_size: int = Field(16, ge=1, description="pictures per forward pass")


class SamMasksConfig(Config):
    """SAM cuts out what is in the boxes that a detector found."""

    weights: str = Field("hf:facebook/sam-vit-base", description="hf:ORG/NAME or file:FOLDER of a SamModel")


DetectorConfig: TypeAlias = Annotated[GroundingDinoConfig | OwlConfig | TrainedConfig, Slot("detector")]
"""Any detector, told apart by `kind`."""
