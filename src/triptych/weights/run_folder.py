"""What a run's folder says of its model, for those that take parts of it without building the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triptych.errors import RecipeError, WeightsError, one_line, resume_command
from triptych.yaml_file import read_yaml_file


def is_run(path: Path) -> bool:
    """Whether a path is the output folder of training."""
    return (path / "recipe.yaml").is_file()


def recipe_values(run: Path, where: str) -> dict[str, Any]:
    """The values of a run's recipe, unchecked.

    Raises:
        WeightsError: It is damaged.
    """
    path = run / "recipe.yaml"
    try:
        values = read_yaml_file(path).values
    except (OSError, RecipeError) as error:
        raise WeightsError(f"{where}: {path} cannot be read ({one_line(error)})") from error
    if not (isinstance(values, dict) and isinstance(values.get("model"), dict)):
        raise WeightsError(f"{where}: {path} is no recipe of a model")
    return values


def weights_file(run: Path, where: str = "") -> Path:
    """The file of what a run trained.

    Raises:
        WeightsError: There is none yet.
    """
    file = run / "weights" / "model.safetensors"
    if not file.is_file():
        begin = f"{where}: " if where else f"{run}: "
        raise WeightsError(f"{begin}training has not finished; continue it with `{resume_command(run)}`")
    return file
