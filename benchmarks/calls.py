"""Text-to-grounding in miniature: a detector trained here, a model that calls it, both measured on held-out scenes.

python -m benchmarks calls                                       trains both first
python -m benchmarks calls --variants RUN_OF_DETECTOR RUN_OF_MODEL
"""

from __future__ import annotations

import json
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

import triptych
from benchmarks.detection_scores import score_detector
from benchmarks.minis import triptych as run_triptych
from benchmarks.results import Settings, table, write
from triptych.conversation import Image
from triptych.evaluate.config import GroundingTaskConfig
from triptych.evaluate.results import Interval, TaskResult
from triptych.evaluate.run import evaluate
from triptych.grounding.call_grounder import CallGrounder
from triptych.grounding.config import CallRegionsConfig
from triptych.grounding.detector_grounder import DetectorGrounder
from triptych.grounding.detectors.build import build_detector
from triptych.grounding.detectors.config import TrainedConfig
from triptych.grounding.draw import draw_regions
from triptych.grounding.grounding import Grounder, Grounding
from triptych.scenes.config import ScenesConfig
from triptych.scenes.dataset import Scenes
from triptych.scenes.referring import Referring, ReferringConfig

KINDS = {"name": 3.0, "place": 2.0, "relation": 2.0, "order": 1.0, "all": 1.0, "none": 1.0}
SCORES = ("acc_50", "mean_iou", "several_exact", "none_f1", "valid", "repaired", "invalid")
SHOWN = 4
"""Pictures that are drawn for the documentation."""


def run(settings: Settings) -> None:
    """Train (or take) the runs, measure, draw."""
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-") as temporary:
        if settings.variants:
            detector_run, model_run = (Path(name) for name in settings.variants)
        else:
            detector_run, model_run = Path(temporary, "detector"), Path(temporary, "llava-plus-mini")
            run_triptych("train", "recipes/detector.yaml", "--output", str(detector_run))
            run_triptych("train", "llava-plus-mini", "--output", str(model_run))
        values = measure(detector_run, model_run, Path(temporary), 20 if settings.quick else 150, settings)
    write("calls", values, page, settings)


def measure(detector_run: Path, model_run: Path, work: Path, pictures: int, settings: Settings) -> dict[str, Any]:
    """Every figure of both runs."""
    config = TrainedConfig(weights=f"run:{detector_run.resolve()}")
    scenes = Scenes(ScenesConfig(split="test", count=pictures, things=16, objects=(3, 5), style="caption"))
    low = build_detector(config.model_copy(update={"threshold": 0.01}))
    names = [thing.name for thing in scenes.cast.things]
    scores = score_detector(low, scenes, names)
    settings.say(f"detector: AP50 {scores.ap50:.3f}, AP {scores.ap:.3f}")
    data = Referring(ReferringConfig(split="test", count=pictures, things=16, objects=(3, 5), turns=3, kinds=KINDS))
    model = triptych.load(model_run)
    regions = model.recipe.model.regions
    assert isinstance(regions, CallRegionsConfig)
    detector = build_detector(config)
    caller = CallGrounder(model, detector, regions)
    grounders: dict[str, Grounder] = {"detector by rule": DetectorGrounder(detector), "model that calls": caller}
    task = GroundingTaskConfig(data="test", captions=False)
    found = {
        name: evaluate(grounder, data, task, work / name.replace(" ", "-"), name="calls", progress=False)
        for name, grounder in grounders.items()
    }
    draw(data, caller, settings.folder / "calls.png")
    return {
        "pictures": pictures,
        "detector": {"ap": scores.ap, "ap50": scores.ap50, "by_name": scores.by_name, "boxes": scores.boxes},
        "training": {run.name: _stages(run) for run in (detector_run, model_run)},
        "grounding": {name: _figures(result) for name, result in found.items()},
    }


