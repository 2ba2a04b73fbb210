"""The three ways of pointing in miniature, against what they must reach, beside the mean box and other pictures; and photographs.

python -m benchmarks grounding                                       trains and evaluates what is not finished in runs/
python -m benchmarks grounding --variants lisa-mini coco-grounding   these alone
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.grounding_picture import draw
from benchmarks.harness import ROOT
from benchmarks.minis import triptych
from benchmarks.results import Settings, table, write
from triptych.api import load
from triptych.families.composed.grounding import build_grounder
from triptych.report.numbers import score_name

PHOTOS = "coco-grounding"
DETECTORS = {"detector": None, "clip-detector": "clip-mini"}
"""Those trained here, and the run that each one starts from. Expressions become calls by rule for them."""


@dataclass(frozen=True)
class Mini:
    """A preset, the way it points, what it must reach on held-out scenes of three to five things, and the recipe that it calls."""

    name: str
    way: str
    bars: dict[str, float]
    detector: str = ""


MINIS = (
    Mini("kosmos-2-mini", "region as text", {"acc_50": 0.80, "none_f1": 0.80}),
    Mini("lisa-mini", "embedding as region", {"acc_50": 0.85, "ciou": 0.70, "none_f1": 0.80}),
    Mini("llava-plus-mini", "text to grounding", {"acc_50": 0.80, "valid": 0.95, "none_f1": 0.80}, "detector"),
)

SCORES = {name: score_name(name) for name in ("acc_50", "mean_iou", "pointing", "ciou", "giou")} | {
    "none_f1": "none such, F1",
    "valid": "valid answers",
}
KINDS = ("name", "place", "relation", "order", "all", "none")


def run(settings: Settings) -> None:
    """Read the runs (train and evaluate those that are not there), compare; writes `grounding.json` and `grounding.md`."""
    folder = ROOT / "runs" / ("quick" if settings.quick else "")
    small = ["stages.0.steps=2"] if settings.quick else []
    known = (*(mini.name for mini in MINIS), *DETECTORS, PHOTOS)
    wanted = settings.variants or known
    if unknown := set(wanted) - set(known):
        raise ValueError(f"--variants: there is no {', '.join(sorted(unknown))} among the runs of grounding")
    minis: dict[str, Any] = {}
    for mini in MINIS:
        if mini.name not in wanted:
            continue
        settings.say(mini.name)
        if mini.detector:
            finished(folder / mini.detector, f"recipes/{mini.detector}.yaml", small, evaluate=False)
        found = figures(finished(folder / mini.name, mini.name, small))
        trained = _trained(folder / mini.detector) if mini.detector else None
        minis[mini.name] = {"way": mini.way, "bars": mini.bars, "detector": trained, **found}
    detectors = {name: _detector(folder, name, small, settings) for name in DETECTORS if name in wanted}
    photos = figures(finished(folder / PHOTOS, f"recipes/{PHOTOS}.yaml", small)) if PHOTOS in wanted else None
    write("grounding", {"minis": minis, "detectors": detectors, "photographs": photos}, page, settings)
    if len(minis) == len(MINIS):
        rows = {f"{mini['way']}\n({name})": build_grounder(load(folder / name)) for name, mini in minis.items()}
        draw(rows, settings.folder / "grounding.png")


def _detector(folder: Path, name: str, small: Sequence[str], settings: Settings) -> dict[str, Any]:
    """What a detector finds by itself; the run that it starts from is trained first."""
    settings.say(name)
    changes = list(small)
    if (first := DETECTORS[name]) is not None:
        weights = f"run:{finished(folder / first, first, small, evaluate=False)}"
        if settings.quick:  # a recipe finds it in runs/ otherwise
            changes += [f"model.{side}.weights={weights}" for side in ("vision", "text")]
    return figures(finished(folder / name, f"recipes/{name}.yaml", changes))


def finished(folder: Path, recipe: str, changes: Sequence[str] = (), evaluate: bool = True) -> Path:
    """The folder of a run that is trained and evaluated, now if not before."""
    if not (folder / "weights").exists():
        resume = ["--resume"] if (folder / "recipe.yaml").exists() else []
        triptych("train", recipe, *changes, "--output", str(folder), *resume)
    if evaluate and not (folder / "results.json").exists():
        triptych("evaluate", str(folder))
    return folder


def figures(folder: Path) -> dict[str, Any]:
    """What a run's results say of its grounding task: each score, with other pictures, and the mean box."""
    (task,) = (
        t for t in json.loads((folder / "results.json").read_text())["tasks"].values() if t["kind"] == "grounding"
    )
    baseline = task["baselines"]["mean_box"]
    return {
        "trained": _trained(folder),
        "pictures": task["samples"],
        "expressions": task["questions"],
        "seconds_per_expression": task["seconds"] / task["questions"],
        "metrics": task["metrics"],
        "control": task["control"],
        "mean_box": baseline["metrics"],
        "above_mean_box": baseline["difference"],
        "always_none": task["chance"],
    }


