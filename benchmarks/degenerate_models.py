"""Models that know nothing, through every benchmark in miniature: none is to be rewarded beyond chance.

    python -m benchmarks.degenerate_models

Writes benchmarks/results/degenerate_models.md: the headline score of each, chance (the best constant answer by the benchmark's
own rule), whether the 95 % interval of any of them lies above chance, and in the last column what a model that knows the truth
scores. Ends with an error if one does.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "evaluate" / "benchmarks"))

from people import Directions, Oracle, StrictJudge  # noqa: E402
from tiny_data import write_everything  # noqa: E402

from triptych.evaluate.benchmarks import catalogue  # noqa: E402
from triptych.evaluate.benchmarks.config import TaskFile  # noqa: E402
from triptych.evaluate.benchmarks.readers import read  # noqa: E402
from triptych.evaluate.benchmarks.run import Options, run_benchmark  # noqa: E402
from triptych.evaluate.benchmarks.task import BenchmarkTask  # noqa: E402
from triptych.evaluate.responders.degenerate import KINDS, Degenerate  # noqa: E402
from triptych.evaluate.results import TaskResult  # noqa: E402

BLIND = ("same", "random", "hub")
LOWEST = {"pair": 0.1}
"""What a judge's lowest mark is worth, where it is not nothing."""


def main() -> None:
    """Run all, print and write the tables."""
    answered, compared, above = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_everything(folder / "data")
        for task in catalogue.everything():
            if task.metric == "images":  # scores pictures; degenerate ones are in the tests of drawing
                continue
            done = _retrieval(task, data, folder) if task.metric == "retrieval" else _answers(task, data, folder)
            line, beaten = _row(task, done)
            (compared if task.metric == "retrieval" else answered).append(line)
            above += [f"{task.name}: {kind}" for kind in beaten]
            print(line, flush=True)
    lines = [
        "# Models that know nothing",
        "",
        "    python -m benchmarks.degenerate_models",
        "",
        f"All {len(answered) + len(compared)} tasks on data in their official formats, a dozen pictures and some two dozen questions each. Chance is the best of the",
        "constant answers by the task's own rule, in choice questions also a blind guess; of judged tasks, the lowest mark that the judge",
        "gives. *Above*: models whose 95 % interval lies above chance.",
        "",
        *_head("task", "score", "chance", *KINDS, "above", "the truth"),
        *answered,
        "",
        "Retrieval compares directions: one for everything; a random one each; random, with every second text amid all pictures.",
        "",
        *_head("task", "score", "chance", *BLIND, "above", "the truth"),
        *compared,
    ]
    (ROOT / "benchmarks" / "results" / "degenerate_models.md").write_text("\n".join(lines) + "\n")
    if above:
        sys.exit(f"rewarded beyond chance: {', '.join(above)}")


def _answers(task: TaskFile, data: Path, folder: Path) -> dict[str, TaskResult]:
    judge = StrictJudge(task.judge.read, task.judge.scale) if task.judge else None
    options = Options(data=data, progress=False, judge=judge)
    oracle = Oracle(BenchmarkTask(task, read(task, data)))
    who = {**{kind: Degenerate(kind) for kind in KINDS}, "truth": oracle}
    return {kind: run_benchmark(task, one, folder / kind, kind, options) for kind, one in who.items()}


def _retrieval(task: TaskFile, data: Path, folder: Path) -> dict[str, TaskResult]:
    items = read(task, data)
    options = Options(data=data, progress=False)
    return {
        kind: run_benchmark(task, Directions(kind, items), folder / kind, kind, options) for kind in (*BLIND, "truth")
    }


def _row(task: TaskFile, done: Mapping[str, TaskResult]) -> tuple[str, list[str]]:
    found = {kind: result.metrics.get(task.headline) for kind, result in done.items()}
    chance = done["truth"].chance.get(task.headline)
    if chance is None:
        chance = LOWEST.get(task.judge.read, 0.0) if task.judge else 0.0
    beaten = [kind for kind, score in found.items() if kind != "truth" and score and score.low > chance + 1e-9]
    cells = ["–" if score is None else f"{score.value:.3f}" for score in found.values()]
    cells.insert(len(cells) - 1, ", ".join(beaten) or "none")
    return f"| {task.name} | {task.headline} | {chance:.3f} | {' | '.join(cells)} |", beaten


def _head(*names: str) -> list[str]:
    return ["| " + " | ".join(names) + " |", "| --- | --- " + "| ---: " * (len(names) - 2) + "|"]


if __name__ == "__main__":
    main()
