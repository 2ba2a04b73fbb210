"""One training step of CLIP: Triptych's against the same step written plainly with transformers.

    python -m benchmarks.clip_step [--batch 64] [--rounds 4] [--small]

Both sides have equal weights (carried over by name), the same pictures and texts, and the same optimiser: AdamW on float32
masters. The plain side is `CLIPModel(pixel_values, input_ids, return_loss=True).loss.backward()` on normalised pixels,
its attention `sdpa`; normalising pixels is part of Triptych's step alone. In float32, loss and gradient have to be equal
before anything is timed. The sides take turns, step by step, in one process, and which begins changes.

The shape is that of ViT-B/32 (224 pixels, 50 positions) with towers that fit the machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

SHAPE = {"image_size": 224, "patch_size": 32, "width": 384, "layers": 6, "heads": 6, "activation": "quick_gelu"}
TEXT = {"max_tokens": 32, "width": 256, "layers": 6, "heads": 4, "activation": "quick_gelu", "vocabulary": 8192}
SMALL = {"image_size": 64, "width": 64, "layers": 2, "heads": 2}
EMBED = 256
END = 8191


def build(small: bool, precision: str) -> tuple[Any, Any, Any]:
    """Triptych's model, transformers' with the same weights, and what translates names."""
    import torch
    from transformers import CLIPModel

    from triptych.encoders.architecture import TextArchitecture, VisionArchitecture
    from triptych.encoders.preparation import ImagePreparation
    from triptych.encoders.published import Published
    from triptych.encoders.text_transformer import TextTower
    from triptych.encoders.vit import VisionTower
    from triptych.families.dual.model import DualEncoder
    from triptych.formats import config_of, recognise
    from triptych.sequence.pairs import Words

    torch.manual_seed(0)
    vision = VisionArchitecture(**{**SHAPE, **(SMALL if small else {})})
    text = TextArchitecture(**{**TEXT, **({"width": 64, "layers": 2} if small else {})})
    config = config_of(Published(vision, text, EMBED), END)
    theirs = CLIPModel._from_config(config, attn_implementation="sdpa")
    towers = VisionTower(vision, EMBED), TextTower(text, EMBED)
    ours = DualEncoder(*towers, Words(None, text.max_tokens), ImagePreparation(vision.image_size))
    names = recognise(theirs.state_dict(), "transformers")
    with torch.no_grad():
        # Where everything starts at zero nothing can differ.
        for parameter in ours.parameters():
            if parameter.dim() == 1:
                parameter += 0.02 * torch.randn_like(parameter)
    theirs.load_state_dict(names.theirs(ours.state_dict()), strict=False)
    dtype = getattr(torch, precision)
    for part in (ours.vision, ours.text, theirs.vision_model, theirs.text_model):
        part.to(dtype)
    theirs.visual_projection.to(dtype), theirs.text_projection.to(dtype)
    return ours.train(), theirs.train(), names


def batch_of(count: int, size: int) -> Any:
    """Random pictures, and texts of 8 to 32 tokens."""
    import torch

    from triptych.sequence.pack import Document
    from triptych.sequence.pairs import PairBatch

    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(8, 33, (count,), generator=generator)
    lengths[0] = 32
    ids = torch.randint(0, END, (count, 32), generator=generator)
    ids[torch.arange(32) >= lengths[:, None] - 1] = END
    return PairBatch(
        pixels=torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8),
        ids=ids,
        lengths=lengths,
        media=(),
        texts=(),
        conversations=tuple(Document(i, str(i), {}, (i,)) for i in range(count)),
    )


def losses(ours: Any, theirs: Any, batch: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The loss of each side, per pair."""
    from triptych.families.dual.config import Contrastive
    from triptych.families.dual.paired import ContrastiveObjective

    objective = ContrastiveObjective(Contrastive())
    pixels = ours.vision.normalise(batch.pixels, ours.vision.patches.weight.dtype)

    def mine() -> Any:
        found = objective(ours, batch)
        return found.total / found.count

    return mine, lambda: theirs(pixel_values=pixels, input_ids=batch.ids, return_loss=True).loss


def differences(small: bool, count: int) -> dict[str, float]:
    """How far loss and gradient are apart in float32.

    Raises:
        AssertionError: Too far for the sides to compute the same.
    """
    ours, theirs, names = build(small, "float32")
    batch = batch_of(count, ours.preparation.size)
    mine, other = losses(ours, theirs, batch)
    values = mine(), other()
    for value in values:
        value.backward()
    expected = names.ours({name: p.grad for name, p in theirs.named_parameters() if p.grad is not None})
    found = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    apart = sum(float((found[name] - g).double().square().sum()) for name, g in expected.items()) ** 0.5
    norm = sum(float(g.double().square().sum()) for g in expected.values()) ** 0.5
    result = {"loss": abs(float(values[0].detach()) - float(values[1].detach())), "gradient": apart / norm}
    assert result["loss"] < 1e-5 and result["gradient"] < 1e-4, result
    return result


