"""`python -m benchmarks [names] [--runs N] [--quick]`."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from benchmarks.results import FOLDER, Settings

SPEED = ("startup", "training", "generation", "profile")
NAMES = (
    *SPEED,
    *("minis", "zero_init", "masked_start", "blip2", "calls", "grounding", "ground_cost"),
    *("language_matrix", "vision_matrix", "behaviour", "commits"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side-by-side measurements.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; those of speed by default")
    parser.add_argument("--runs", type=int, default=5, help="rounds of alternating runs (5)")
    parser.add_argument("--quick", action="store_true", help="one round on little data, to see that everything works")
    parser.add_argument(
        "--variants",
        nargs="+",
        default=[],
        help="of generation: distinct, shared, seen; of minis: systems; of those of grounding: runs; all by default; of commits: the commit before",
    )
    parser.add_argument(
        "--baselines", nargs="+", default=[], choices=("mixed", "pure"), help="of training: precision of the other side"
    )
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in NAMES]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if chosen.runs < 1:
        parser.error("--runs: at least 1")
    runs = 1 if chosen.quick else chosen.runs
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    settings = Settings(
        runs,
        chosen.quick,
        FOLDER / "quick" if chosen.quick else FOLDER,
        command,
        tuple(chosen.variants),
        tuple(chosen.baselines),
    )
    for name in chosen.names or SPEED:
        began = time.perf_counter()
        settings.say(f"== {name}")
        importlib.import_module(f"benchmarks.{name}").run(settings)
        settings.say(f"== {name}: {time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main()
