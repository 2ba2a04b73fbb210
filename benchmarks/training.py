"""Training side by side: Triptych against `LlavaForConditionalGeneration` with the `Trainer` and a padding collator."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import Measurement, Side, alternate, pairwise_ratio, run_side, summary
from benchmarks.results import Settings, gibibytes, short, table, write
from benchmarks.setting import conversations, fresh_cache
from benchmarks.talks import PER_PICTURE

STAGES = ("align", "instruct")
TARGETS = {"align": 3.0, "instruct": 2.0, "memory": 0.6}
SIZES = {
    "align": {"pictures": 16, "epochs": 3, "batch_size": 8},
    "instruct": {"pictures": 8, "epochs": 3, "batch_size": 8},
}
QUICK = {"pictures": 4, "epochs": 2, "batch_size": 4}


def run(settings: Settings) -> None:
    """Measure both stages and write `training.json` and `training.md`."""
    sizes = {stage: QUICK if settings.quick else SIZES[stage] for stage in STAGES}
    baselines = settings.baselines or ("mixed",)
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-") as temporary:
        folder = Path(temporary)
        settings.say("the same computation? (float32, small tower)")
        small = {"folder": str(folder / "small"), "small": True, "pictures": 4, "epochs": 1, "batch_size": 4}
        run_side(Side("benchmarks.setting:prepare", small))
        equal = run_side(Side("benchmarks.equality:losses", {"folder": str(folder / "small"), "count": 4})).values
        settings.say(f"  largest relative difference of the loss: {equal['largest_difference']:.1e}")
        measured, made = {}, {}
        for stage in STAGES:
            settings.say(stage)
            place = folder / stage
            made = run_side(
                Side("benchmarks.setting:prepare", {"folder": str(place), "small": False, **sizes[stage]})
            ).values
            arguments = {"folder": str(place), "stage": stage}
            sides = {"triptych": Side("benchmarks.training:ours", arguments)}
            for precision in baselines:
                sides[f"transformers, {precision}"] = Side(
                    "benchmarks.training:theirs", {**arguments, "precision": precision}
                )
            caches = iter(folder / f"cache-{stage}-{i}" for i in range(1000))
            measured[stage] = alternate(
                sides, settings.runs, lambda *_, places=caches: fresh_cache(next(places)), settings.say
            )
    name = "-".join(["training", *settings.baselines])
    write(
        name, {"setting": {"sizes": sizes, **made}, "equality": equal, "stages": _compared(measured)}, _page, settings
    )


def ours(folder: str, stage: str) -> dict[str, Any]:
    """Train a stage by its recipe: everything from an empty feature cache to the last step, `Trainer.train` as it is."""
    from triptych.model.build import build
    from triptych.recipe import load_recipe
    from triptych.training.loop import Trainer
    from triptych.training.progress import Bar, Console
    from triptych.training.run import RunFolder

    times: list[float] = []
    losses: list[float] = []

    class Clock(Bar):
        def __init__(self) -> None: ...
        def total(self, total: int) -> None: ...
        def advance(self, count: int = 1) -> None: ...
        def update(self, values: Mapping[str, Any]) -> None:
            times.append(time.perf_counter())
            losses.append(values["loss"])

    class Watching(Console):
        @contextmanager
        def bar(self, name: str, done: int, total: int | None, noun: str = "steps") -> Iterator[Bar]:  # noqa: ARG002
            yield Clock()

    recipe = load_recipe(Path(folder) / "recipe.yaml")
    recipe = recipe.model_copy(update={"stages": [s for s in recipe.stages if s.name == stage]})
    model = build(recipe)
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-run-") as place:
        run_folder = RunFolder.start(Path(place), recipe, resume=False)
        began = time.perf_counter()
        Trainer(model, recipe, run_folder, Watching(quiet=True)).train()
        facts = json.loads((Path(place) / "run.json").read_text())["stages"][0]
    return _timed(began, times, losses, recipe) | {
        "tokens": facts["tokens"],
        "feature_seconds": facts["feature_seconds"],
    }


def theirs(folder: str, stage: str, precision: str) -> dict[str, Any]:
    """Train the same stage on the same conversations in the same order with transformers."""
    import torch

    from benchmarks import llava
    from triptych.recipe import load_recipe

    recipe = load_recipe(Path(folder) / "recipe.yaml")
    recipe = recipe.model_copy(update={"stages": [s for s in recipe.stages if s.name == stage]})
    settings = recipe.stages[0]
    model, tokenizer = llava.load(Path(folder) / "llava", precision)
    drawn = conversations(recipe, _steps(recipe) * settings.batch_size)
    made: dict[str, Any] = {}
    for one in drawn:
        if one.id + one.messages[0].text not in made:
            made[one.id + one.messages[0].text] = llava.example(one, tokenizer, model.config.image_seq_length)
    examples = [made[one.id + one.messages[0].text] for one in drawn]
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-run-") as place:
        began, times, losses = llava.train(
            model, examples, stage, precision, settings.batch_size, settings.learning_rate, Path(place)
        )
    return _timed(began, times, losses, recipe) | {
        "tokens": sum(len(one["input_ids"]) for one in examples),
        "padded_tokens": _padded([len(one["input_ids"]) for one in examples], settings.batch_size),
        "threads": torch.get_num_threads(),
    }


def _steps(recipe: Any) -> int:
    stage = recipe.stages[0]
    return int(stage.epochs * PER_PICTURE * recipe.data["talks"].options["pictures"] / stage.batch_size)


def _padded(lengths: Sequence[int], batch_size: int) -> int:
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    return sum(max(batch) * len(batch) for batch in batches)


def _timed(began: float, times: Sequence[float], losses: Sequence[float], recipe: Any) -> dict[str, Any]:
    stage = recipe.stages[0]
    per_epoch = _steps(recipe) // int(stage.epochs)
    samples = len(times) * stage.batch_size
    first = times[per_epoch - 1] - began
    later = times[-1] - times[per_epoch - 1]
    return {
        "samples": samples,
        "seconds": times[-1] - began,
        "samples_per_second": samples / (times[-1] - began),
        "first_epoch_samples_per_second": per_epoch * stage.batch_size / first,
        "later_epochs_samples_per_second": (samples - per_epoch * stage.batch_size) / later,
        "steps": len(times),
        "step_seconds": [b - a for a, b in zip([began, *times], times, strict=False)],
        "losses": list(losses),
    }


RATES = ("samples_per_second", "first_epoch_samples_per_second", "later_epochs_samples_per_second")


def _compared(measured: Mapping[str, Mapping[str, Sequence[Measurement]]]) -> dict[str, Any]:
    stages: dict[str, Any] = {}
    for stage, sides in measured.items():
        mine = sides["triptych"]
        entry: dict[str, Any] = {"sides": {name: _figures(runs) for name, runs in sides.items()}, "ratios": {}}
        for name, runs in sides.items():
            if name == "triptych":
                continue
            ratios = {
                rate: pairwise_ratio([m.values[rate] for m in mine], [m.values[rate] for m in runs]) for rate in RATES
            }
            ratios["peak_memory"] = pairwise_ratio(
                [m.peak_memory_bytes for m in mine], [m.peak_memory_bytes for m in runs]
            )
            differences = [
                abs(a - b) / abs(b) for a, b in zip(mine[0].values["losses"], runs[0].values["losses"], strict=True)
            ]
            ratios["first_loss_difference"], ratios["largest_loss_difference"] = differences[0], max(differences)
            entry["ratios"][name] = ratios
        stages[stage] = entry
    return stages


def _figures(runs: Sequence[Measurement]) -> dict[str, Any]:
    first = runs[0].values
    figures: dict[str, Any] = {rate: summary([m.values[rate] for m in runs]) for rate in RATES}
    figures["tokens_per_second"] = summary([m.values["tokens"] / m.values["seconds"] for m in runs])
    figures["seconds"] = summary([m.values["seconds"] for m in runs])
    figures["peak_memory_bytes"] = summary([m.peak_memory_bytes for m in runs])
    figures["load_before"] = [m.load_before for m in runs]
    figures |= {key: first[key] for key in ("samples", "steps", "tokens", "losses", "step_seconds")}
    figures |= {key: first[key] for key in ("padded_tokens", "feature_seconds") if key in first}
    return figures


def _page(values: dict[str, Any]) -> str:
    setting, equality = values["setting"], values["equality"]
    parts = [
        "# Training, side by side",
        f"Both sides train the same weights on the same conversations ({setting['image_positions']} positions per picture, two "
        "conversations about each), in the same order, with AdamW. Medians (and extremes) of processes that take turns; ratios are "
        "formed pair by pair.",
    ]
    for stage, entry in values["stages"].items():
        what = {"align": "the projector learns", "instruct": "the projector and the language model learn"}[stage]
        rows = [
            [
                name,
                *(short(side[rate]) for rate in RATES),
                f"{side['tokens_per_second']['median']:.0f}",
                gibibytes(side["peak_memory_bytes"]),
            ]
            for name, side in entry["sides"].items()
        ]
        rows += [
            [
                f"**ratio** to {name}",
                *(f"**{short(ratio[rate])} ×**" for rate in RATES),
                "",
                f"**{short(ratio['peak_memory'])} ×**",
            ]
            for name, ratio in entry["ratios"].items()
        ]
        wanted = f"wanted: {TARGETS[stage]:.0f} × the samples, {TARGETS['memory']} × the memory"
        head = ["", "samples/s, whole training", "first epoch", "later epochs", "tokens/s", "peak memory, GiB"]
        size = setting["sizes"][stage]
        amount = (
            f"{2 * size['pictures']} conversations about {size['pictures']} pictures, {size['epochs']} epochs in steps of "
            f"{size['batch_size']}."
        )
        parts += [f"## {stage}: {what} ({wanted})", amount, table(head, rows)]
        losses = ", ".join(
            f"{100 * r['first_loss_difference']:.2f} % at the first step and at most {100 * r['largest_loss_difference']:.2f} % "
            f"in {entry['sides']['triptych']['steps']} steps ({name})"
            for name, r in entry["ratios"].items()
        )
        parts.append(f"Losses differ by {losses}: bfloat16 rounding.")
    side = values["stages"]["align"]["sides"]
    other = next(figures for name, figures in side.items() if name != "triptych")
    parts.append(
        f"""## What is compared

