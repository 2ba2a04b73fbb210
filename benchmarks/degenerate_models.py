"""Models that know nothing, through every benchmark in miniature: none is to be rewarded beyond chance.

    python -m benchmarks.degenerate_models

Writes benchmarks/results/degenerate_models.md: the headline score of each, chance (the best constant answer), and in the
last column what a model that knows the truth scores.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "evaluate" / "benchmarks"))

from people import Oracle, StrictJudge  # noqa: E402
from tiny_data import write_everything  # noqa: E402

from triptych.evaluate.benchmarks import catalogue  # noqa: E402
from triptych.evaluate.benchmarks.readers import read  # noqa: E402
from triptych.evaluate.benchmarks.run import Options, run_benchmark  # noqa: E402
from triptych.evaluate.benchmarks.task import BenchmarkTask  # noqa: E402
from triptych.evaluate.responders.degenerate import KINDS, Degenerate  # noqa: E402


def main() -> None:
    """Run all, print and write the table."""
    head = ["task", "score", "chance", *KINDS, "the truth"]
    lines = [
        "# Models that know nothing",
        "",
        "| " + " | ".join(head) + " |",
        "| --- | --- " + "| ---: " * (len(head) - 2) + "|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_everything(folder / "data")
        for task in catalogue.everything():
            if task.metric in ("retrieval", "images"):  # compare directions; nobody answers
                continue
            judge = StrictJudge(task.judge.read, task.judge.scale) if task.judge else None
            options = Options(data=data, progress=False, judge=judge)
            oracle = Oracle(BenchmarkTask(task, read(task, data)))
            cells, chance = [], ""
            for kind, who in [*((kind, Degenerate(kind)) for kind in KINDS), ("truth", oracle)]:
                done = run_benchmark(task, who, folder / kind, kind, options)
                score = done.metrics.get(task.headline)
                cells.append("–" if score is None else f"{score.value:.3f}")
                chance = f"{done.chance[task.headline]:.3f}" if done.chance else "–"
            lines.append(f"| {task.name} | {task.headline} | {chance} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    (ROOT / "benchmarks" / "results" / "degenerate_models.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
