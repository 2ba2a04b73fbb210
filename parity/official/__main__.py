"""Our readings of the official scoring scripts against the scripts themselves, on 1,200 predictions each.

    python -m parity.official --official FOLDER [--write]

FOLDER holds what is compared with: the unpacked wheels `lmms_eval` (lmms-eval 0.7.3), `lavis` (salesforce-lavis 1.0.2) and
`ms_vlmeval` (VLMEvalKit as ms-vlmeval 0.0.20); `pope/evaluate.py` of AoiDragon/POPE; `chair/chair.py` of LisaAnne/Hallucination
brought to Python 3, with `chair/synonyms.txt`; of AMBER's `inference.py` and MMHal-Bench's `eval_gpt4.py` the scoring, as functions
`discriminative` and `analyze` in `amber/` and `mmhal/`; `pytorch_fid/fid_score.py`; what `recent` names. pycocoevalcap, and for FID SciPy, are imported.
What is absent is left out. `--write` keeps the official numbers in parity/official/official.json, which the tests
compare with where none of these is installed, and the tables in benchmarks/results/metric_parity.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from parity.official.ours import OURS
from parity.official.page import PAGE, page
from parity.official.predictions import digest
from parity.official.recent import RECENT
from parity.official.scripts import REFERENCES, packages

KEPT = Path(__file__).parent / "official.json"


def main() -> None:
    """Compare, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.official.resolve()
    packages(folder)
    kept: dict[str, Any] = {}
    rows = []
    for name, (reference, make) in {**REFERENCES, **RECENT}.items():
        cases, score = OURS[name]
        listed = cases()
        try:
            official = make(folder)
        except (FileNotFoundError, ImportError) as error:
            print(f"{name}: left out ({error})")
            continue
        values = official(listed)
        mine = score(listed)
        gap, differ, at = compare(values, mine)
        spread = len({json.dumps(value) for value in values})
        if differ:
            print("   first:", repr(listed[at])[:300], values[at], mine[at])
        made = sum(2 * int(t[0]) + 7 for _, t in listed) if name == "fid" else len(listed)
        print(f"{name}: {made} predictions, {differ} differ, largest difference {gap:.2g}; {spread} different values")
        rows.append((name, reference, made, differ, gap))
        kept[name] = {"reference": reference, "cases_sha256": digest(listed), "values": values}
    if arguments.write:
        KEPT.write_text(json.dumps(kept, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n")
        PAGE.write_text(page(rows))


def compare(official: list[Any], mine: list[Any]) -> tuple[float, int, int]:
    """The largest difference, how many differ, and the first that does."""
    gap, differ, at = 0.0, 0, 0
    for i, (a, b) in enumerate(zip(official, mine, strict=True)):
        numbers = isinstance(a, int | float) and isinstance(b, int | float)
        apart = abs(a - b) if numbers else float(a != b)
        gap = max(gap, apart)
        if apart > 1e-6:
            at = at if differ else i
            differ += 1
    return gap, differ, at


if __name__ == "__main__":
    main()
