"""Everything that the toolkit asks of a kind of model, in one place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from triptych.api import Model, fingerprint_of, placed
from triptych.conversation import Conversation
from triptych.data.loader import StepReader
from triptych.data.mixture import Mixture
from triptych.data.sources import Source
from triptych.model.build import trained
from triptych.model.trainable import Trainable
from triptych.planner.cost import CostPlan
from triptych.planner.devices import DeviceSpec
from triptych.planner.measure import in_bfloat16
from triptych.planner.step import plan_steps
from triptych.preview.record import show_record
from triptych.recipe import Recipe
from triptych.report.section import Section
from triptych.sequence.batch import StepBatch
from triptych.training.config import StageConfig

M = TypeVar("M", bound=Trainable)


class Family(ABC, Generic[M]):
    """A kind of model. It has no state: everything about a model is in its recipe."""

    loaded: type[Model]
    """What a trained model is loaded as: its capabilities."""

    @abstractmethod
    def build(self, recipe: Recipe) -> M:
        """The model, pretrained parts loaded, new parts drawn from the recipe's seed.

        Raises:
            WeightsError: Weights cannot be found or read.
            RecipeError: Parts do not go together.
        """

    @abstractmethod
    def shape(self, recipe: Recipe, bfloat16_encoder: bool = False, tokenizer: Any | None = None) -> M:
        """The model on the meta device: no weights are read.

        Args:
            recipe: What to build.
            bfloat16_encoder: Whether an encoder of `precision: auto` computes in bfloat16.
            tokenizer: Where it is at hand.

        Raises:
            RecipeError: An architecture, or the size of a vocabulary, is not known here.
        """

    @abstractmethod
    def reader(
        self,
        model: M,
        recipe: Recipe,
        sources: Mapping[str, Source],
        mixture: Mixture,
        batch_size: int,
        stage: StageConfig,
    ) -> StepReader:
        """What makes the batches of a stage: records become samples, samples a batch.

        Args:
            model: Whose batches.
            recipe: Of the model and the data.
            sources: Datasets by name.
            mixture: Which record comes when.
            batch_size: Records per step.
            stage: How it writes conversations, and its objective.
        """

    def batch(self, model: M, recipe: Recipe, stage: StageConfig, records: int) -> StepBatch:
        """A batch of so many usual records on the meta device, on which `plan` runs the stage's objective.

        Args:
            model: On the meta device.
            recipe: Of the model.
            stage: Whose batch.
            records: How many.
        """
        raise NotImplementedError(
            f"{type(self).__name__} makes no batch without data, so it has to write `plan` itself"
        )

    def plan(self, recipe: Recipe, device: DeviceSpec, count: int) -> CostPlan:
        """What a recipe costs on `count` devices: a whole step of each stage runs on the meta device. No weights are read.

        Raises:
            RecipeError: An architecture is not known, or the size of a dataset.
        """
        model: Any = self.shape(recipe, in_bfloat16(device))
        return plan_steps(recipe, device, count, model, lambda stage, n: self.batch(model, recipe, stage, n))

    def inspect(
        self,
        recipe: Recipe,  # noqa: ARG002 - for subclasses
        conversation: Conversation,
        name: str,
        save: Path | None,
    ) -> None:
        """Print what the model makes of a record, without loading weights.

        Args:
            recipe: Of the model.
            conversation: The record.
            name: Its dataset.
            save: Where a picture of it goes.
        """
        show_record(conversation, name, save)

    def sections(self, folder: Path, recipe: Recipe) -> list[Section]:  # noqa: ARG002 - for subclasses
        """Sections of the report of a run that only this kind of model has.

        Args:
            folder: The run's.
            recipe: The run's.
        """
        return []

    def load(self, folder: Path, recipe: Recipe) -> Model:
        """The trained model of a run.

        Raises:
            WeightsError: Its weights cannot be read, are not all there, or belong to another model.
        """
        model: Any = trained(self.build(recipe), folder, recipe)
        return self.loaded(placed(model.eval()), recipe, fingerprint_of(folder, recipe))
