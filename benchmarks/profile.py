"""Where the time of a training step goes, and how far it is from the floor: its FLOPs at the measured rate of matrix products."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import Side, run_side
from benchmarks.results import Settings, table, write
from benchmarks.setting import fresh_cache
from benchmarks.training import STAGES

WARM_STEPS = 2

GROUPS: dict[str, str] = {
    # Own functions and modules of PyTorch, by the name under which the profiler shows them; what they call belongs to them.
    "Attention": "attention",
    "AttentionBackward": "attention",
    "aten::scaled_dot_product_attention": "attention",
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward": "attention",
    "RMSNorm": "norms, activations, positions",
    "RMSNormBackward": "norms, activations, positions",
    "SwiGLU": "norms, activations, positions",
    "SwiGLUBackward": "norms, activations, positions",
    "Rotary": "norms, activations, positions",
    "RotaryBackward": "norms, activations, positions",
    "aten::layer_norm": "norms, activations, positions",
    "aten::gelu": "norms, activations, positions",
    "aten::gelu_backward": "norms, activations, positions",
    "aten::silu": "norms, activations, positions",
    "aten::cos": "norms, activations, positions",
    "aten::sin": "norms, activations, positions",
    "aten::cross_entropy_loss": "loss",
    "NllLossBackward0": "loss",
    "LogSoftmaxBackward0": "loss",
    "aten::_log_softmax": "loss",
    "aten::mm": "matrix products",
    "aten::addmm": "matrix products",
    "aten::bmm": "matrix products",
    "aten::linear": "matrix products",
    "mkldnn::_linear_pointwise": "matrix products",
    "benchmark: optimiser": "optimiser",
    "benchmark: data": "data",
}
ORDER = ("matrix products", "attention", "norms, activations, positions", "loss", "optimiser", "data", "other")


def run(settings: Settings) -> None:
    """Profile both stages and write `profile.json` and `profile.md`."""
    steps = 1 if settings.quick else 3
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-") as temporary:
        folder = Path(temporary)
        size = {"pictures": 8, "epochs": 3, "batch_size": 4 if settings.quick else 8}
        made = run_side(
            Side("benchmarks.setting:prepare", {"folder": str(folder / "full"), "small": False, **size})
        ).values
        environment = fresh_cache(folder / "cache")
        stages = {}
        for stage in STAGES:
            settings.say(stage)
            arguments = {"folder": str(folder / "full"), "stage": stage, "steps": steps}
            stages[stage] = run_side(Side("benchmarks.profile:steps", arguments), environment).values
    write("profile", {"setting": {**size, **made, "steps": steps}, "stages": stages}, _page, settings)


def steps(folder: str, stage: str, steps: int) -> dict[str, Any]:
    """Train by the recipe; time the steps after the first ones without the profiler, then profile as many."""
    import torch

    from triptych.model.build import build
    from triptych.recipe import load_recipe
    from triptych.training import loop
    from triptych.training.optimiser import Optimiser
    from triptych.training.progress import Bar, Console
    from triptych.training.run import RunFolder

    recipe = load_recipe(Path(folder) / "recipe.yaml")
    kept = next(s for s in recipe.stages if s.name == stage)
    count = WARM_STEPS + 2 * steps
    recipe = recipe.model_copy(update={"stages": [kept.model_copy(update={"steps": count, "epochs": None})]})
    model = build(recipe)
    times: list[float] = []
    tokens: list[tuple[int, int]] = []
    profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])

    class Clock(Bar):
        def __init__(self) -> None: ...
        def total(self, total: int) -> None: ...
        def advance(self, count: int = 1) -> None: ...
        def update(self, values: Mapping[str, Any]) -> None:
            times.append(time.perf_counter())
            tokens.append((values["tokens"], values["supervised_tokens"]))
            if len(times) == WARM_STEPS + steps:
                profiler.start()
            if len(times) == count:
                profiler.stop()

    class Watching(Console):
        @contextmanager
        def bar(self, name: str, done: int, total: int | None, noun: str = "steps") -> Iterator[Bar]:  # noqa: ARG002
            yield Clock()

    _name_parts(loop, Optimiser)
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-run-") as place:
        run_folder = RunFolder.start(Path(place), recipe, resume=False)
        loop.Trainer(model, recipe, run_folder, Watching(quiet=True)).train()
    timed = slice(WARM_STEPS - 1, WARM_STEPS + steps)
    step_seconds = (times[timed][-1] - times[timed][0]) / steps
    read, supervised = ((tokens[timed][-1][i] - tokens[timed][0][i]) / steps for i in (0, 1))
    floor = _floor(model, stage, read, supervised, recipe.stages[0].batch_size)
    groups = _grouped(profiler.events(), steps)
    return {
        "step_seconds": step_seconds,
        "profiled_step_seconds": (times[-1] - times[WARM_STEPS + steps - 1]) / steps,
        "tokens": read,
        "supervised_tokens": supervised,
        "group_seconds": groups,
        **floor,
        "times_the_floor": step_seconds / floor["floor_seconds"],
    }


def _name_parts(loop: Any, optimiser: Any) -> None:
    """Give data loading and optimiser a name in the profile."""
    from torch.profiler import record_function

    load, step, collect = loop.load_steps, optimiser.step, optimiser.collect

    def loading(*arguments: Any) -> Iterator[Any]:
        found = iter(load(*arguments))
        while True:
            with record_function("benchmark: data"):
                loaded = next(found, None)
            if loaded is None:
                return
            yield loaded

    def named(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            with record_function("benchmark: optimiser"):
                return function(*arguments)

        return call

    loop.load_steps, optimiser.step, optimiser.collect = loading, named(step), named(collect)


def _grouped(events: Any, steps: int) -> dict[str, float]:
    """Seconds per step of each group: every operation's own time goes to the outermost of its callers that has a group."""
    seconds = dict.fromkeys(ORDER, 0.0)
    for event in events:
        group, caller = "other", event
        while caller is not None:
            group = GROUPS.get(caller.name, group)
            caller = caller.cpu_parent
        seconds[group] += event.self_cpu_time_total / 1e6 / steps
    return seconds