def _trained(folder: Path) -> dict[str, Any]:
    about = json.loads((folder / "run.json").read_text())
    stages = [{key: stage[key] for key in ("name", "steps", "seconds", "feature_seconds")} for stage in about["stages"]]
    return {"commit": about["commit"], "hardware": about["hardware"], "date": about["finished"], "stages": stages}


def page(values: dict[str, Any]) -> str:
    """The result as a Markdown page."""
    minis, photos = values["minis"], values["photographs"]
    bars = [_bar_row(name, mini, score, bar) for name, mini in minis.items() for score, bar in mini["bars"].items()]
    kinds = [
        [name, *(_score(mini["metrics"].get(f"{kind}_accuracy")) for kind in KINDS)] for name, mini in minis.items()
    ]
    shown = "\n\n![the same expressions, answered in each way](grounding.png)" if len(minis) == len(MINIS) else ""
    return f"""# Grounding

## The three ways in miniature

Each preset trained and evaluated as it stands (`triptych train NAME`, `triptych evaluate runs/NAME`), on scenes of three to five things that
were never seen; 95 % intervals over pictures. *Other picture*: the same expressions, asked of another scene. *Mean box*: the mean of the
training boxes, given to every expression.

{table(["mini", "way", "score", "must reach", "reached", "other picture", "mean box", ""], bars)}

{table(["", *SCORES.values()], _all_rows(minis))}

Right answers by kind of expression (several things: all of them and nothing else):

{table(["", *KINDS], kinds)}

Training, pictures encoded included: {", ".join(f"{name} {_minutes(mini)}" for name, mini in minis.items())}.{shown}{_detectors(values["detectors"])}{_photographs(photos)}"""


def _detectors(detectors: dict[str, Any]) -> str:
    if not detectors:
        return ""
    spent = ", ".join(f"{name} {_minutes(found)}" for name, found in detectors.items())
    return f"""

## Detectors by themselves

`recipes/detector.yaml` stands on an EfficientNet and on word embeddings, `recipes/clip-detector.yaml` on both towers of `clip-mini`.
Expressions become calls by rule here, so that this is what a model that calls them can reach at best. Training: {spent}.

{table(["", *SCORES.values()], _all_rows(detectors))}"""


def _photographs(photos: dict[str, Any] | None) -> str:
    if photos is None:
        return ""
    return f"""

## Photographs

`recipes/{PHOTOS}.yaml`: trained on scenes and on the boxes of 80 photographs of COCO, asked for {photos["expressions"]} expressions in
{photos["pictures"]} others ({_minutes(photos)}). Some hundred boxes teach no detector: this says how far from the mean box a model of this
size comes with so few.

{table(["", *SCORES.values()], _all_rows({PHOTOS: photos}))}

Above the mean box: {_score(photos["above_mean_box"].get("acc_50"))} Acc@0.5, {_score(photos["above_mean_box"].get("mean_iou"))} mean IoU."""


def _bar_row(name: str, mini: dict[str, Any], score: str, bar: float) -> list[str]:
    reached = mini["metrics"][score]
    control, mean = (_value(mini[key].get(score)) for key in ("control", "mean_box"))
    mark = "✓" if reached["value"] >= bar else "✗"
    return [name, mini["way"], SCORES[score], f"{bar:.2f}", f"**{_score(reached)}**", control, mean, mark]


def _all_rows(runs: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, found in runs.items():
        for what, scores in ((name, "metrics"), (f"{name}, other picture", "control"), ("mean box", "mean_box")):
            rows.append([what, *(_score(found[scores].get(score)) for score in SCORES)])
    return rows


def _score(interval: dict[str, Any] | None) -> str:
    if interval is None:
        return ""
    return f"{interval['value']:.3f} ({interval['low']:.3f}–{interval['high']:.3f})"


def _value(interval: dict[str, Any] | None) -> str:
    return "" if interval is None else f"{interval['value']:.3f}"


def _minutes(found: dict[str, Any]) -> str:
    """Of training, and of the detector's where there is one."""
    text = _spent(found["trained"])
    return f"{text} and {_spent(found['detector'])} for its detector" if found.get("detector") else text


def _spent(trained: dict[str, Any]) -> str:
    return f"{sum(stage['seconds'] + stage['feature_seconds'] for stage in trained['stages']) / 60:.1f} min"
