"""Where a run of a study stands: `study.json` in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from triptych.errors import RecipeError
from triptych.files import write_atomically

STATE = "study.json"


@dataclass(frozen=True)
class State:
    """Where a run stands, as `study.json` in its folder says.

    Args:
        state: `running` also means that it was interrupted.
        fingerprint: Of the recipe that it was started with.
        seconds: Wall clock of the attempt that finished it: training, evaluation and loading.
        error: Why it failed.
    """

    variant: str
    seed: int
    state: Literal["running", "done", "failed"]
    fingerprint: str
    seconds: float = 0.0
    error: str = ""


def read_state(folder: Path) -> State | None:
    """Where a run stands; None where it was never begun."""
    try:
        return State(**json.loads((folder / STATE).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RecipeError(f"{folder / STATE}: malformed ({error}); move {folder} away to make the run anew") from None


def write_state(folder: Path, state: State) -> State:
    """Note where a run stands."""
    write_atomically(folder / STATE, json.dumps(vars(state), indent=2, ensure_ascii=False) + "\n")
    return state
