"""Where a result came from: versions, hardware, date, commit. Every run and every result carries this stamp."""

from __future__ import annotations

import importlib
import os
import platform
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "tokenizers", "peft", "safetensors", "numpy", "pillow", "pydantic")
"""Packages whose version can change a number."""


def describe(device: str | None = None) -> dict[str, Any]:
    """The stamp: `triptych`, `python`, `versions`, `hardware`, `commit`, `date` (ISO 8601, UTC, seconds).

    Args:
        device: The device the work ran on, in words or as torch names it; by default the accelerator that torch sees,
            when torch has been imported, else `cpu`.
    """
    return {
        "triptych": package_version("triptych") or "unknown",
        "python": platform.python_version(),
        "versions": versions(),
        "hardware": hardware(device),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that can change a number, and of Python; absent packages are left out."""
    found = {name: package_version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **{name: version for name, version in found.items() if version}}


def package_version(name: str) -> str | None:
    """The installed version of a distribution, without importing it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def hardware(device: str | None = None) -> dict[str, Any]:
    """`cpu` (model name), `cores` (usable by this process), `memory_gib` (usable), `device`."""
    return {"cpu": _cpu(), "cores": _cores(), "memory_gib": _memory_gib(), "device": _device(device)}


@dataclass(frozen=True)
class Problem:
    """What is wrong with a package, and what to do about it.

    Args:
        detail: What is wrong, to be read after the package's name.
        advice: What to do.
    """

    detail: str
    advice: str


def torchvision_problem() -> Problem | None:
    """Why transformers cannot use torchvision here, with the way to a pair that works; `None` when it can.

    A build of torchvision works beside one build of torch alone: that of the same release, for the same device.
    """
    torch, torchvision = package_version("torch"), package_version("torchvision")
    release = re.match(r"2\.(\d+)", torch or "")
    beside = f"torchvision 0.{int(release[1]) + 15}" if release else "the torchvision of the same release"
    # torch 2.N and torchvision 0.(N + 15) are released together.
    advice = (
        f"`pip install 'triptych[vlm]'` brings a pair that works; torch {torch} as installed goes with {beside}, "
        "built for the same device (CPU, or the same CUDA) and from the same place"
    )
    if torchvision is None:
        return Problem("is not installed", advice)
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # whatever its extension raises
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return Problem(f"{torchvision} cannot be imported beside torch {torch} ({first})", advice)
    return None


@cache
def commit() -> str | None:
    """The commit of the checkout that Triptych runs from, `+changes` appended if tracked files differ from it.

    `None` when Triptych is installed as a package, or git is not at hand.
    """
    root = Path(__file__).resolve().parents[2]
    if not ((root / ".git").exists() and (root / "src" / "triptych").is_dir()):
        return None
    revision = _git(root, "rev-parse", "HEAD")
    if not revision:
        return None
    return revision + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("model name", "Hardware", "Model")):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        with suppress(OSError, subprocess.SubprocessError):
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _memory_gib() -> float | None:
    sizes = []
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(limit).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text.isdigit():
            sizes.append(int(text))
    with suppress(AttributeError, ValueError, OSError):  # not every system can say
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return round(min(sizes) / 2**30, 1) if sizes else None


def _device(device: str | None) -> str:
    torch = sys.modules.get("torch")
    if torch is None or device == "cpu":
        return device or "cpu"
    if (device is None or device.startswith("cuda")) and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(device or torch.cuda.current_device()))
    if device is None and torch.backends.mps.is_available():
        return "mps"
    return device or "cpu"
