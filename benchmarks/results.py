"""Result files: JSON with every figure and where it came from, and a page to read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.pages import RESULTS, origin
from parity.pages import table as table
from triptych.environment import describe

FOLDER = RESULTS


@dataclass(frozen=True)
class Settings:
    """What the command line said.

    Args:
        runs: Rounds of alternating runs.
        quick: Only see whether everything works: one round, little data; results go to `results/quick/`.
        folder: Where results go.
        command: The command, for the page.
        variants: Which of `generation`'s variants; all of them when empty.
        baselines: Which precisions of the other side `training` measures; `mixed`, the same as ours, when empty.
    """

    runs: int
    quick: bool
    folder: Path
    command: str
    variants: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()

    def say(self, text: str) -> None:
        """One line of progress."""
        print(text, flush=True)


def write(name: str, values: dict[str, Any], page: Callable[[dict[str, Any]], str], settings: Settings) -> None:
    """Write `NAME.json` and `NAME.md`, each whole or not at all."""
    values = {"benchmark": name, "command": settings.command, "runs": settings.runs, **describe("cpu"), **values}
    settings.folder.mkdir(parents=True, exist_ok=True)
    text = page(values).rstrip() + "\n\n" + origin(values) + "\n"
    for path, content in (
        (settings.folder / f"{name}.json", json.dumps(values, indent=1) + "\n"),
        (settings.folder / f"{name}.md", text),
    ):
        work = path.with_name(f".{path.name}.{os.getpid()}")
        work.write_text(content, encoding="utf-8")
        work.replace(path)
    settings.say(text)


def short(figure: dict[str, Any], digits: int = 2) -> str:
    """Median and, in brackets, the extremes."""
    return f"{figure['median']:.{digits}f} ({figure['low']:.{digits}f}–{figure['high']:.{digits}f})"


def gibibytes(figure: dict[str, Any]) -> str:
    """Bytes as GiB: median and extremes."""
    return short({key: figure[key] / 2**30 for key in ("median", "low", "high")})