def _floor(model: Any, stage: str, tokens: float, supervised: float, pictures: float) -> dict[str, Any]:
    """The step's FLOPs and what they would take at the rate of this machine's matrix products.

    A matrix of P weights takes 2 P FLOPs per token forward, 2 P for the gradient of its input, 2 P for its own.
    Attention, norms and the optimiser count as nothing: that is what makes it a floor.
    """
    head = model.language.embedding.weight.numel()
    body = sum(
        p.numel()
        for n, p in model.language.named_parameters()
        if p.dim() == 2 and "embed" not in n and "lm_head" not in n
    )
    adapter = sum(p.numel() for p in model.adapters.parameters() if p.dim() == 2)
    passes = 6 if stage == "instruct" else 4
    positions = model.encoders["image"].grid[0] ** 2
    flops = passes * (body * tokens + head * supervised) + 4 * adapter * positions * pictures
    rate = _rate(model)
    return {"flops": flops, "matmul_flops_per_second": rate, "floor_seconds": flops / rate}


def _rate(model: Any, tokens: int = 1024) -> float:
    """FLOPs per second of the language model's own matrix shapes, forward and both gradients, weighted by their work."""
    import torch

    work = seconds = 0.0
    for name, weight in model.language.model.get_decoder().layers[0].named_parameters():
        if weight.dim() != 2 or "lora" in name:
            continue
        rows, columns = weight.shape
        w = weight.detach()
        x, g = (torch.randn(tokens, size, dtype=w.dtype) for size in (columns, rows))
        for product in (lambda x=x, w=w: x @ w.t(), lambda g=g, w=w: g @ w, lambda g=g, x=x: g.t() @ x):
            work += 2.0 * tokens * rows * columns
            seconds += min(_seconds(product) for _ in range(10))
    return work / seconds


def _seconds(function: Any) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _page(values: dict[str, Any]) -> str:
    setting = values["setting"]
    parts = [
        "# Where a training step's time goes",
        f"Steps of {setting['batch_size']} conversations of the training benchmark, features cached; mean of {setting['steps']} steps "
        "after warm-up. The floor is the FLOPs of the step's weight matrices at the rate that this machine reaches on them alone "
        "(bfloat16, 1,024 tokens, forward and both gradients): attention, norms and the optimiser count as nothing in it.",
    ]
    for stage, entry in values["stages"].items():
        total = sum(entry["group_seconds"].values())
        rows = [
            [name, f"{seconds:.3f}", f"{100 * seconds / total:.0f} %"]
            for name, seconds in entry["group_seconds"].items()
        ]
        parts.append(
            f"## {stage}\n\nA step takes {entry['step_seconds']:.2f} s ({entry['tokens']:.0f} tokens, "
            f"{entry['supervised_tokens']:.0f} of them supervised: {entry['tokens'] / entry['step_seconds']:.0f} tokens/s); its "
            f"{entry['flops'] / 1e12:.2f} TFLOP at {entry['matmul_flops_per_second'] / 1e12:.2f} TFLOP/s would take "
            f"{entry['floor_seconds']:.2f} s. **{entry['times_the_floor']:.2f} × the floor.**\n\n"
            + table(["part", "seconds (profiled)", "share"], rows)
        )
    return "\n\n".join(parts)
