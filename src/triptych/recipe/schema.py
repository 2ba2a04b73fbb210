"""The recipe: one declarative description of model, data, stages and evaluation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from triptych.adapters.config import AdapterConfig, ConnectorConfig, MLPConfig, QFormerConfig
from triptych.config import Config, FileStem
from triptych.data.config import DataConfig
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.encoders.config import EfficientNetConfig, EncoderConfig
from triptych.errors import RecipeError
from triptych.evaluate.config import (
    CaptionsTaskConfig,
    GroundingTaskConfig,
    LinearProbeTaskConfig,
    RetrievalTaskConfig,
    TaskConfig,
)
from triptych.fusion.config import CrossAttendConfig, FusionConfig, SpliceConfig
from triptych.grounding.config import RegionsConfig
from triptych.language.config import LanguageConfig
from triptych.language.templates import resolve
from triptych.model.config import Blip2Config, DetectorModelConfig, DualConfig
from triptych.sequence.config import SequenceConfig
from triptych.training.config import StageConfig


class Encoders(Config):
    """The encoder of each modality."""

    image: EncoderConfig | None = EfficientNetConfig()


class Adapters(Config):
    """The adapter of each modality."""

    image: AdapterConfig | None = MLPConfig()


class ModelConfig(Config):
    """The three panels: encoders, adapters, language model; and how the first two meet the third."""

    kind: Literal["composed"] = Field("composed", exclude=True)  # left out where recipes are written: there is no need
    language: LanguageConfig
    encoders: Encoders = Encoders()
    adapters: Adapters = Adapters()
    fusion: FusionConfig = Field(SpliceConfig(), description="how media meet the language model; a kind alone will do")
    regions: RegionsConfig | None = Field(
        None, description="how regions are written and read; null: the model neither points nor is pointed at anything"
    )
    start: str | None = Field(
        None,
        exclude_if=lambda value: value is None,  # runs from before there was such a choice keep their fingerprints
        description="run:FOLDER of the same model, trained or imported, whose weights training starts from",
    )

    @field_validator("fusion", mode="before")
    @classmethod
    def _kind_alone(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _panels_meet(self) -> ModelConfig:
        for modality in Encoders.model_fields:
            encoder, adapter = getattr(self.encoders, modality), getattr(self.adapters, modality)
            if (encoder is None) != (adapter is None):
                has, lacks = ("encoders", "adapters") if adapter is None else ("adapters", "encoders")
                raise ValueError(f"`{has}.{modality}` is set but `{lacks}.{modality}` is null: set both or neither")
        if isinstance(self.fusion, CrossAttendConfig) and not self.modalities:
            raise ValueError(
                "`fusion.kind` is cross_attend, but there is no encoder whose features could be attended to"
            )
        return self

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model takes in."""
        return [name for name in Encoders.model_fields if getattr(self.encoders, name) is not None]

    @property
    def parts(self) -> list[str]:
        """Every name that a stage may train."""
        parts = ["language", "language.layers", "language.norms", "language.biases", "language.embeddings"]
        parts += ["adapters", "encoders"] if self.modalities else []
        parts += [f"{panel}.{modality}" for panel in ("adapters", "encoders") for modality in self.modalities]
        parts += [
            f"adapters.{modality}.projection"
            for modality in self.modalities
            if isinstance(getattr(self.adapters, modality), QFormerConfig | ConnectorConfig)
        ]
        parts += self.fusion.parts + (["language.regions"] if self.regions is not None else [])
        parts += ["regions"] if isinstance(self.regions, EmbeddingRegionsConfig) else []
        return parts + (["language.lora"] if self.language.lora is not None else [])

    def lacking(self, part: str) -> str:
        """What a model needs to have a part that this one has not; nothing where no model has it."""
        match part.split("."):
            case ["fusion", *_] if isinstance(self.fusion, SpliceConfig):
                return "; `fusion: splice` has no parameters: train `adapters`, or take `cross_attend` or `prompt`"
            case ["regions", *_]:
                return "; set `model.regions.kind: embedding` to have it"
            case ["language", "regions"]:
                return "; set `model.regions` to have it"
            case ["language", "lora"]:
                return "; set `model.language.lora` to have it"
            case ["adapters" | "encoders", *_] if not self.modalities:
                return "; set `model.encoders.image` and `model.adapters.image` to have it"
            case _:
                return ""


