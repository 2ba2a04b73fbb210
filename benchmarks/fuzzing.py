"""Tens of thousands of damaged files of every kind: each is read, or refused in a line, in seconds, within bounds.

    python -m benchmarks.fuzzing [--count 20000] [--only NAME …] [--start N] [--workers 2]

Writes benchmarks/results/fuzzing.md. An input is made by the name of its seed and its number alone, so a failure is seen again
with `--only NAME --start N --count 1`. A traceback, more than 2 GB, more than 10 s, or a file written elsewhere ends it with an
error.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.results import FOLDER, origin, table
from triptych.environment import describe
from triptych.files import write_atomically

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "fuzz")]

from fuzz_guard import VERDICTS, Outcome, Seed, Tally, cases, fuzz  # noqa: E402
from fuzz_seeds import everything  # noqa: E402


def main() -> None:
    """Run all, print failures as they come, write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzzing")
    parser.add_argument("--count", type=int, default=20_000, help="inputs over all kinds (20,000)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="seeds or kinds; all by default")
    parser.add_argument("--start", type=int, default=0, help="the number of the first input (0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    chosen = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        seeds = everything(Path(place) / "seeds")
        if chosen.only:
            seeds = [seed for seed in seeds if seed.name in chosen.only or seed.kind in chosen.only]
        if not seeds:
            parser.error(f"there is nothing called {', '.join(chosen.only)}")
        prepared = time.perf_counter() - began
        outside = _listing(Path(place), "work")
        tally = fuzz(
            seeds, cases(seeds, chosen.count, chosen.start), Path(place) / "work", workers=chosen.workers, report=_tell
        )
        moved = _listing(Path(place), "work") ^ outside
    seconds = time.perf_counter() - began - prepared
    print(f"{len(tally.outcomes):,} inputs in {seconds:.0f} s, {prepared:.0f} s to prepare", flush=True)
    for seed in seeds:
        print(f"{seed.name:40}", dict(tally.counts([seed.name])), f"{_mean(tally, seed):.0f} ms")
    if not chosen.only:
        write_atomically(FOLDER / "fuzzing.md", page(seeds, tally, seconds))
    if tally.failures or moved:
        sys.exit(f"{len(tally.failures)} failures; files that came or went outside: {sorted(moved) or 'none'}")


def page(seeds: list[Seed], tally: Tally, seconds: float) -> str:
    """The page of results."""
    rows = []
    for kind in dict.fromkeys(seed.kind for seed in seeds):
        names = [seed.name for seed in seeds if seed.kind == kind]
        own = [outcome for outcome in tally.outcomes if outcome.seed in names]
        counts = Counter(outcome.verdict for outcome in own)
        slowest, largest = max(o.seconds for o in own), max(o.peak for o in own)
        rows.append(
            [
                kind,
                f"{len(own):,}",
                *(f"{counts[verdict]:,}" for verdict in VERDICTS),
                f"{slowest:.1f} s",
                f"{largest / 1e9:.2f} GB",
            ]
        )
    head = ["kind", "inputs", *VERDICTS, "slowest", "most memory"]
    total, failures = len(tally.outcomes), len(tally.failures)
    kinds = "; ".join(
        f"{kind}: {', '.join(seed.name for seed in seeds if seed.kind == kind)}"
        for kind in dict.fromkeys(s.kind for s in seeds)
    )
    return f"""# Damaged files

{total:,} inputs in {seconds:.0f} s: {failures:,} failures.

{table(head, rows)}

An input is a good file with bits turned, pieces cut or moved, or values, keys and types of its JSON, YAML, table or header changed
once to three times (`tests/fuzz/fuzz_mutate.py`). What reads it is what the commands call (`tests/fuzz/fuzz_seeds.py`). *Read*: nothing was
wrong, or only records were, which are refused one by one. *Refused*: one clear error. Everything else is a failure: any other exception;
more than 10 s; more than 2 GB resident; a file opened for writing outside the input's folder and the output, a program
started, an address called; a process that dies.

What was damaged: {kinds}.

{origin({"command": " ".join(["python -m benchmarks.fuzzing", *sys.argv[1:]]), **describe("cpu")})}
"""


def _tell(outcome: Outcome) -> None:
    if outcome.verdict not in ("read", "refused"):
        print(
            f"--- {outcome.verdict}: {outcome.seed} {outcome.number} {outcome.file} {outcome.seconds:.1f} s\n{outcome.message}",
            flush=True,
        )


def _mean(tally: Tally, seed: Seed) -> float:
    times = [outcome.seconds for outcome in tally.outcomes if outcome.seed == seed.name]
    return 1e3 * sum(times) / max(len(times), 1)


def _listing(folder: Path, but: str) -> set[str]:
    return {
        f"{path} {path.lstat().st_mtime_ns}"
        for path in folder.rglob("*")
        if path.relative_to(folder).parts[0] != but and path.is_file()
    }


if __name__ == "__main__":
    main()
