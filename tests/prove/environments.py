"""Environments in which the package is proved: made by pip in a folder outside the project, and kept for the next time."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from triptych.weights import cache_folder

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """What is installed.

    Args:
        name: Of its folder.
        extras: Of the package.
        pins: Constraints on the versions; the rest is the newest that the package's bounds allow.
    """

    name: str
    extras: str = ""
    pins: tuple[str, ...] = ()

    def python(self) -> Path:
        """The interpreter of the environment with the package alone, as a user installs it."""
        return self._made(self.name, f".{self.extras}", base=None)

    def test_python(self) -> Path:
        """The interpreter of the same environment with what the tests need on top of it."""
        base = self.python()
        return self._made(f"{self.name}-tests", ".[all,dev]", base=base)

    def _made(self, name: str, wanted: str, base: Path | None) -> Path:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        key = [sys.version, wanted, *self.pins, str(project["dependencies"]), str(project["optional-dependencies"])]
        digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:12]
        folder = _folder() / name
        python, stamp = folder / "bin" / "python", folder / "made.txt"
        if not stamp.is_file() or stamp.read_text() != digest:
            shutil.rmtree(folder, ignore_errors=True)
            run([sys.executable, "-m", "venv", folder])
            if base is not None:
                # Packages of the base are seen behind the environment's own, so that torch is there once.
                own, below = (_packages(each) for each in (python, base))
                (own / "base.pth").write_text(f"{below}\n")
            constraints = folder / "constraints.txt"
            constraints.write_text("".join(f"{pin}\n" for pin in self.pins))
            run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints, wanted])
            stamp.write_text(digest)
        # The dependencies are kept; the package is today's.
        install = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--force-reinstall",
        ]
        run([*install, "."])
        return python


def floors() -> tuple[str, ...]:
    """The oldest version that pyproject allows of each dependency, as pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (line for lines in project["optional-dependencies"].values() for line in lines)
    bounded = {}
    for line in (*extras, *project["dependencies"]):  # what the package itself needs comes last and counts
        if match := re.match(r"([\w.-]+)>=([\w.]+)", line):
            bounded[match[1]] = match[2]
    bounded.pop("torchvision"), bounded.pop("lmms-eval")  # of extras that take a pair of their own
    return tuple(f"{name}=={version}" for name, version in bounded.items())


def run(command: list[object], *, timeout: float = 3600, **variables: str) -> str:
    """Run a command in the project's folder and give what it printed; what it printed is the error when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def _folder() -> Path:
    return Path(os.environ.get("TRIPTYCH_ENVIRONMENTS") or cache_folder() / "environments")


def _packages(python: Path) -> Path:
    return Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())


NEWEST = Environment("newest")
OLDEST = Environment("oldest", pins=floors())
BESIDE_GPU = Environment("beside-gpu", pins=("torch==2.11.*", "transformers==5.17.*"))
"""What a GPU machine may hold that is not updated often."""
LMMS = Environment("lmms", extras="[lmms]")
"""lmms-eval, and the pair of torch and torchvision that processors of vision-language checkpoints need."""