- **Data.** Each picture has two conversations, as in LLaVA's instruction data (158,000 about 81,000 pictures): 2–8 short
  questions, and a description. {other["tokens"] / other["samples"]:.0f} tokens each on average; padding to the longest of a batch
  makes that {other["padded_tokens"] / other["samples"]:.0f} on the other side. Nothing else is shared between conversations.
- **Whole training** is everything from the first call to the end of the last step, encoding the pictures included. Triptych
  encodes every picture once, before the first step, and keeps the features; *first epoch* holds that cost, *later epochs* do
  not. The other side encodes in every step. A single epoch over pictures with one conversation each would get no gain from
  the cache; a second stage on the same pictures (not counted here) would pay nothing for encoding at all.
- **Precision.** Triptych: frozen parts in bfloat16; trained language model in bfloat16 with float32 master copies; projector
  in float32. *mixed* is the same for the `Trainer` (`bf16=True`: trained parts in float32 under autocast, frozen parts in
  bfloat16). *pure* keeps and updates every weight in bfloat16, without master copies: less work and less memory, but small
  updates are rounded away, so it is not the same training.
- **The other side** gets pixel values and tokens that were made before its clock starts; Triptych draws the scenes, prepares
  them and plans tokens while its clock runs. Both read data in the training process (no workers), neither saves checkpoints
  between steps. No gradient checkpointing. Tower: CLIP ViT-L/14 with random weights, {setting["parameters"]["encoders.image"] / 1e6:.0f}
  million parameters up to the layer that is used.
- **Peak memory** is `ru_maxrss` of the whole process.
- **The same computation:** in float32 with a small tower, tokens and labels are identical, the loss differs by at most
  {max(equality["loss_difference_by_micro_rows"].values()):.1e} (relative), gradients by
  {max(equality["gradient_difference_by_micro_rows"].values()):.1e}, however the batch is cut."""
    )
    return "\n\n".join(parts)
