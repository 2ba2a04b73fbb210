"""How long `triptych --help` and `import triptych` take, in fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.harness import ROOT, summary
from benchmarks.results import Settings, short, table, write

TARGET_SECONDS = 0.5
HEAVY = ("torch", "transformers", "numpy")
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import triptych": ["-c", "import triptych"],
    "triptych --help": ["-m", "triptych", "--help"],
}


def run(settings: Settings) -> None:
    """Measure and write `startup.json` and `startup.md`."""
    rounds = 3 if settings.quick else max(7, settings.runs)
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            took = _time(arguments)
            if number:  # the first round fills the file cache and writes bytecode
                seconds[name].append(took)
    figures = {name: summary(values) for name, values in seconds.items()}
    write("startup", {"target_seconds": TARGET_SECONDS, "seconds": figures, "heavy_modules": _heavy()}, _page, settings)


def _time(arguments: list[str]) -> float:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def _heavy() -> list[str]:
    """Which heavy modules the command line imports to list its commands; none, it is hoped."""
    code = f"import sys, json; from triptych.cli.discovery import Commands; dict(Commands()); print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True)
    return list(json.loads(done.stdout))


def _page(values: dict[str, Any]) -> str:
    rows = [[f"`{name}`", short(figure)] for name, figure in values["seconds"].items()]
    heavy = ", ".join(values["heavy_modules"]) or "none"
    return (
        f"# Start-up\n\nWanted: less than {values['target_seconds']} s. Medians (and extremes) of fresh processes with warm "
        f"file caches.\n\n{table(['command', 'seconds'], rows)}\n\n"
        f"Of {', '.join(HEAVY)}, the command line imports: {heavy}."
    )
