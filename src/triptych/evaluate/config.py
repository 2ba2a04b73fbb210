"""What a recipe says about evaluation: one config per kind of task."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from triptych.config import Config
from triptych.generate.config import GenerationSettings

Baseline = Literal["central", "nearest"]


class _Task(Config):
    data: str = Field(description="the dataset (a name in the recipe's `data`) to ask about")
    limit: int | None = Field(None, ge=1, description="ask only this many questions, the first of the dataset")
    control: bool = Field(True, description="score the same questions with another sample's picture, too")
    seed: int = Field(0, ge=0, lt=2**31, description="of the control's pairing and of the bootstrap")
    failed_share: float = Field(0.05, ge=0, le=1, description="more questions that cannot be asked stop the evaluation")


class ScenesTaskConfig(_Task):
    """Questions about scenes, each asked on its own; scores per kind of question."""

    kind: Literal["scenes"] = "scenes"
    generation: GenerationSettings = GenerationSettings(max_new_tokens=16)


class CaptionsTaskConfig(_Task):
    """One caption per picture, against its reference captions: CIDEr-D, BLEU-4, ROUGE-L."""

    kind: Literal["captions"] = "captions"
    prompt: str = Field("Describe this picture in one sentence.", min_length=1, description="asked of every picture")
    train_data: str | None = Field(None, description="the dataset with the training captions, for the baselines")
    baselines: tuple[Baseline, ...] = Field(
        (), description="`central`: the most central training caption; `nearest`: that of the nearest training picture"
    )
    generation: GenerationSettings = GenerationSettings(max_new_tokens=40)

    @model_validator(mode="after")
    def _baselines_have_captions(self) -> CaptionsTaskConfig:
        if self.baselines and self.train_data is None:
            raise ValueError("`baselines` need `train_data`: the dataset that holds the training captions")
        return self


class EpisodesTaskConfig(_Task):
    """Few-shot episodes, each asked after growing numbers of named pictures; accuracy for each number."""

    kind: Literal["episodes"] = "episodes"
    shots: tuple[int, ...] | None = Field(
        None,
        min_length=1,
        description="after how many named pictures each episode is asked, for example [0, 2, 4]; null takes them as "
        "the dataset has them",
    )
    shuffle: Literal["support", "episodes"] = Field(
        "support",
        description="what the control shows beside the words: `support`: the episode's own pictures, each with a wrong "
        "word; `episodes`: the pictures of another episode",
    )
    generation: GenerationSettings = GenerationSettings(max_new_tokens=12)

    @field_validator("shots", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value


TaskConfig = Annotated[ScenesTaskConfig | CaptionsTaskConfig | EpisodesTaskConfig, Field(discriminator="kind")]
