"""By how much logits move when the tower computes in bfloat16, its default precision where that is fast, instead of float32.

    python -m benchmarks.tower_precision [--language URI] [--pictures 8]

The language model (SmolLM2-135M-Instruct) and the adapter compute in float32 in both, so only the tower's precision differs.
Writes benchmarks/results/tower_precision.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from benchmarks.results import FOLDER, origin, table
from triptych.conversation import Conversation, user
from triptych.data.sources import build as build_source
from triptych.environment import describe
from triptych.files import write_atomically
from triptych.model.build import build
from triptych.model.composed import MultimodalModel
from triptych.recipe import Recipe, load_recipe, parse_recipe
from triptych.sequence.pack import pack
from triptych.weights.quiet import silent

CLIP = {
    "model_type": "clip_vision_model", "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", "projection_dim": 512,
}  # fmt: skip
TOWERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "EfficientNet-Lite2, trained": ({"kind": "efficientnet"}, {"kind": "mlp"}),
    "ViT-B/32 (CLIP's shape), random weights": (
        {"kind": "huggingface", "architecture": CLIP},
        {"kind": "mlp", "normalise": False, "positions": False},
    ),
}
"""Name → encoder and adapter."""

QUESTION = "What is in the picture?"


def recipe(language: str, encoder: dict[str, Any], adapter: dict[str, Any], precision: str) -> Recipe:
    values = {
        "name": "precision",
        "model": {
            "language": {"weights": language, "precision": "float32"},
            "encoders": {"image": {**encoder, "precision": precision}},
            "adapters": {"image": adapter},
        },
        "sequence": {"max_tokens": 1024},
    }
    return parse_recipe(values)


@torch.no_grad()
def logits(model: MultimodalModel, pictures: list[Any]) -> list[torch.Tensor]:
    """The logits `[V]` of the first word of an answer, a row for each picture."""
    rows = []
    for picture in pictures:
        layout = model.plan(Conversation((user(picture, QUESTION),)), reply=True)
        batch = pack([layout], len(layout)).with_prepared("image", (model.encoder("image").prepare(picture),))
        rows.append(model.language.logits(model(batch)[0, -1]))
    return rows


def main() -> None:
    """Run both, print and write the table."""
    quickstart = load_recipe(Path(__file__).parents[1] / "recipes" / "quickstart.yaml")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tower_precision")
    parser.add_argument("--language", default=quickstart.model.language.weights, help="SmolLM2's, by default")
    parser.add_argument("--pictures", type=int, default=8, help="drawn scenes (8)")
    chosen = parser.parse_args()
    source = build_source(quickstart.data["test"], Path(quickstart.base))
    pictures = [next(iter(source[i].media)) for i in range(chosen.pictures)]
    rows = []
    for name, (encoder, adapter) in TOWERS.items():
        answers = {}
        for precision in ("float32", "bfloat16"):
            torch.manual_seed(0)
            with silent():
                answers[precision] = torch.stack(
                    logits(build(recipe(chosen.language, encoder, adapter, precision)).eval(), pictures)
                )
        exact, rounded = answers["float32"], answers["bfloat16"]
        moved = (rounded - exact).abs()
        top = exact.topk(2).values
        same = int((exact.argmax(-1) == rounded.argmax(-1)).sum())
        gap = float((top[:, 0] - top[:, 1]).median())
        rows.append(
            [
                name,
                f"{moved.max():.3f}",
                f"{moved.mean():.3f}",
                f"{exact.std():.2f}",
                f"{gap:.2f}",
                f"{same} of {len(pictures)}",
            ]
        )
        print(*rows[-1], flush=True)
    head = [
        "tower",
        "largest move of a logit",
        "mean",
        "spread of logits",
        "first above second (median)",
        "same first word",
    ]
    page = (
        "# The tower's precision and logits\n\nLogits of the first word of an answer about "
        f"{len(pictures)} drawn pictures, the tower in bfloat16 against float32; SmolLM2-135M-Instruct and a fresh adapter in float32 in both.\n\n"
        f"{table(head, rows)}\n\n{origin({**describe('cpu'), 'command': 'python -m benchmarks.tower_precision'})}\n"
    )
    write_atomically(FOLDER / "tower_precision.md", page)


if __name__ == "__main__":
    main()
