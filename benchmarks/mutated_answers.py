"""A hundred thousand mutated answers over all formats of regions: verdicts, and that no parser breaks or hangs.

    python -m benchmarks.mutated_answers [--count 100000]

Writes benchmarks/results/mutated_answers.md. A parser that raises, or answers with nonsense, ends it with an error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.results import FOLDER, origin, table
from triptych.environment import describe
from triptych.files import write_atomically

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from mutated_answers import FORMATS, survive

VERDICTS = ("valid", "repaired", "invalid", "none")


def main() -> None:
    """Run all, print and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutated_answers")
    parser.add_argument("--count", type=int, default=100_000, help="answers over all formats (100,000)")
    count = parser.parse_args().count
    where = describe("cpu")
    rows = []
    for name in FORMATS:
        found = survive(name, count // len(FORMATS))
        total = found.verdicts.total()
        shares = [f"{100 * found.verdicts[verdict] / total:.1f} %" for verdict in VERDICTS]
        rows.append(
            [name, f"{total:,}", "0", *shares, f"{1e6 * found.seconds / total:.0f} µs", f"{1e3 * found.slowest:.1f} ms"]
        )
        print(*rows[-1], flush=True)
    head = ["format", "answers", "crashes", *VERDICTS, "mean", "slowest"]
    command = f"python -m benchmarks.mutated_answers{'' if count == 100_000 else f' --count {count}'}"
    text = f"""# Mutated answers

Answers of each format with stretches left out, turned and moved, and with things put in that parsers stumble over (`tests/mutated_answers.py`):
none may crash a parser, regions must lie inside the picture, and there are regions just where the verdict says so. `call` is the structured
call of text-to-grounding; its regions are calls, which name nobody but the detector. The same answers are a test
(`pytest -m slow tests/grounding/formats`).

{table(head, rows)}

{origin({**where, "command": command})}
"""
    write_atomically(FOLDER / "mutated_answers.md", text)


if __name__ == "__main__":
    main()
