"""What a study file says: a recipe, the variants of it to compare, the seeds, the budget, the score that decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from triptych.config import Config
from triptych.errors import RecipeError, quoted
from triptych.paths import resolved, user_path
from triptych.recipe.included import named, nearest
from triptych.recipe.messages import all_mistakes, explain, located
from triptych.yaml_file import read_yaml_file


class BudgetConfig(Config):
    """The same training time for every run. Steps are set so that they take it; the recipe's steps give the stages'
    proportions."""

    minutes: float = Field(gt=0, description="of training a run, over all stages; encoding pictures is not counted")
    calibration_steps: int = Field(16, ge=2, description="steps of each stage that are timed, once per variant")
    warm_up: int = Field(4, ge=1, description="the first of these, which are left out")

    @model_validator(mode="after")
    def _something_is_timed(self) -> BudgetConfig:
        if self.warm_up >= self.calibration_steps:
            raise ValueError("`warm_up` must be less than `calibration_steps`, else nothing is timed")
        return self


class VariantConfig(Config):
    """One thing to try: changes to the recipe."""

    changes: dict[str, Any] = Field({}, description="nested mappings or dotted paths → values")
    notes: str = Field("", description="one line about it, for the report")


class StudyConfig(Config):
    """A whole study. See `recipes/studies/` for examples."""

    name: str = Field(
        max_length=200, pattern=r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$", description="names the study's folder"
    )
    title: str = Field("", description="the question that the study answers, for the plot and the report")
    recipe: str | None = Field(
        None, description="a recipe file, relative to this one, or the name of one that comes with Triptych"
    )
    base: dict[str, Any] | None = Field(None, description="instead of `recipe`: a recipe written here")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="of the model's new parts and the data's order")
    budget: BudgetConfig | None = Field(None, description="none: the recipe's steps")
    score: tuple[str, ...] = Field(min_length=1, description="`TASK.METRIC`, such as scenes.naming; the first decides")
    variants: dict[str, VariantConfig] = Field(min_length=1, description="by name: `notes`, and changes to the recipe")
    folder: str = Field(".", description="that relative paths start from: the study file's own")

    @field_validator("score", mode="before")
    @classmethod
    def _one_score_needs_no_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("variants", mode="before")
    @classmethod
    def _notes_beside_changes(cls, value: Any) -> Any:
        """In the file a variant is its changes, with `notes` among them."""
        if not isinstance(value, dict):
            return value
        found = {}
        for name, changes in value.items():
            if changes is not None and not isinstance(changes, dict):
                raise ValueError(f"the variant {name!r} is a mapping of changes to the recipe, got {quoted(changes)}")
            changes = dict(changes or {})
            found[str(name)] = {"notes": changes.pop("notes", ""), "changes": changes}
        return found

    @model_validator(mode="after")
    def _makes_sense(self) -> StudyConfig:
        if (self.recipe is None) == (self.base is None):
            raise ValueError("give either `recipe` (a file) or `base` (a recipe written here)")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"a seed comes twice in {list(self.seeds)}")
        for score in self.score:
            if not all(score.partition(".")):
                raise ValueError(f"`score`: expected TASK.METRIC, such as scenes.naming, got {quoted(score)}")
        for name in self.variants:
            if not name.replace("_", "").replace("-", "").replace(".", "").isalnum() or not name.isascii():
                raise ValueError(f"the name of the variant {quoted(name)} becomes a folder: use letters, digits, . _ -")
        return self

    def with_seeds(self, count: int) -> StudyConfig:
        """With the first so many seeds; numbers are added where there are too few."""
        numbers = list(self.seeds)
        while len(numbers) < count:
            numbers.append(max(numbers) + 1)
        return self.model_copy(update={"seeds": tuple(numbers[:count])})


def load_study(path: str | Path) -> StudyConfig:
    """Read a study file, or the study of that name that comes with Triptych.

    Args:
        path: The file. It comes before a name; the relative paths of a study by name start at `recipes/studies` in the
            current folder.

    Raises:
        RecipeError: It cannot be read or has mistakes.
    """
    path = user_path(path)
    known = named(path, "study")
    folder = path.parent if known is None else known.folder
    try:
        document = read_yaml_file(path if known is None else known.path)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}){nearest(str(path), 'study')}") from None
    values = document.values
    if not isinstance(values, dict):
        got = "nothing" if values is None else type(values).__name__
        raise RecipeError(f"{path}:1: a study is a mapping of fields, got {got}")
    try:
        return StudyConfig.model_validate({"name": path.stem, "folder": str(resolved(folder)), **values})
    except ValidationError as error:
        lines = [located(line, [document]) for line in explain(error, StudyConfig)]
        raise RecipeError(all_mistakes(str(path), lines)) from None
