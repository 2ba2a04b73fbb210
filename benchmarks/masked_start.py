"""EVA-CLIP's masked images first: how many contrastive steps to a fixed R@1, from a masked start and from a random one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Settings, table, write
from triptych.data.sources import build as build_source
from triptych.evaluate.embedding.retrieval import WAYS, search
from triptych.evaluate.embedding.samples import read, texts_of
from triptych.families.dual.loaded import Dual
from triptych.model.build import build
from triptych.recipe import Recipe, load_recipe
from triptych.training.loop import Trainer
from triptych.training.progress import Console
from triptych.training.run import RunFolder

SEEDS = (0, 1, 2)
EVERY = 20
"""Steps between two measurements of R@1."""

STEPS = 400
TARGET = 0.3
"""R@1 among 200, mean of both ways, that both starts are to reach; chance is 0.005."""

TEACHER = "runs/clip-mini"


class Reached(Exception):
    """The run has nothing more to show."""


class Watch(Console):
    """A terminal that measures R@1 while the model trains, instead of showing a bar.

    Args:
        recipe: With the `retrieval` task.
        target: R@1 at which to stop.
    """

    def __init__(self, recipe: Recipe, target: float) -> None:
        super().__init__(quiet=True)
        self.recipe, self.target = recipe, target
        self.curve: dict[int, float] = {}
        task: Any = recipe.evaluation["retrieval"]
        source = build_source(recipe.data[task.data], Path(recipe.base))
        self.samples, _ = read(source, texts_of, task.pool, task.data, 0.0)
        self.trainer: Trainer

    def update(self, values: Mapping[str, Any]) -> None:
        """Called after every step."""
        if values["stage"] != "contrast" or values["step"] % EVERY:
            return
        model: Any = self.trainer.model
        training = [module for module in model.modules() if module.training]
        model.eval()
        queries = search(self.samples, Dual(model, self.recipe, ""), len(self.samples), "pairs")
        for module in training:
            module.training = True
        self.curve[int(values["step"])] = float(
            np.mean([np.mean([query.rank == 1 for query in queries if query.way == way]) for way in WAYS])
        )
        if self.curve[int(values["step"])] >= self.target:
            raise Reached

    @contextmanager
    def bar(self, name: str, done: int, total: int | None, noun: str = "steps") -> Iterator[Any]:  # noqa: ARG002 - the interface's
        """This object takes the figures of every step."""
        yield self

    def total(self, total: int) -> None:
        """Of no interest here."""

    def advance(self, count: int = 1) -> None:
        """Of no interest here."""


def run(settings: Settings) -> None:
    """Train from both starts on the same pairs in the same order; writes `masked_start.json`, its page and a plot."""
    steps, seeds, target = (2 * EVERY, SEEDS[:1], 0.01) if settings.quick else (STEPS, SEEDS[: settings.runs], TARGET)
    if not Path(TEACHER, "weights").is_dir():
        raise SystemExit(f"{TEACHER} is not there, the teacher: triptych train clip-mini")
    curves: dict[str, dict[str, dict[int, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-") as temporary:
        for seed in seeds:
            curves[str(seed)] = {}
            for start in ("masked", "random"):
                changes = [f"seed={seed}", f"stages.1.steps={steps}"]
                if settings.quick:
                    changes.append("stages.0.steps=2")
                recipe = load_recipe("eva-clip-mini", changes)
                if start == "random":
                    recipe = recipe.model_copy(update={"stages": recipe.stages[1:]})
                curve = _curve(recipe, Path(temporary) / f"{start}-{seed}", target)
                curves[str(seed)][start] = curve
                settings.say(f"seed {seed}, {start} start: R@1 {max(curve.values()):.3f} after {max(curve)} steps")
    values = {
        "target": target,
        "curves": curves,
        "masked_steps": load_recipe("eva-clip-mini").stages[0].steps,
        "steps_to_target": {
            seed: {start: _reached(curve, target) for start, curve in both.items()} for seed, both in curves.items()
        },
    }
    write("masked_start", values, _page, settings)
    _plot(curves, target, settings.folder / "masked_start.png")


def _curve(recipe: Recipe, folder: Path, target: float) -> dict[int, float]:
    watch = Watch(recipe, target)
    model = build(recipe)
    watch.trainer = Trainer(model, recipe, RunFolder.start(folder, recipe, resume=False), watch)
    with suppress(Reached):
        watch.trainer.train()
    return watch.curve


def _reached(curve: Mapping[int, float], target: float) -> int | None:
    """The step at which the line through the measured points comes to the target."""
    before = (0, 0.0)
    for step, score in sorted(curve.items()):
        if score >= target:
            share = (target - before[1]) / (score - before[1])
            return round(before[0] + share * (step - before[0]))
        before = (step, score)
    return None


def _page(values: dict[str, Any]) -> str:
    def steps(found: int | None) -> str:
        return "not reached" if found is None else str(found)

    def first(seed: str, start: str) -> str:
        return str(max(int(step) for step in values["curves"][seed][start]))

    rows = [
        [seed, *(f"**{steps(both[start])}** ({first(seed, start)})" for start in ("masked", "random"))]
        for seed, both in values["steps_to_target"].items()
    ]
    return f"""# EVA-CLIP in miniature: a start from masked images, and a random one

`eva-clip-mini`, the same pairs in the same order; its first stage ({values["masked_steps"]} steps: the tower predicts what the tower of
`{TEACHER}` makes of masked patches) is run or left out. Contrastive steps until R@1 among 200 held-out pairs, the mean of both
ways, reaches {values["target"]}: where the line between the measurements crosses it, and in brackets the first of them above it (there is one every
{EVERY} steps).

{table(["seed", "steps from the masked start", "steps from the random start"], rows)}

![R@1 over the steps](masked_start.png)"""


def _plot(curves: Mapping[str, Mapping[str, Mapping[int, float]]], target: float, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for i, both in enumerate(curves.values()):
        for start, colour in (("random", "#c2571a"), ("masked", "#1a6fc2")):
            points: Sequence[tuple[int, float]] = sorted(both[start].items())
            label = f"{start} start" if i == 0 else None
            axes.plot(*zip(*points, strict=True), color=colour, alpha=0.8, lw=1.3, label=label)
    axes.axhline(target, color="#888", lw=0.8, ls=":")
    axes.set(xlabel="contrastive step", ylabel="R@1 among 200, both ways")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