def _stages(run: Path) -> list[dict[str, Any]]:
    facts = json.loads((run / "run.json").read_text())
    return [
        {"name": stage["name"], "steps": stage["steps"], "seconds": stage["seconds"] + stage["feature_seconds"]}
        for stage in facts["stages"]
    ]


def _figures(result: TaskResult) -> dict[str, Any]:
    return {
        "expressions": result.questions,
        "seconds_per_expression": result.seconds / result.questions,
        "metrics": {name: _values(interval) for name, interval in result.metrics.items()},
        "control": {name: _values(interval) for name, interval in result.control.items()},
        "mean_box": {name: _values(i) for base in result.baselines.values() for name, i in base.metrics.items()},
    }


def _values(interval: Interval) -> list[float]:
    return [round(value, 4) for value in (interval.value, interval.low, interval.high)]


def page(values: dict[str, Any]) -> str:
    """The result as a Markdown page."""
    rows = []
    for name, found in values["grounding"].items():
        columns = {name: found["metrics"], f"{name}, other picture": found["control"]}
        if name == "model that calls":
            columns["mean box"] = found["mean_box"]
        for title, metrics in columns.items():
            shown = [metrics.get(score) for score in SCORES]
            rows.append([title, *(f"{v[0]:.3f} ({v[1]:.3f}–{v[2]:.3f})" if v else "" for v in shown)])
    kinds = [name for name in values["grounding"]["model that calls"]["metrics"] if name.endswith("_accuracy")]
    by_kind = [
        [name, *(f"{found['metrics'][kind][0]:.3f}" for kind in kinds)] for name, found in values["grounding"].items()
    ]
    minutes = ", ".join(
        f"{name} {sum(stage['seconds'] for stage in stages) / 60:.1f} min"
        for name, stages in values["training"].items()
    )
    detector = values["detector"]
    return f"""# Text-to-grounding in miniature

{values["pictures"]} held-out scenes of three to five things out of 16. Training, encoding pictures included: {minutes}.
The detector finds {detector["boxes"]} boxes by name with AP50 {detector["ap50"]:.3f}, AP {detector["ap"]:.3f}.

{table(["", *SCORES], rows)}

Accuracy by kind of expression:

{table(["", *(kind.removesuffix("_accuracy") for kind in kinds)], by_kind)}

![what the model asked for, and what was found](calls.png)"""


def draw(data: Referring, grounder: CallGrounder, path: Path) -> None:
    """Some held-out pictures with what the model asked for and the boxes that are meant."""
    asked: list[tuple[Image, str]] = []
    kinds: set[str] = set()
    for conversation in data:
        for expression in conversation.annotations["grounding"]:
            if expression.kind not in kinds and expression.kind in ("relation", "order", "all", "none"):
                kinds.add(expression.kind)
                asked.append((next(iter(conversation.media)), expression.text))
                break
        if len(asked) == SHOWN:
            break
    panels = [
        _panel(image, text, found) for (image, text), found in zip(asked, grounder.ground_many(asked), strict=True)
    ]
    canvas = Pillow.new("RGB", (sum(panel.width for panel in panels), max(panel.height for panel in panels)), "white")
    left = 0
    for panel in panels:
        canvas.paste(panel, (left, 0))
        left += panel.width
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def _panel(image: Image, expression: str, found: Grounding, side: int = 320, lines: int = 8) -> Pillow.Image:
    picture = image.open()
    scale = side / max(picture.size)
    large = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    labels = [f"{region.name} {score:.2f}" for region, score in zip(found.regions, found.scores, strict=True)]
    panel = Pillow.new("RGB", (side + 16, side + 24 + 15 * lines), "white")
    panel.paste(draw_regions(large, found.regions, labels=labels), (8, 8))
    said = [f"Find {expression}.", *found.text.splitlines()]
    wrapped = [line for text in said for line in textwrap.wrap(text, 46) or [""]]
    pen, font = ImageDraw.Draw(panel), ImageFont.load_default(13)
    pen.multiline_text((8, side + 16), "\n".join(wrapped[:lines]), fill="black", font=font, spacing=2)
    return panel