def _model_kind(value: Any) -> Any:
    """Which kind of model is meant: a composed one where nothing is said."""
    found = value.get("kind", "composed") if isinstance(value, dict) else getattr(value, "kind", None)
    return found if isinstance(found, str) else "composed"


AnyModelConfig = Annotated[
    Annotated[ModelConfig, Tag("composed")]
    | Annotated[DualConfig, Tag("dual")]
    | Annotated[Blip2Config, Tag("blip2")]
    | Annotated[DetectorModelConfig, Tag("detector")],
    Discriminator(_model_kind),
]
"""A composed model, a dual encoder, BLIP-2's first stage, or a detector, told apart by `kind`."""


class LoadingConfig(Config):
    """How data is read."""

    workers: int = Field(1, ge=0, description="processes that plan, pack and read ahead; 0 reads in the trainer itself")
    refused_share: float = Field(0.05, ge=0, le=1, description="a dataset of which more is refused stops the run")
    cache_features: bool = Field(True, description="encode each medium once while its encoder is frozen")


class Recipe(Config):
    """A whole run: compose, train, evaluate. See `recipes/` for examples and `triptych inspect` for what one means."""

    name: str = Field(
        max_length=200, pattern=r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$", description="names the run's folder"
    )
    base: str = Field(
        ".",
        description="folder that relative paths start from, itself relative to the recipe's file; that file's own by default",
    )
    seed: int = Field(0, ge=0, lt=2**31)
    model: AnyModelConfig
    sequence: SequenceConfig = SequenceConfig()
    data: dict[str, DataConfig] = Field({}, description="datasets by name")
    loading: LoadingConfig = LoadingConfig()
    stages: list[StageConfig] = Field([], description="training phases in order")
    validation: str | None = Field(None, description="dataset for the loss during training (`validate_every`)")
    evaluation: dict[FileStem, TaskConfig] = Field({}, description="tasks by name, run by `triptych evaluate`")

    @property
    def composed(self) -> ModelConfig:
        """The model's configuration where it is a composed one.

        Raises:
            RecipeError: It is of another kind.
        """
        if not isinstance(self.model, ModelConfig):
            raise RecipeError(f"{self.name}: this works with composed models, not yet with `kind: {self.model.kind}`")
        return self.model

    @model_validator(mode="after")
    def _names_exist(self) -> Recipe:
        problems: list[tuple[str, str, list[str] | None]] = []
        names = [stage.name for stage in self.stages]
        for i, stage in enumerate(self.stages):
            if stage.name in names[:i]:
                problems.append((f"stages.{i}.name", stage.name, None))
            problems += [(f"stages.{i}.train.{j}", part, self.model.parts) for j, part in enumerate(stage.train)]
            problems += [(f"stages.{i}.learning_rates", part, self.model.parts) for part in stage.learning_rates]
            problems += [(f"stages.{i}.layer_decay", part, self.model.parts) for part in stage.layer_decay]
            problems += [(f"stages.{i}.mixture", name, list(self.data)) for name in stage.mixture]
            problems += [(f"stages.{i}.groups", name, list(stage.mixture)) for name in stage.groups]
            problems += [
                (f"stages.{i}.groups.{name}", part, [p for p in self.model.parts if _within(p, stage.train)])
                for name, parts in stage.groups.items()
                for part in parts
            ]
            try:
                resolve(stage.chat_template)
            except ValueError as error:
                raise ValueError(f"`stages.{i}.chat_template`: {error}") from None
            if stage.validate_every and self.validation is None:
                raise ValueError(f"`stages.{i}.validate_every` needs a dataset in `validation`")
        if self.validation is not None:
            problems.append(("validation", self.validation, list(self.data)))
        for name, task in self.evaluation.items():
            problems.append((f"evaluation.{name}.data", task.data, list(self.data)))
            trained = CaptionsTaskConfig | GroundingTaskConfig | LinearProbeTaskConfig | RetrievalTaskConfig
            if isinstance(task, trained) and task.train_data is not None:
                problems.append((f"evaluation.{name}.train_data", task.train_data, list(self.data)))
        for path, name, allowed in problems:
            if allowed is None:
                raise ValueError(f"`{path}`: there are two stages named {name!r}")
            if name not in allowed:
                from triptych.recipe.messages import unknown_name

                raise ValueError(f"`{path}`: {unknown_name(name, allowed)}{self.model.lacking(name)}")
        return self


def _within(part: str, trained: list[str]) -> bool:
    """Whether a part is one of those that are trained, or inside one."""
    return any(part == name or part.startswith(f"{name}.") for name in trained)
