"""BLIP-2's mini in both stages: its losses, retrieval before and after ranking anew, what it writes, and what a language model
then answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.minis import triptych
from benchmarks.results import Settings, table, write

LOSSES = {"itc": "contrast (ITC)", "itm": "matching (ITM)", "itg": "captions (ITG)"}
ROOT = Path(__file__).parents[1]
SHOWN = 4
"""Held-out pictures whose captions are shown."""


def run(settings: Settings) -> None:
    """Train and evaluate both stages in `runs/` (what is there already is not trained again); writes results and a figure."""
    first, second = Path("runs/blip2-mini"), Path("runs/blip2-stage2")
    few = ["stages.0.steps=4", "data.pairs.count=200"] if settings.quick else []
    _train("blip2-mini", few, first, settings)
    recipe = str(ROOT / "recipes" / "blip2-stage2.yaml")
    _train(recipe, [f"model.adapters.image.weights=run:{first.resolve()}", *few[:1]], second, settings)
    results = {folder.name: json.loads((folder / "results.json").read_text())["tasks"] for folder in (first, second)}
    stages = (
        json.loads((first / "run.json").read_text())["stages"] + json.loads((second / "run.json").read_text())["stages"]
    )
    lines = [json.loads(line) for line in (first / "metrics.jsonl").read_text().splitlines()]
    values = {
        "tasks": results,
        "stages": [{key: stage[key] for key in ("name", "steps", "seconds", "feature_seconds")} for stage in stages],
        "losses": _curves(lines),
        "written": _written(first),
    }
    write("blip2", values, _page, settings)
    image = settings.folder / "blip2.png" if settings.quick else ROOT / "docs" / "images" / "blip2-mini.png"
    _plot(values, first, image)


def _train(recipe: str, changes: list[str], folder: Path, settings: Settings) -> None:
    settings.say(f"{folder}: training")
    triptych("train", recipe, *changes, "--output", str(folder), "--resume")
    settings.say(f"{folder}: evaluating")
    triptych("evaluate", str(folder))


def _curves(lines: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
    """Loss by name, as `[step, value]`; those on held-out pictures begin with `validation_`."""
    names = [f"{kind}_{name}" for name in LOSSES for kind in ("loss", "validation_loss")]
    return {name: [[line["total_step"], round(line[name], 4)] for line in lines if name in line] for name in names}


def _written(run: Path) -> list[dict[str, str]]:
    """What the Q-Former writes about the first held-out pictures, and what is there."""
    from triptych.api import load

    matcher = load(run)
    pictures, texts = _pictures(run)
    return [{"picture": text, "written": said} for text, said in zip(texts, matcher.caption(pictures), strict=True)]


def _pictures(run: Path) -> tuple[list[Any], list[str]]:
    from triptych.data.sources import build
    from triptych.evaluate.embedding.samples import texts_of
    from triptych.recipe import load_recipe

    source = build(load_recipe(run / "recipe.yaml").data["pairs"])
    found = [source[i] for i in range(SHOWN)]
    return [next(iter(one.media)) for one in found], [texts_of(one)[0] for one in found]


def _page(values: dict[str, Any]) -> str:
    task = values["tasks"]["blip2-mini"]["retrieval"]
    before = task["baselines"]["cosines"]
    rows = [
        [
            name.replace("_", " ").replace(" r", " R@"),
            f"{before['metrics'][name]['value']:.3f}",
            f"{metric['value']:.3f}",
            "{value:+.3f} ({low:+.3f} to {high:+.3f})".format(**before["difference"][name]),
            f"{task['control'][name]['value']:.3f}",
            f"{task['chance'][name]:.3f}",
        ]
        for name, metric in task["metrics"].items()
    ]
    head = ["held-out pictures, 200-way", "cosines", "first 16 ranked anew", "difference", "shuffled", "chance"]
    losses = [
        [title, *(f"{values['losses'][f'validation_loss_{name}'][i][1]:.3f}" for i in (0, -1))]
        for name, title in LOSSES.items()
    ]
    first, last = (values["losses"]["validation_loss_itc"][i][0] for i in (0, -1))
    answers = values["tasks"]["blip2-stage2"]["scenes"]
    asked = [
        [name, f"{metric['value']:.3f}", f"{answers['control'][name]['value']:.3f}"]
        for name, metric in answers["metrics"].items()
    ]
    time = ", ".join(
        f"{one['name']}: {one['seconds']:.0f} s and {one['feature_seconds']:.0f} s to encode pictures"
        for one in values["stages"]
    )
    written = [[one["picture"], one["written"]] for one in values["written"]]
    return f"""# BLIP-2 in miniature

`blip2-mini`, then `recipes/blip2-stage2.yaml` from its weights. {time}.

{table(head, rows)}

{table(["loss on held-out pictures", f"step {first}", f"step {last}"], losses)}

{table(["in the picture", "what the Q-Former writes"], written)}

The second stage, with a frozen SmolLM2:

{table(["score", "held-out pictures", "another picture"], asked)}"""


def _plot(values: dict[str, Any], run: Path, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.6), layout="constrained", facecolor="white")
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    axes = above.subplots(1, 4)
    for axis, (name, title) in zip(axes, LOSSES.items(), strict=False):
        for kind, colour, width in (("loss", "#a9c6cf", 0.9), ("validation_loss", "#b4572a", 1.8)):
            steps, losses = zip(*values["losses"][f"{kind}_{name}"], strict=True)
            axis.plot(steps, losses, color=colour, lw=width, label="training" if kind == "loss" else "held-out")
        axis.set(title=title, xlabel="step", ylim=(0, 1.05 * values["losses"][f"validation_loss_{name}"][0][1]))
    axes[0].legend(frameon=False, fontsize=8)
    task = values["tasks"]["blip2-mini"]["retrieval"]
    ways = ("image_to_text_r1", "text_to_image_r1")
    for i, (scores, colour, label) in enumerate(
        ((task["baselines"]["cosines"]["metrics"], "#a9c6cf", "cosines"), (task["metrics"], "#1f6f8b", "ranked anew"))
    ):
        heights = [scores[way]["value"] for way in ways]
        spread = [[scores[way]["value"] - scores[way]["low"] for way in ways],
                  [scores[way]["high"] - scores[way]["value"] for way in ways]]  # fmt: skip
        axes[3].bar([x + 0.38 * i for x in range(2)], heights, 0.36, yerr=spread, color=colour, label=label)
    axes[3].set(title="R@1 among 200", ylim=(0, 1.3), xticks=[0.19, 1.19], yticks=[0, 0.5, 1])
    axes[3].set_xticklabels(["picture → text", "text → picture"], fontsize=8)
    axes[3].legend(frameon=False, fontsize=8, loc="upper center", ncols=2)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    pictures, _ = _pictures(run)
    for axis, picture, one in zip(below.subplots(1, SHOWN), pictures, values["written"], strict=True):
        axis.imshow(picture.open())
        axis.set_xlabel(_wrapped(one["written"]), fontsize=9)
        axis.set(xticks=[], yticks=[])
    below.suptitle("what the Q-Former writes about held-out pictures", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _wrapped(text: str, width: int = 34) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
