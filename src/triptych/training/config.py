"""What a recipe says about training: stages, objectives, optimiser, batches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from triptych.config import Config
from triptych.encoders.config import EncoderConfig


class NextToken(Config):
    """Cross-entropy of the next token where the assistant speaks, per supervised token."""

    kind: Literal["next_token"] = "next_token"


class PhraseAlignment(Config):
    """Late-interaction contrast between adapted features and the token embeddings of phrases: no language model runs.

    The adapter learns to speak the language model's own input embeddings: each phrase of a picture (a name, a word
    of its caption; the mean of its tokens' embeddings) must be found at some position of that picture, against the
    other phrases of the batch, and each phrase in its own pictures against the other pictures.
    """

    kind: Literal["phrase_alignment"] = "phrase_alignment"
    temperature: float = Field(
        0.1, gt=0, description="of cosines, in the soft maximum over positions and in the contrast"
    )
    pull: float = Field(1.0, ge=0, description="weight of the cosine itself between a position and what it shows")
    nothing: str | None = Field(
        "nothing", description="what positions say that show no phrase of their picture; null lets them say anything"
    )


class Contrastive(Config):
    """Symmetric InfoNCE (van den Oord et al., 2018; CLIP): each picture against all texts of the step, and back.

    Negatives come from all processes. Loss per pair; ln(batch_size) where nothing is known.
    """

    kind: Literal["contrastive"] = "contrastive"
    chunk: int | None = Field(
        None,
        ge=1,
        description="pairs whose activations are held at one time; the gradient is that of the whole batch, for a second "
        "forward pass. null holds all",
    )


class Sigmoid(Config):
    """SigLIP's loss (Zhai et al., 2023): every picture with every text is a match or none. Loss per pair."""

    kind: Literal["sigmoid"] = "sigmoid"
    chunk: int | None = Field(None, ge=1, description="as that of `contrastive`")


class MaskedImage(Config):
    """EVA's masked image modelling: where patches are masked, the tower predicts a teacher's features of them.

    One minus the cosine between `masked_head` of the tower's state and the teacher's feature, mean over masked patches.
    """

    kind: Literal["masked_image"] = "masked_image"
    teacher: EncoderConfig = Field(
        description="an encoder with as many features per side as the tower has patches; `weights: run:…` for one "
        "trained here, `layer: output` for its last layer"
    )
    share: float = Field(0.4, gt=0, le=1, description="of the patches that are masked")


class Blip2Losses(Config):
    """The sum of BLIP-2's three (Li et al., 2023): contrast (ITC), matching with hard negatives (ITM), captions (ITG).

    Negatives come from all processes. ITC per pair, ITM per pair of three that are judged, ITG per token.
    """

    kind: Literal["blip2"] = "blip2"
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="in the contrast and in the captions")
    weights: dict[Literal["itc", "itm", "itg"], float] = Field(
        {}, description="of the losses where they are not 1; 0 leaves one out, and it is not computed"
    )


class DetectionLoss(Config):
    """What a detector learns by: focal losses of phrases and of objectness over all cells, L1 and GIoU of boxes. Per box."""

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


class Regions(Config):
    """Pointing by embedding: cross-entropy of the next token, and losses of the boxes and masks of answered regions.

    Every weight is of a mean: over the step's supervised tokens, over its regions, over those of them with masks. LISA's are
    1, 2 and 0.5 without boxes; DETR's are 5 and 2 for boxes.
    """

    kind: Literal["regions"] = "regions"
    tokens: float = Field(1.0, ge=0, description="weight of the cross-entropy of tokens")
    mask_cross_entropy: float = Field(2.0, ge=0, description="weight of the binary cross-entropy of masks")
    mask_dice: float = Field(0.5, ge=0, description="weight of their Dice loss")
    mask_quality: float = Field(
        0.0, ge=0, description="weight of the squared error of the expected IoU (SAM): what scores are told from"
    )
    box_l1: float = Field(5.0, ge=0, description="weight of the L1 loss of centre, width and height")
    box_giou: float = Field(2.0, ge=0, description="weight of one minus the generalised IoU of boxes")


ObjectiveConfig = Annotated[
    NextToken | Regions | PhraseAlignment | Contrastive | Sigmoid | MaskedImage | Blip2Losses | DetectionLoss,
    Field(discriminator="kind"),
]


class StageConfig(Config):
    """One training phase: what is trained, on what mixture, with which objective, for how long."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="unique; names the stage in messages and files")
    train: list[str] = Field(min_length=1, description="parts that learn; everything else is frozen")
    mixture: dict[str, float] = Field(min_length=1, description="dataset → weight: its share of the draws")
    groups: dict[str, list[str]] = Field(
        {}, description="dataset → the parts that its conversations teach, of those in `train`; all of them by default"
    )
    objective: ObjectiveConfig = NextToken()
    chat_template: str | None = Field(
        None, description="how this stage writes conversations, where not as `model.language.chat_template` says"
    )
    steps: int | None = Field(None, ge=1, description="optimiser steps")
    epochs: float | None = Field(None, gt=0, description="instead of steps: passes over the mixture's records")
    batch_size: int = Field(16, ge=1, description="conversations per optimiser step, over all ranks")
    micro_rows: int = Field(4, ge=1, description="packed rows per forward pass; the gradient does not depend on it")
    learning_rate: float = Field(1e-4, gt=0)
    learning_rates: dict[str, float] = Field({}, description="part → rate where it differs from `learning_rate`")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the steps in which the rate rises from zero")
    final_rate: float = Field(0.0, ge=0, le=1, description="the last rate as a share of the peak")
    weight_decay: float = Field(0.0, ge=0, description="on matrices only; never on biases, gains and positions")
    layer_decay: dict[str, float] = Field(
        {},
        description="part → factor ≤ 1 of the rate from one layer to the one below it; the last layer has the whole rate",
    )
    optimiser: Literal["adamw", "lamb"] = Field(
        "adamw", description="`lamb`: AdamW's update scaled to each matrix's own norm, for very large batches"
    )
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = Field(1e-8, gt=0)
    clip: float | None = Field(1.0, gt=0, description="largest norm of the gradient")
    validate_every: int | None = Field(None, ge=1, description="steps between evaluations of the loss during training")
    checkpoint_every: int = Field(100, ge=1, description="steps between checkpoints")
    log_every: int = Field(1, ge=1, description="steps between lines of metrics")

    @model_validator(mode="after")
    def _has_one_length(self) -> StageConfig:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either `steps` or `epochs`")
        for part, factor in self.layer_decay.items():
            if not 0 < factor <= 1:
                raise ValueError(f"`layer_decay.{part}: {factor}` must be above 0 and at most 1")
        return self
