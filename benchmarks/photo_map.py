"""What `recipes/photo-map.yaml` found, as a page: the run's retrieval against chance and ridge regression.

python -m benchmarks.photo_map runs/photo-map      writes benchmarks/results/photo-map.md and .json
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def markdown(results: dict[str, Any], run: dict[str, Any]) -> str:
    """The page of a run's `results.json` and `run.json`."""
    task = results["tasks"]["retrieval"]
    ridge, stage = task["baselines"]["ridge"], run["stages"][0]
    trained = sum(part["trained"] for part in stage["parts"])
    hardware = results["hardware"]
    lines = [
        "# A map from photographs to texts",
        "",
        "    triptych train recipes/photo-map.yaml base=FOLDER && triptych evaluate runs/photo-map",
        "    python -m benchmarks.photo_map runs/photo-map",
        "",
        f"{hardware.get('cpu')}, {hardware.get('cores')} cores · {results['date']} · commit {(results['commit'] or '?')[:10]}",
        "",
        "[The recipe](../../recipes/photo-map.yaml) holds EfficientNet-Lite2 and SmolLM2-135M frozen and trains a linear map on each side "
        f"({trained:,} parameters) by CLIP's loss: 700 photographs of Flickr8k with five captions each, {stage['steps']} steps of 128 "
        f"pairs in {stage['seconds']:.0f} s, and {stage['feature_seconds']:.0f} s to encode the pictures before. Asked are 100 held-out "
        f"photographs, all together, and their {task['questions'] - task['samples']:,} captions.",
        "",
        "| | model | ridge regression | difference, paired | other pictures' texts | chance |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, score in task["metrics"].items():
        way, _, k = name.rpartition("_r")
        cells = [_interval(score), _interval(ridge["metrics"][name]), _interval(ridge["difference"][name], signed=True)]
        cells += [f"{task['control'][name]['value']:.3f}", f"{task['chance'][name]:.3f}"]
        lines.append(f"| {way.replace('_', ' ')}, R@{k} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "In brackets: 95 % intervals, bootstrap over photographs. The regression has the same frozen features of both sides, "
        "standardised; its penalty was chosen on a fifth of the training photographs. The layer of the texts, head and dropout were "
        "chosen on 100 of the training photographs; the held-out ones were not looked at before.",
    ]
    return "\n".join(lines) + "\n"


def _interval(score: dict[str, float], signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{score['value']:{sign}.3f} [{score['low']:{sign}.3f}, {score['high']:{sign}.3f}]"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    results = json.loads((run / "results.json").read_text())
    page = markdown(results, json.loads((run / "run.json").read_text()))
    (RESULTS / "photo-map.md").write_text(page)
    shutil.copyfile(run / "results.json", RESULTS / "photo-map.json")
    print(page)


if __name__ == "__main__":
    main()
