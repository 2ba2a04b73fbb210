"""The registry: from what a recipe says about a component to the class behind it.

    kind: mlp                     a built-in word: a Config of the slot's union, which names its implementation
    kind: fancy                   a word of an installed package: an entry point in the group `triptych.adapter`
    kind: my_package.module:Mine  a class by its path

Reading a recipe imports configurations only. The classes of a package or a path are imported when they are built, except
where the recipe cannot be checked without them (`Slot(…, configs=…)`).
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

from triptych.config import Config
from triptych.errors import RecipeError

T = TypeVar("T")

CUSTOM_TAG = "my_package.module:MyClass"
"""How error messages call the kinds that are not built in."""


class CustomConfig(BaseModel):
    """A component that is not built in; the fields beside `kind` are passed to it as keyword arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but `kind`."""
        return dict(self.model_extra or {})


class Slot:
    """A place of a recipe that takes a component, as the metadata of an annotation: `Annotated[A | B | CustomConfig, Slot("x")]`.

    Args:
        name: Installed packages add words to it by entry points in the group `triptych.NAME`.
        default: Returns the word that is meant where `kind` is left out.
        configs: Returns the built-in configurations, where the annotation is not their union but their base class. A class
            that is not built in must then be a configuration, too: it is imported when the recipe is read, and its
            fields are checked as those of a built-in one.
    """

    def __init__(
        self,
        name: str,
        default: Callable[[], str | None] = lambda: None,
        configs: Callable[[], Sequence[type[BaseModel]]] | None = None,
    ) -> None:
        self.name, self.default, self.configs = name, default, configs
        self.words: frozenset[str] = frozenset()
        self.own: list[type[BaseModel]] = []
        """Configurations that are not built in and were read: messages name their fields."""

    def members(self, annotation: Any) -> Sequence[type[BaseModel]]:
        """The built-in configurations, and `CustomConfig` where it is one of the annotation's."""
        if self.configs is not None:
            return self.configs()
        return [member for member in typing.get_args(annotation) or (annotation,) if isinstance(member, type)]

    def kind_tag(self, value: Any) -> str | None:
        """Which member a value is meant for: its built-in kind, or `CUSTOM_TAG` where its kind is found elsewhere."""
        kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
        kind = self.default() if kind is None else kind
        if not isinstance(kind, str):
            return None
        if kind in self.words:
            return kind
        return CUSTOM_TAG if ":" in kind or entry_point(self.name, kind) is not None else kind

    def __get_pydantic_core_schema__(self, annotation: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A union of the members, told apart by `kind`."""
        choices: dict[str, CoreSchema] = {}
        for member in self.members(annotation):
            schema = handler.generate_schema(member)
            choices |= dict.fromkeys([CUSTOM_TAG] if member is CustomConfig else words_of(member), schema)
        self.words = frozenset(choices) - {CUSTOM_TAG}
        if self.configs is not None:
            choices[CUSTOM_TAG] = self._configuration(annotation)
        elif CUSTOM_TAG in choices:
            choices[CUSTOM_TAG] = core_schema.no_info_after_validator_function(self._in_slot, choices[CUSTOM_TAG])
        return core_schema.tagged_union_schema(choices, discriminator=self.kind_tag)

    def _in_slot(self, config: CustomConfig) -> CustomConfig:
        """Check the form of a path: nothing is imported."""
        if ":" in config.kind:
            split_path(config.kind)
        return config

    def _configuration(self, base: Any) -> CoreSchema:
        """The schema of a configuration that is not built in: that of the class that `kind` names."""

        def read(value: Any) -> Any:
            if isinstance(value, base):
                return value
            config: Any = find(self.name, str(value["kind"]), base)
            if config not in self.own:
                self.own.append(config)
            return config.model_validate(value)  # its mistakes become those of the recipe, at their place

        def dump(value: Any, info: SerializationInfo) -> Any:
            return value.model_dump(mode=info.mode)

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(dump, info_arg=True)
        )


def kind_alone(value: Any) -> Any:
    """A kind without options, `kind: x` for `x`: a validator that stands before a slot."""
    return {"kind": value} if isinstance(value, str) else value


def words_of(config: type[BaseModel]) -> tuple[str, ...]:
    """The values of `kind` that a configuration is for."""
    return tuple(typing.get_args(config.model_fields["kind"].annotation))


def entry_point(slot: str, word: str) -> str | None:
    """The path of the class that an installed package registers for a word, or None."""
    return next((point.value for point in entry_points(group=f"triptych.{slot}", name=word)), None)


def split_path(path: str) -> tuple[str, str]:
    """Module and class of `package.module:Class`.

    Raises:
        ValueError: It has another form.
    """
    module, _, name = path.partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{path!r} is no path of a class; expected package.module:Class")
    return module, name


def locate(path: str, kind: str | None = None) -> Any:
    """Import what a path names.

    Args:
        path: `package.module:Class`.
        kind: What the recipe says, for messages; the path itself by default.

    Raises:
        RecipeError: There is no such module or class, or the module cannot be imported.
    """
    said = f"kind {kind or path!r}"
    module_name, name = split_path(path)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _broken(said, module_name, error) from error
        raise RecipeError(
            f"{said}: there is no module {error.name!r}; install its package, or put its folder on PYTHONPATH"
        ) from error
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise _broken(said, module_name, error) from error
    located = getattr(module, name, None)
    if located is None:
        near = difflib.get_close_matches(name, dir(module), n=1)
        raise RecipeError(
            f"{said}: module {module_name} has no {name}" + (f"; did you mean {near[0]}?" if near else "")
        )
    return located


def find(slot: str, kind: str, base: type[T]) -> type[T]:
    """The class of a kind that is not built in.

    Args:
        slot: The name of the slot.
        kind: A path, or a word that an installed package registers.
        base: What the class must inherit from.

    Raises:
        RecipeError: There is no such class, or it is no `base`.
    """
    path = kind if ":" in kind else entry_point(slot, kind)
    if path is None:
        raise RecipeError(f"kind {kind!r}: no installed package registers it in `triptych.{slot}`")
    located = locate(path, kind)
    if not (isinstance(located, type) and issubclass(located, base)):
        raise RecipeError(f"kind {kind!r}: must be a subclass of {base.__module__}.{base.__name__}")
    return located


def build_custom(slot: str, config: CustomConfig, base: type[T], /, **given: Any) -> T:
    """Make an object of a class that is not built in.

    Args:
        slot: The name of the slot.
        config: The kind and the options.
        base: What the class must inherit from.
        given: Keyword arguments that come from the model rather than from the recipe.

    Raises:
        RecipeError: There is no such class, it is no `base`, or it does not take these options.
    """
    located = find(slot, config.kind, base)
    try:
        inspect.signature(located).bind(**given, **config.options)
    except TypeError as error:
        raise RecipeError(
            f"kind {config.kind!r}: {error}; it takes {inspect.signature(located)} and is given "
            f"{', '.join([*given, *config.options]) or 'nothing'}"
        ) from error
    return located(**given, **config.options)


def implementation(config: Config) -> Any:
    """What builds a component with this configuration: `Config.implementation`, imported."""
    if not config.implementation:
        raise RecipeError(f"{type(config).__name__} does not say what implements it (`implementation`)")
    return locate(config.implementation)


def code_names(values: Any) -> Iterator[str]:
    """Every `kind: package.module:Class` within the plain values of a recipe, and every such metric: the code that it runs."""
    if isinstance(values, dict):
        kind = values.get("kind")
        if isinstance(kind, str) and ":" in kind:
            yield kind
        yield from (word for word in values.get("metrics") or () if isinstance(word, str) and ":" in word)
        for value in values.values():
            yield from code_names(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from code_names(value)


def _broken(said: str, module: str, error: BaseException) -> RecipeError:
    return RecipeError(
        f"{said}: the module {module} cannot be imported ({type(error).__name__}: {error}); "
        f"`python -c 'import {module}'` shows where"
    )
