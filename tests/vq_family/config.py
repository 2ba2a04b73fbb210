"""What a recipe says about it: `model: {kind: vq_family.config:VQConfig, …}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from triptych.family import FamilyConfig, ObjectiveConfig


class VQLossConfig(ObjectiveConfig):
    """Squared error of the picture, and the commitment of codes."""

    implementation: ClassVar[str] = "vq_family.objective:VQLoss"

    kind: str = "vq_family.config:VQLossConfig"
    commitment: float = Field(0.25, ge=0, description="weight of the distance between encoder and codebook")


class VQConfig(FamilyConfig):
    """Pictures as grids of codes."""

    implementation: ClassVar[str] = "vq_family.family:VQFamily"
    objectives: ClassVar[tuple[type[ObjectiveConfig], ...]] = (VQLossConfig,)

    kind: str = "vq_family.config:VQConfig"
    side: int = Field(16, ge=8, multiple_of=4, description="side of the square that pictures become, in pixels")
    codes: int = Field(32, ge=2, description="entries of the codebook")
    width: int = Field(16, ge=1, description="channels of an entry")

    @property
    def modalities(self) -> list[str]:
        """It takes pictures."""
        return ["image"]

    @property
    def parts(self) -> list[str]:
        """What a stage may train."""
        return ["encoder", "codebook", "decoder"]

    def lacking(self, part: str) -> str:
        """There is no language model."""
        return "; an autoencoder has no language model" if part == "language" else ""

    def mistakes(self, recipe: Any) -> Iterator[str]:
        """It learns by its own objective."""
        for i, stage in enumerate(recipe.stages):
            if not self.learns_by(stage.objective):
                yield f"stages.{i}.objective: an autoencoder learns by `vq_family.config:VQLossConfig`"
