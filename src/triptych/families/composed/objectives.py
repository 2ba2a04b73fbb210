"""The objectives that a composed model learns by."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from triptych.family import ObjectiveConfig


class NextToken(ObjectiveConfig):
    """Cross-entropy of the next token where the assistant speaks, per supervised token."""

    implementation: ClassVar[str] = "triptych.families.composed.next_token:NextTokenObjective"

    kind: Literal["next_token"] = "next_token"


class PhraseAlignment(ObjectiveConfig):
    """Late-interaction contrast between adapted features and the token embeddings of phrases: no language model runs.

    The adapter learns to speak the language model's own input embeddings: each phrase of a picture (a name, a word
    of its caption; the mean of its tokens' embeddings) must be found at some position of that picture, against the
    other phrases of the batch, and each phrase in its own pictures against the other pictures.
    """

    implementation: ClassVar[str] = "triptych.families.composed.phrase_alignment:PhraseAlignmentObjective"
    reads_regions: ClassVar[bool] = False

    kind: Literal["phrase_alignment"] = "phrase_alignment"
    temperature: float = Field(
        0.1, gt=0, description="of cosines, in the soft maximum over positions and in the contrast"
    )
    pull: float = Field(1.0, ge=0, description="weight of the cosine itself between a position and what it shows")
    nothing: str | None = Field(
        "nothing", description="what positions say that show no phrase of their picture; null lets them say anything"
    )


class Regions(ObjectiveConfig):
    """Pointing by embedding: cross-entropy of the next token, and losses of the boxes and masks of answered regions.

    Every weight is of a mean: over the step's supervised tokens, over its regions, over those of them with masks. LISA's are
    1, 2 and 0.5 without boxes; DETR's are 5 and 2 for boxes.
    """

    implementation: ClassVar[str] = "triptych.families.composed.regions:RegionsObjective"

    kind: Literal["regions"] = "regions"
    tokens: float = Field(1.0, ge=0, description="weight of the cross-entropy of tokens")
    mask_cross_entropy: float = Field(2.0, ge=0, description="weight of the binary cross-entropy of masks")
    mask_dice: float = Field(0.5, ge=0, description="weight of their Dice loss")
    mask_quality: float = Field(
        0.0, ge=0, description="weight of the squared error of the expected IoU (SAM): what scores are told from"
    )
    box_l1: float = Field(5.0, ge=0, description="weight of the L1 loss of centre, width and height")
    box_giou: float = Field(2.0, ge=0, description="weight of one minus the generalised IoU of boxes")
