"""What a recipe says about evaluation: one config per kind of task."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from triptych.config import Config
from triptych.generate.config import GenerationSettings
from triptych.registry import Slot

Baseline = Literal["central", "nearest"]


class BaseTaskConfig(Config):
    """What every task says. One of your own is named by its place, `kind: package.module:MyTaskConfig`, and names what it is a
    configuration of as its `implementation`, a subclass of `triptych.evaluate.task.Task`.
    """

    needs: ClassVar[str] = "answers"
    """The capability that a model needs for it (`triptych.capabilities`)."""

    data: str = Field(description="the dataset (a name in the recipe's `data`) to ask about")
    limit: int | None = Field(None, ge=1, description="ask only this many questions, the first of the dataset")
    control: bool = Field(True, description="score the same questions with another sample's picture, too")
    seed: int = Field(0, ge=0, lt=2**31, description="of the control's pairing and of the bootstrap")
    failed_share: float = Field(0.05, ge=0, le=1, description="more questions that cannot be asked stop the evaluation")
    metrics: tuple[str, ...] = Field(
        (), description="further metrics of the same answers: words such as `exact`, or `package.module:Class`"
    )

    kind: str

    @field_validator("metrics")
    @classmethod
    def _metrics_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from triptych.evaluate.metrics import check_name

        for word in value:
            check_name(word)
        return value


class ScenesTaskConfig(BaseTaskConfig):
    """Questions about scenes, each asked on its own; scores per kind of question."""

    implementation: ClassVar[str] = "triptych.evaluate.tasks.scenes:ScenesTask"

    kind: Literal["scenes"] = "scenes"
    generation: GenerationSettings = GenerationSettings(max_new_tokens=16)


class CaptionsTaskConfig(BaseTaskConfig):
    """One caption per picture, against its reference captions: CIDEr-D, BLEU-4, ROUGE-L."""

    implementation: ClassVar[str] = "triptych.evaluate.tasks.captions:CaptionsTask"

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


class EpisodesTaskConfig(BaseTaskConfig):
    """Few-shot episodes, each asked after growing numbers of named pictures; accuracy for each number."""

    implementation: ClassVar[str] = "triptych.evaluate.tasks.episodes:EpisodesTask"

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


class GroundingTaskConfig(BaseTaskConfig):
    """Expressions, each asked on its own; scores of the regions that come back, in all and per kind of expression."""

    needs: ClassVar[str] = "grounds"
    implementation: ClassVar[str] = "triptych.evaluate.tasks.grounding:GroundingTask"

    kind: Literal["grounding"] = "grounding"
    masks: bool = Field(
        False, description="score masks, too: cIoU and gIoU; an answer without masks is taken for its filled boxes"
    )
    captions: bool = Field(
        True, description="ask for a grounded caption of each picture that has one, where the model can give one"
    )
    train_data: str | None = Field(
        None, description="the dataset whose mean box is the baseline; null takes the mean of the true boxes themselves"
    )
    generation: GenerationSettings | None = Field(
        None, description="how answers are decoded; null leaves it to the way of pointing (`model.regions.generation`)"
    )


class RetrievalTaskConfig(BaseTaskConfig):
    """Pictures find their texts and texts their pictures, in pools: R@1, R@5, R@10 both ways. For dual encoders."""

    needs: ClassVar[str] = "embeds"
    implementation: ClassVar[str] = "triptych.evaluate.tasks.retrieval:RetrievalTask"

    kind: Literal["retrieval"] = "retrieval"
    pool: int = Field(
        200, ge=2, description="pictures in a pool, that many in a row; a last pool that is not full is left out"
    )
    at: tuple[int, ...] = Field((1, 5, 10), min_length=1, description="the ranks that count as found")
    rerank: int | None = Field(
        None,
        ge=2,
        description="read each query together with its first so many candidates, and order these anew; for models that read both together. "
        "The order before is scored beside it, as the baseline `cosines`",
    )
    train_data: str | None = Field(None, description="the dataset that baselines are fitted on")
    baselines: tuple[Literal["ridge"], ...] = Field(
        (), description="`ridge`: linear regression from pooled features of pictures to features of texts"
    )

    @model_validator(mode="after")
    def _baselines_are_fitted(self) -> RetrievalTaskConfig:
        if self.baselines and self.train_data is None:
            raise ValueError("`baselines` need `train_data`: the dataset that they are fitted on")
        return self


class ZeroShotTaskConfig(BaseTaskConfig):
    """Each picture is named by the class whose prompts are nearest: top-1 and top-5. For dual encoders.

    The class of a sample is `annotations["label"]`, or the one entry of `annotations["phrases"]`.
    """

    needs: ClassVar[str] = "embeds"
    implementation: ClassVar[str] = "triptych.evaluate.tasks.naming:ZeroShotTask"

    kind: Literal["zero_shot"] = "zero_shot"
    templates: tuple[str, ...] = Field(
        ("{a}",),
        min_length=1,
        description="prompts whose directions are averaged; `{name}` is the name of a class, `{a}` the same with its "
        "article",
    )
    classes: tuple[str, ...] = Field((), description="names of the classes; by default those that occur in the data")

    @field_validator("templates")
    @classmethod
    def _templates_name_the_class(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for template in value:
            try:
                if template.format(name="\0", a="\0").count("\0") < 1:
                    raise KeyError
            except (KeyError, IndexError, ValueError):
                raise ValueError(
                    f"the template {template!r} needs `{{name}}` or `{{a}}` and nothing else in braces"
                ) from None
        return value


class LinearProbeTaskConfig(BaseTaskConfig):
    """Logistic regression on the image side's frozen, pooled features: top-1. For dual encoders and composed models."""

    needs: ClassVar[str] = "pools"
    implementation: ClassVar[str] = "triptych.evaluate.tasks.naming:LinearProbeTask"

    kind: Literal["linear_probe"] = "linear_probe"
    train_data: str = Field(description="the dataset that the regression is fitted on")
    penalty: float = Field(1e-3, gt=0, description="of the squared weights, per example, on standardised features")


EmbeddingTaskConfig = RetrievalTaskConfig | ZeroShotTaskConfig | LinearProbeTaskConfig
"""Tasks in which nobody answers: directions are compared."""


def task_configs() -> tuple[type[BaseTaskConfig], ...]:
    """The kinds of tasks that come with the package."""
    return (
        ScenesTaskConfig,
        CaptionsTaskConfig,
        EpisodesTaskConfig,
        GroundingTaskConfig,
        RetrievalTaskConfig,
        ZeroShotTaskConfig,
        LinearProbeTaskConfig,
    )


TaskConfig: TypeAlias = Annotated[BaseTaskConfig, Slot("task", configs=task_configs)]
"""Any task that a recipe can name, told apart by `kind`."""