def timed(small: bool, precision: str, count: int, rounds: int) -> dict[str, Any]:
    """Seconds of every step of both sides, taking turns, behind one of each that is not counted."""
    from triptych.training.config import StageConfig
    from triptych.training.optimiser import Optimiser

    ours, theirs, _ = build(small, precision)
    batch = batch_of(count, ours.preparation.size)
    stage = StageConfig(name="s", train=["x"], mixture={"x": 1}, steps=1000, learning_rate=1e-4, weight_decay=0.1)
    sides = {}
    for name, model, loss in zip(
        ("triptych", "transformers"), (ours, theirs), losses(ours, theirs, batch), strict=True
    ):
        sides[name] = loss, Optimiser(stage, 1000, {"all": dict(model.named_parameters())})
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    parts: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name in list(sides) if number % 2 else reversed(list(sides)):
            loss, optimiser = sides[name]
            times = [time.perf_counter()]
            value = loss()
            times.append(time.perf_counter())
            value.backward()
            times.append(time.perf_counter())
            optimiser.collect()
            optimiser.clip()
            optimiser.step(number)
            times.append(time.perf_counter())
            if number:
                seconds[name].append(times[-1] - times[0])
                parts[name].append(tuple(b - a for a, b in itertools.pairwise(times)))  # type: ignore[arg-type]
    ratios = [b / a for a, b in zip(seconds["triptych"], seconds["transformers"], strict=True)]
    return {
        "samples_per_second": {name: count / statistics.median(values) for name, values in seconds.items()},
        "ratio": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
        "seconds": seconds,
        "forward_backward_update": {
            name: [statistics.median(column) for column in zip(*found, strict=True)] for name, found in parts.items()
        },
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    lines = [
        "# One training step of CLIP against transformers",
        "",
        f"`python -m benchmarks.clip_step --batch {result['batch']} --rounds {result['rounds']}` · {result['hardware']} · "
        f"torch {result['versions']['torch']}, transformers {result['versions']['transformers']} · {result['date']}",
        "",
        f"ViT-B/32's shape with {result['parameters'] / 1e6:.1f} M parameters: towers of {SHAPE['layers']} layers and "
        f"{SHAPE['width']} channels (224 pixels, 50 positions), {TEXT['layers']} layers and {TEXT['width']} channels (texts of 8 to "
        f"32 tokens). Batch {result['batch']}. Equal weights, equal optimiser (AdamW on float32 masters); sides take turns.",
        "",
        f"In float32 the loss of both differs by {result['differences']['loss']:.1e} and the gradient by "
        f"{result['differences']['gradient']:.1e} of its norm.",
        "",
        "| precision | Triptych, samples/s | transformers, samples/s | ratio (lowest to highest of the rounds) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for precision, found in result["timed"].items():
        rate, ratio = found["samples_per_second"], found["ratio"]
        lines.append(
            f"| {precision} | {rate['triptych']:.1f} | {rate['transformers']:.1f} | "
            f"**{ratio['median']:.2f}** ({ratio['low']:.2f} to {ratio['high']:.2f}) |"
        )
    lines += [
        "",
        "Medians of a step's seconds, forward · backward · update:",
        "",
        "| precision | Triptych | transformers |",
    ]
    lines += ["| --- | ---: | ---: |"]
    for precision, found in result["timed"].items():
        cells = [
            " · ".join(f"{s:.2f}" for s in found["forward_backward_update"][n]) for n in ("triptych", "transformers")
        ]
        lines.append(f"| {precision} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compare, time, write the page and its figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument(
        "--small", action="store_true", help="tiny towers: to try the benchmark itself; nothing is written"
    )
    parser.add_argument("--precision", choices=["float32", "bfloat16"], action="append")
    given = parser.parse_args()
    from triptych.environment import describe

    result: dict[str, Any] = {"batch": given.batch, "rounds": given.rounds}
    result["differences"] = differences(given.small, min(16, given.batch))
    print(result["differences"], flush=True)
    result["timed"] = {}
    for precision in given.precision or ("float32", "bfloat16"):
        found = timed(given.small, precision, given.batch, given.rounds)
        result["timed"][precision] = found
        print(precision, found["samples_per_second"], found["ratio"], found["forward_backward_update"], flush=True)
    facts = describe()
    ours, *_ = build(given.small, "float32")
    result["parameters"] = sum(p.numel() for p in ours.parameters())
    result["hardware"] = f"{facts['hardware'].get('cpu')}, {facts['hardware'].get('cores')} cores"
    result |= {"versions": facts["versions"], "date": facts["date"], "load": os.getloadavg()[0]}
    if not given.small:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "clip_step.json").write_text(json.dumps(result, indent=2) + "\n")
        (RESULTS / "clip_step.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
