"""Turning validation errors into sentences: the field's path, what is allowed, and the nearest match."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from triptych.errors import quoted
from triptych.registry import CUSTOM_TAG, Slot
from triptych.yaml_file import Document

MOST_LINES = 20
"""Mistakes of a file that are listed; the others are counted."""

LONGEST = 2000
"""Characters of a message about one mistake."""


def unknown_name(name: str, allowed: Iterable[str]) -> str:
    """`'adaptor' is not known; did you mean 'adapters'? (known: adapters, language)`."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5) if len(name) < 200 else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{quoted(name)} is not known{hint} (known: {', '.join(allowed) or 'none'})"


def explain(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One line per mistake: `path: what is wrong`."""
    lines = []
    for detail in error.errors():
        models, path = _walk(root, detail["loc"])
        where = f"{'.'.join(path)}: " if path else ""
        lines.append(_cut(where + _sentence(detail, models, path)))
    return lines


def located(mistake: str, documents: Sequence[Document], overrides: Sequence[str] = ()) -> str:
    """A mistake with the file and the line that it stands on, or the override that it came by.

    Args:
        mistake: `path: what is wrong`, with or without backquotes around the path.
        documents: The files, those that say most first.
        overrides: `path=value`, the last one counts.
    """
    found = re.match(r"`?([^\s`:]+)`?:? ", mistake)
    keys = found[1].split(".") if found else []
    for override in reversed(overrides):
        changed = override.partition("=")[0].split(".")
        if changed in (keys[: len(changed)], [*keys, "kind"]):
            return f"{mistake} (by the override {quoted(override)})"
    best = max(documents, key=lambda document: document.line(keys)[0], default=None)
    depth, line = best.line(keys) if best is not None else (0, 1)
    return f"{best.path}:{line}: {mistake}" if best is not None and depth else mistake


def all_mistakes(name: str, lines: Sequence[str]) -> str:
    """The message about a file's mistakes: how many, and the first `MOST_LINES`, one a line."""
    more = [f"… and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return "\n  ".join([f"{name} has {len(lines)} mistake(s):", *lines[:MOST_LINES], *more])


def _cut(sentence: str) -> str:
    """A sentence that quotes something long, cut."""
    return sentence if len(sentence) <= LONGEST else f"{sentence[:LONGEST]}…"


def unknown_fields(error: ValidationError, root: type[BaseModel]) -> list[list[str]]:
    """The paths of fields that no model at their place has."""
    return [_walk(root, detail["loc"])[1] for detail in error.errors() if detail["type"] == "extra_forbidden"]


def _sentence(detail: Any, models: list[type[BaseModel]], path: list[str]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        fields = {name for model in models for name in model.model_fields}
        return f"unknown field; {unknown_name(path[-1], fields)}"
    if kind == "missing":
        return "this field is required"
    if kind == "literal_error":
        allowed = [part.strip().strip("'") for part in context["expected"].replace(" or ", ", ").split(",")]
        return unknown_name(str(detail["input"]), allowed)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        allowed = [part.strip().strip("'") for part in str(context.get("expected_tags", "")).split(",") if part.strip()]
        if kind == "union_tag_not_found":
            return f"say which kind this is: `kind:` one of {', '.join(allowed)}" if allowed else "`kind` is missing"
        return f"kind {unknown_name(str(context['tag']), allowed)}"
    if kind == "value_error":
        return str(context["error"])
    return f"{detail['msg'][0].lower()}{detail['msg'][1:]} (got {quoted(detail['input'])})"


def _walk(root: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[type[BaseModel]], list[str]]:
    """The models that the last step of a location may be a field of, and the location without the tags of unions."""
    candidates: list[Any] = [root]
    owners: list[type[BaseModel]] = [root]
    path: list[str] = []
    for step in location:
        models = [model for annotation in candidates for model in _models(annotation)]
        fields = [_annotation(model.model_fields[step]) for model in models if step in model.model_fields]
        items = [item for annotation in candidates for item in _items(annotation)]
        items += [item for model in models for item in _open_fields(model)]
        tagged = [model for model in models if _tag(model) == step]
        if fields:
            candidates, owners = fields, models
        elif step == CUSTOM_TAG:
            candidates = owners = [model for annotation in candidates for model in _own(annotation)]
            continue
        elif tagged and step != "kind":
            candidates = owners = tagged
            continue
        elif items:
            candidates, owners = items, []
        else:
            owners, candidates = models, []
        path.append(str(step))
    return owners, path


def _annotation(field: FieldInfo) -> Any:
    """The annotation of a field with its slot, which pydantic keeps beside it."""
    slots = [entry for entry in field.metadata if isinstance(entry, Slot)]
    return Annotated[field.annotation, slots[0]] if slots else field.annotation


def _own(annotation: Any) -> list[type[BaseModel]]:
    """The configurations of a slot that are not built in."""
    metadata = typing.get_args(annotation)[1:] if typing.get_origin(annotation) is Annotated else ()
    return [model for entry in metadata if isinstance(entry, Slot) for model in entry.own]


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return field.default if field is not None and isinstance(field.default, str) else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models in an annotation, looking through unions and `Annotated` but not into containers."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = typing.get_args(annotation)
        slots = [entry for entry in metadata if isinstance(entry, Slot)]
        return [*slots[0].members(inner)] if slots else _models(inner)
    if origin in (typing.Union, types.UnionType):
        return [model for argument in typing.get_args(annotation) for model in _models(argument)]
    return []


def _open_fields(model: type[BaseModel]) -> list[Any]:
    """The annotation of the fields whose names a model leaves open."""
    if model.model_config.get("extra") != "allow":
        return []
    return _items(typing.get_type_hints(model, include_extras=True).get("__pydantic_extra__"))


def _items(annotation: Any) -> list[Any]:
    """The annotations of the values of lists and dictionaries."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _items(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [item for argument in typing.get_args(annotation) for item in _items(argument)]
    if origin in (list, dict, tuple):
        return [typing.get_args(annotation)[-1]]
    return []
