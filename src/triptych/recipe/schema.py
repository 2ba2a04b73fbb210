"""The recipe: one declarative description of model, data, stages and evaluation."""

from __future__ import annotations

from pydantic import Field, model_validator

from triptych.config import Config, FileStem
from triptych.data.config import DataConfig
from triptych.evaluate.config import TaskConfig
from triptych.family import AnyModelConfig
from triptych.language.templates import resolve
from triptych.sequence.config import SequenceConfig
from triptych.training.config import StageConfig, TensorBoardConfig, TrackerConfig


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
    trackers: list[TrackerConfig] = Field(
        [TensorBoardConfig(optional=True)], description="where the figures of training go beside `metrics.jsonl`"
    )
    evaluation: dict[FileStem, TaskConfig] = Field({}, description="tasks by name, run by `triptych evaluate`")

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
            if (train_data := getattr(task, "train_data", None)) is not None:
                problems.append((f"evaluation.{name}.train_data", train_data, list(self.data)))
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
