"""Components of your own: `kind: my_package.module:MyAdapter` in a recipe, everything beside it an option."""

from __future__ import annotations

import difflib
import importlib
import inspect
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from triptych.errors import RecipeError

T = TypeVar("T")

CUSTOM_TAG = "my_package.module:MyClass"
"""How a union of kinds calls the custom ones, in error messages too."""


class CustomConfig(BaseModel):
    """A class named by dotted path; the other fields are passed to it as keyword arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", description="package.module:Class")

    @property
    def options(self) -> dict[str, Any]:
        """Everything but `kind`."""
        return dict(self.model_extra or {})


def kind_tag(value: Any) -> str | None:
    """The tag of a kind in a discriminated union: the kind itself, or `CUSTOM_TAG` for a dotted path."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return CUSTOM_TAG if isinstance(kind, str) and ":" in kind else kind


def build_custom(config: CustomConfig, base: type[T], /, **given: Any) -> T:
    """Import the class that a recipe names and make one of it.

    Args:
        config: The path and the options.
        base: What the class must inherit from.
        given: Keyword arguments that come from the model rather than from the recipe.

    Raises:
        RecipeError: There is no such module or class, it is no `base`, or it does not take these options.
    """
    module_name, _, class_name = config.kind.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _broken(config, error) from error
        raise RecipeError(
            f"kind {config.kind!r}: there is no module {error.name!r}; "
            "install its package, or put its folder on PYTHONPATH"
        ) from error
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise _broken(config, error) from error
    found = getattr(module, class_name, None)
    if found is None:
        near = difflib.get_close_matches(class_name, dir(module), n=1)
        raise RecipeError(
            f"kind {config.kind!r}: module {module_name} has no {class_name}"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    if not (isinstance(found, type) and issubclass(found, base)):
        raise RecipeError(f"kind {config.kind!r}: must be a subclass of {base.__module__}.{base.__name__}")
    try:
        inspect.signature(found).bind(**given, **config.options)
    except TypeError as error:
        raise RecipeError(
            f"kind {config.kind!r}: {error}; it takes {inspect.signature(found)} and is given "
            f"{', '.join([*given, *config.options]) or 'nothing'}"
        ) from error
    return found(**given, **config.options)


def _broken(config: CustomConfig, error: BaseException) -> RecipeError:
    module = config.kind.partition(":")[0]
    return RecipeError(
        f"kind {config.kind!r}: the module {module} cannot be imported ({type(error).__name__}: {error}); "
        f"`python -c 'import {module}'` shows where"
    )
