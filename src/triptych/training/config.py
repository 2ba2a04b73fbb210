"""What a recipe says about training: stages, objectives, optimiser, batches."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from triptych.config import Config
from triptych.family import AnyObjectiveConfig
from triptych.registry import CustomConfig, Slot, kind_alone


class AdamWConfig(Config):
    """AdamW (Loshchilov and Hutter, 2019) with the stage's `betas` and `epsilon`."""

    implementation: ClassVar[str] = "triptych.training.optimisers:adamw"

    kind: Literal["adamw"] = "adamw"


class LambConfig(Config):
    """LAMB (You et al., 2020) with the stage's `betas` and `epsilon`."""

    implementation: ClassVar[str] = "triptych.training.optimisers:lamb"

    kind: Literal["lamb"] = "lamb"


OptimiserConfig: TypeAlias = Annotated[
    AdamWConfig | LambConfig | CustomConfig, Slot("optimiser"), BeforeValidator(kind_alone)
]
"""One of the optimisers, told apart by `kind`."""


class TrackerOptions(Config):
    """Options of every tracker."""

    package: ClassVar[str]
    """What to install for it."""

    optional: bool = Field(False, description="go on without it where its package is not installed")


class TensorBoardConfig(TrackerOptions):
    """TensorBoard's event files in the run's folder."""

    implementation: ClassVar[str] = "triptych.training.trackers:TensorBoard"
    package: ClassVar[str] = "tensorboard"

    kind: Literal["tensorboard"] = "tensorboard"


class WandbConfig(TrackerOptions):
    """Weights & Biases."""

    implementation: ClassVar[str] = "triptych.training.trackers:Wandb"
    package: ClassVar[str] = "wandb"

    kind: Literal["wandb"] = "wandb"
    project: str = Field("triptych", min_length=1)
    entity: str | None = Field(None, description="user or team; null takes the one who is logged in")
    mode: Literal["online", "offline"] = "online"


class MLflowConfig(TrackerOptions):
    """MLflow."""

    implementation: ClassVar[str] = "triptych.training.trackers:MLflow"
    package: ClassVar[str] = "mlflow"

    kind: Literal["mlflow"] = "mlflow"
    uri: str | None = Field(None, description="of the tracking server or store; null keeps it in the run's folder")
    experiment: str = Field("triptych", min_length=1)


TrackerConfig: TypeAlias = Annotated[
    TensorBoardConfig | WandbConfig | MLflowConfig | CustomConfig, Slot("tracker"), BeforeValidator(kind_alone)
]
"""One of the trackers, told apart by `kind`."""


class StageConfig(Config):
    """One training phase: what is trained, on what mixture, with which objective, for how long."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="unique; names the stage in messages and files")
    train: list[str] = Field(min_length=1, description="parts that learn; everything else is frozen")
    mixture: dict[str, float] = Field(min_length=1, description="dataset → weight: its share of the draws")
    groups: dict[str, list[str]] = Field(
        {}, description="dataset → the parts that its conversations teach, of those in `train`; all of them by default"
    )
    objective: AnyObjectiveConfig = Field({}, description="what is minimised; the next token where nothing is said")  # type: ignore[assignment]
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
    optimiser: OptimiserConfig = Field(
        AdamWConfig(),
        description="`adamw`; `lamb`: AdamW's update scaled to each matrix's own norm, for very large batches; or one's own "
        "`torch.optim.Optimizer` with its options. A kind alone will do",
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
