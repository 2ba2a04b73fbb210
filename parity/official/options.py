"""The option parser on answers that models wrote, beside what the benchmarks' own scripts took them for.

    python -m parity.official.options --answers FOLDER

FOLDER holds `mmmu-pro/output/*.jsonl` of MMMU-Benchmark/MMMU (GPT-4o, explained and direct; read by the authors' script, which draws an option
where it reads none) and `eval/saved_outputs` of zeyofu/BLINK_Benchmark (18 models; read by GPT-3.5, Z where it finds no option). Writes
benchmarks/results/option_parser.md.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from parity.pages import RESULTS
from triptych.evaluate.parsers.options import read_option
from triptych.evaluate.parsers.unread import Unread

Answer = tuple[str, dict[str, str], str]
"""What was said, the options, and the letter that the script took it for."""


def main() -> None:
    """Read all answers, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, required=True)
    folder = parser.parse_args().answers
    rows = [_row(name, answers) for name, answers in (*_mmmu_pro(folder), *_blink(folder))]
    lines = [
        "# The option parser on answers of models",
        "",
        "    python -m parity.official.options --answers FOLDER",
        "",
        "Answers that the authors of MMMU-Pro and BLINK published. *Alike*: the letter that their script took, too. *Otherwise*: another letter.",
        "*Unread*: no option by our parser; of these, *none*: neither by the script (BLINK's GPT-3.5 says Z; MMMU-Pro's draws an option, and does not say",
        "where). Of BLINK only the letters are known, not the texts of the options, so answers in words are unread here.",
        "",
        "| answers | all | alike | otherwise | unread | none | two things | taken back |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
    ]
    print("\n".join(rows))
    (RESULTS / "option_parser.md").write_text("\n".join(lines) + "\n")


def _row(name: str, answers: Iterator[Answer]) -> str:
    count: Counter[str] = Counter()
    for answer, choices, taken in answers:
        read = read_option(answer, choices)
        count["all"] += 1
        if isinstance(read, Unread):
            count["unread"] += 1
            count["none"] += taken not in choices
            count["two"] += "two" in read.reason
            count["back"] += "back" in read.reason
        else:
            count["alike" if read == taken else "otherwise"] += 1
    cells = [f"{count[key]:,}" for key in ("all", "alike", "otherwise", "unread", "none", "two", "back")]
    return f"| {name} | {' | '.join(cells)} |"


def _mmmu_pro(folder: Path) -> Iterator[tuple[str, Iterator[Answer]]]:
    def answers(path: Path) -> Iterator[Answer]:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if isinstance(row["response"], str):
                options = ast.literal_eval(str(row["options"]))
                yield (
                    row["response"],
                    dict(zip("ABCDEFGHIJKLMNOP", map(str, options), strict=False)),
                    str(row["pred_indexs"]),
                )

    for path in sorted((folder / "mmmu-pro" / "output").glob("*.jsonl")):
        yield f"MMMU-Pro, {path.stem.replace('_', ', ')}", answers(path)


def _blink(folder: Path) -> Iterator[tuple[str, Iterator[Answer]]]:
    choices = {letter: f"\0{letter}" for letter in "ABCD"}

    def answers(model: Path) -> Iterator[Answer]:
        for path in sorted(model.glob("*.json")):
            for rows in json.loads(path.read_text("utf-8")).values():
                for row in rows:
                    if isinstance(row.get("full_prediction"), str):
                        yield row["full_prediction"], choices, str(row["prediction"]).strip("()")

    for model in sorted(path for path in (folder / "eval" / "saved_outputs").iterdir() if path.is_dir()):
        yield f"BLINK, {model.name}", answers(model)


if __name__ == "__main__":
    main()
