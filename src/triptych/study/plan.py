"""Which runs a study consists of, decided before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triptych.errors import RecipeError
from triptych.recipe import Recipe
from triptych.recipe.messages import unknown_name
from triptych.study.config import StudyConfig
from triptych.study.variants import base_values, variant_recipe


@dataclass(frozen=True)
class PlannedRun:
    """One run: a variant with a seed. Its steps are the recipe's until a budget sets them.

    Args:
        variant: The variant's name.
        seed: The recipe's seed.
        recipe: The resolved recipe.
        folder: The run folder.
    """

    variant: str
    seed: int
    recipe: Recipe
    folder: Path

    @property
    def name(self) -> str:
        """As its folder is called."""
        return self.folder.name

    def with_steps(self, steps: Sequence[int]) -> PlannedRun:
        """With so many steps in each stage."""
        return PlannedRun(self.variant, self.seed, with_steps(self.recipe, steps), self.folder)


@dataclass(frozen=True)
class StudyPlan:
    """A study with its runs, seed by seed, so that a study stopped early has something of every variant.

    Args:
        study: What was asked for.
        folder: Where it is written.
        runs: In order.
        notes: What a reader of the result must know.
    """

    study: StudyConfig
    folder: Path
    runs: tuple[PlannedRun, ...]
    notes: tuple[str, ...]

    def of(self, variant: str) -> list[PlannedRun]:
        """The runs of a variant."""
        return [run for run in self.runs if run.variant == variant]


def make_plan(study: StudyConfig, folder: Path | None = None) -> StudyPlan:
    """Resolve every run's recipe.

    Raises:
        RecipeError: A recipe has mistakes, a score names no task, variants are not evaluated alike, or a budget cannot
            be kept because a stage counts epochs.
    """
    folder = folder or Path("studies") / study.name
    base = base_values(study)
    runs = tuple(
        PlannedRun(variant, seed, variant_recipe(study, base, variant, seed), folder / "runs" / f"{variant}-{seed}")
        for seed in study.seeds
        for variant in study.variants
    )
    firsts = {run.variant: run.recipe for run in reversed(runs)}
    firsts = {variant: firsts[variant] for variant in study.variants}
    for score in study.score:
        task = score.partition(".")[0]
        for variant, recipe in firsts.items():
            if task not in recipe.evaluation:
                raise RecipeError(f"score: {score!r}: {unknown_name(task, recipe.evaluation)} (variant {variant!r})")
    for variant, recipe in firsts.items():
        if not recipe.stages:
            raise RecipeError(f"variant {variant!r}: the recipe has no stages, so there is nothing to train")
        if study.budget is not None and any(stage.steps is None for stage in recipe.stages):
            raise RecipeError(
                f"variant {variant!r}: a budget sets the steps of stages; give them `steps` (their proportions are "
                "kept) instead of `epochs`"
            )
    _evaluated_alike(study, firsts)
    return StudyPlan(study, folder, runs, tuple(_notes(study, firsts)))


def with_steps(recipe: Recipe, steps: Sequence[int]) -> Recipe:
    """The recipe with so many steps in each stage."""
    stages = [
        stage.model_copy(update={"steps": count, "epochs": None})
        for stage, count in zip(recipe.stages, steps, strict=True)
    ]
    return recipe.model_copy(update={"stages": stages})


def budget_steps(recipe: Recipe, seconds_per_step: Sequence[float], budget_seconds: float) -> list[int]:
    """Steps of each stage that take the budget together, in the proportions of the recipe's own steps.

    With the recipe's steps n_i and seconds per step t_i, stage i gets k · n_i steps, k = budget / Σ n_i · t_i.
    """
    planned = [stage.steps or 1 for stage in recipe.stages]
    factor = budget_seconds / sum(n * t for n, t in zip(planned, seconds_per_step, strict=True))
    return [max(1, round(factor * n)) for n in planned]


def _evaluated_alike(study: StudyConfig, recipes: Mapping[str, Recipe]) -> None:
    first, *others = recipes
    for task in dict.fromkeys(score.partition(".")[0] for score in study.score):
        asked = recipes[first].evaluation[task]
        for other in others:
            theirs = recipes[other].evaluation[task]
            if asked != theirs or recipes[first].data[asked.data] != recipes[other].data[theirs.data]:
                raise RecipeError(
                    f"variants {first!r} and {other!r} are evaluated differently (task {task!r} or its data), so they "
                    "could not be compared; change only how they are built and trained"
                )


def _notes(study: StudyConfig, recipes: Mapping[str, Recipe]) -> list[str]:
    notes = []
    first, *others = recipes
    different = [other for other in others if _reads(recipes[other]) != _reads(recipes[first])]
    if different:
        notes.append(
            f"the training data, their mixture or the batch size of {', '.join(different)} differ from those of "
            f"{first}, so these variants do not see the same data in the same order"
        )
    if len(study.seeds) == 1:
        notes.append("one seed: the intervals tell of pictures only, not of what another seed would have given")
    checking = [variant for variant, recipe in recipes.items() if any(stage.validate_every for stage in recipe.stages)]
    if study.budget is not None and checking:
        notes.append(f"the budget does not count the loss on validation data, which {', '.join(checking)} measure(s)")
    return notes


def _reads(recipe: Recipe) -> list[object]:
    """What training reads, in order: how many steps of it a budget allows may differ."""
    return [
        (stage.mixture, stage.batch_size, [recipe.data[name] for name in sorted(stage.mixture)])
        for stage in recipe.stages
    ]
