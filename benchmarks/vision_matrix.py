"""Vision models of transformers as encoders, through every step: pass, or refused in one line.

python -m benchmarks vision_matrix                          all of `vision_models.json`
python -m benchmarks vision_matrix --variants swin pixtral    these; the others' results stay

Weights are random. Every model is tried with the recipe's default, the last hidden state but one, and with `layer: output`.
*tokens*: the grid and the count that the encoder says beforehand are those of its real output. *cached*: features out of
the cache are those computed live, bit for bit, alone and among others. *weights*: out of a saved folder (that of the
whole model where the tower is a part of one), the same features.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.results import Settings, write

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from tiny_world import World, make  # noqa: E402
from triptych.api import load  # noqa: E402
from triptych.cli.commands.inspect import show  # noqa: E402
from triptych.conversation import Conversation, user  # noqa: E402
from triptych.data.features import FeatureCache  # noqa: E402
from triptych.encoders import HuggingFaceConfig  # noqa: E402
from triptych.encoders.build import build  # noqa: E402
from triptych.encoders.towers import whole_config  # noqa: E402
from triptych.errors import TriptychError  # noqa: E402
from triptych.generate.config import GenerationSettings  # noqa: E402
from triptych.generate.generator import Generator  # noqa: E402
from triptych.planner.parts import meta_encoder  # noqa: E402
from triptych.planner.plan import plan  # noqa: E402
from triptych.recipe import Recipe, parse_recipe  # noqa: E402
from triptych.training.loop import train  # noqa: E402
from triptych.weights.quiet import silent  # noqa: E402

TABLE = Path(__file__).with_name("vision_models.json")
"""Model type → the values of its configuration that make it small."""

LAYERS: tuple[int | str, ...] = (-2, "output")
CHECKS = ("plan", "inspect", "train", "ask", "cached", "tokens", "weights")

SIDE = 64
"""Pixels where a configuration says none."""


def run(settings: Settings) -> None:
    """Go through the table; models that are not asked for keep the results of an earlier run."""
    table: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    path = settings.folder / "vision_matrix.json"
    cells: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else {}
    cells = {kind: found for kind, found in cells.items() if kind in table}
    chosen = settings.variants or (("dinov3_vit", "swin", "gemma3") if settings.quick else tuple(table))
    with tempfile.TemporaryDirectory(prefix="triptych-matrix-") as name:
        folder = Path(name)
        os.environ["TRIPTYCH_CACHE"] = str(folder / "cache")
        (folder / "world").mkdir()
        with silent():
            world = make(folder / "world")
        for kind in chosen:
            cells[kind] = {str(layer): row(world, kind, table[kind], layer, folder) for layer in LAYERS}
            settings.say(f"{kind}: {', '.join(f'{layer} {mark(found)}' for layer, found in cells[kind].items())}")
    write("vision_matrix", {"cells": dict(sorted(cells.items()))}, page, settings)
    if failures := [
        f"{k} {f} {c}" for k, x in cells.items() for f, y in x.items() for c, z in y.items() if z[0] == "F"
    ]:
        sys.exit(f"{len(failures)} cells fail: {', '.join(failures[:20])}")


def row(world: World, kind: str, values: dict[str, Any], layer: int | str, folder: Path) -> dict[str, str]:
    """Every check of one model: `pass`, `refused: …` or `FAIL: …`."""
    side = values.get("image_size", values.get("vision_config", {}).get("image_size"))
    encoder = {
        "kind": "huggingface",
        "architecture": {"model_type": kind, **values},
        "layer": layer,
        "precision": "float32",
        **({} if side else {"resolution": SIDE}),
    }
    try:
        recipe = recipe_of(world, encoder)
    except TriptychError as error:
        return dict.fromkeys(CHECKS, f"refused: {error}")
    output = Path(tempfile.mkdtemp(dir=folder))
    config = HuggingFaceConfig(**encoder)
    checks: dict[str, Callable[[], None]] = {
        "plan": lambda: plan(recipe) and None,
        "inspect": lambda: show(recipe, 0, None, None),
        "train": lambda: train(recipe, output / "run", quiet=True) and None,
        "ask": lambda: asked(world, output / "run"),
        "cached": lambda: cached(world, config, output),
        "tokens": lambda: tokens(world, config),
        "weights": lambda: weights(world, config, output / "model"),
    }
    found: dict[str, str] = {}
    for name in CHECKS:
        # What was not trained is not asked: for the same reason.
        untrained = name == "ask" and found["train"] != "pass"
        found[name] = found["train"] if untrained else outcome(checks[name])
    return found


def outcome(check: Callable[[], None]) -> str:
    """How a check ends."""
    try:
        with silent(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            check()
    except TriptychError as error:
        text = str(error).strip()
        return f"refused: {text}" if "\n" not in text else f"FAIL: {len(text.splitlines())} lines: {text}"
    except Exception as error:
        return f"FAIL: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return "pass"


def recipe_of(world: World, encoder: dict[str, Any]) -> Recipe:
    """Two steps over the tiny world that train the adapter and the language model."""
    stage = {"name": "align", "train": ["adapters", "language"], "mixture": {"colours": 1}, "steps": 2, "batch_size": 4,
             "learning_rate": 1e-3, "micro_rows": 2}  # fmt: skip
    changes = {
        "model.encoders.image": encoder,
        "model.adapters.image": {"kind": "mlp"},
        "sequence.max_tokens": 512,
        "stages": [stage],
    }
    return parse_recipe(world.values(changes))


def asked(world: World, output: Path) -> None:
    """The trained run answers about a picture."""
    trained = load(output).model
    settings = GenerationSettings(max_new_tokens=4)
    Generator(trained).respond([Conversation((user(world.picture(0), "What colour is this?"),))], settings)


def cached(world: World, config: HuggingFaceConfig, folder: Path) -> None:
    """Features of the cache, of a picture alone, and of one among others are the same numbers."""
    encoder = build(config)
    pictures = [world.picture(number) for number in range(6)]
    pixels = [encoder.prepare(picture) for picture in pictures]
    with torch.inference_mode():
        together = encoder.encode(pixels)
        alone = [encoder.encode([each])[0] for each in pixels]
    FeatureCache(folder / "features", encoder.fingerprint).put([each.content_hash for each in pictures], together)
    stored = FeatureCache(folder / "features", build(config).fingerprint)
    for number, (a, b) in enumerate(zip(together, alone, strict=True)):
        assert torch.equal(a, b), f"picture {number} alone and among others: {float((a - b).abs().max()):.1e} apart"
        kept = stored.get(pictures[number].content_hash)
        assert kept is not None and torch.equal(a, kept), f"picture {number} out of the cache and live differ"


def tokens(world: World, config: HuggingFaceConfig) -> None:
    """What is said beforehand, with weights and without, is what comes out."""
    encoder, shape = build(config), meta_encoder(config, world.folder, False)
    picture = world.picture(0)
    with torch.inference_mode():
        features = encoder(torch.stack([encoder.prepare(picture)] * 3))
    assert features.shape == (3, encoder.tokens(picture), encoder.dim)
    assert encoder.tokens(picture) == encoder.grid[0] * encoder.grid[1]
    assert (shape.grid, shape.dim, shape.tokens(picture)) == (encoder.grid, encoder.dim, encoder.tokens(picture))
    assert bool(features.isfinite().all())


def weights(world: World, config: HuggingFaceConfig, folder: Path) -> None:
    """Saved by transformers as a whole, and read again, the tower has the same features."""
    from transformers import AutoModel

    whole = AutoModel.from_config(whole_config(config)).eval()
    whole.save_pretrained(folder)
    encoder: Any = build(config.model_copy(update={"architecture": None, "weights": f"file:{folder}"}))
    kind = type(encoder.model)
    (own,) = [module for module in whole.modules() if type(module) is kind][:1]
    other = encoder.model.state_dict()
    for name, tensor in own.state_dict().items():
        assert name not in other or torch.equal(tensor, other[name]), f"{name} differs from what was saved"
    assert set(other) <= set(own.state_dict()), "tensors that were not saved"
    with torch.inference_mode():
        encoder(encoder.prepare(world.picture(0))[None])


def mark(checks: dict[str, str]) -> str:
    """A row's cells in a word."""
    failing = [name for name in CHECKS if checks[name].startswith("FAIL")]
    if failing:
        return f"**fails: {', '.join(failing)}**"
    refused = [name for name in CHECKS if checks[name].startswith("refused")]
    if len(refused) == len(CHECKS):
        return "refused"
    return "pass" if not refused else f"refused: {', '.join(refused)}"


def page(values: dict[str, Any]) -> str:
    """The matrix on one page: a line per model type, and the reasons of what is refused."""
    cells = values["cells"]
    notes: dict[str, int] = {}
    lines = []
    for kind, layers in cells.items():
        texts = []
        for layer in map(str, LAYERS):
            reasons = [text for text in layers[layer].values() if text != "pass"]
            numbers = {notes.setdefault(text, len(notes) + 1) for text in reasons}
            texts.append(f"{mark(layers[layer])} {' '.join(f'[{n}]' for n in sorted(numbers))}".strip())
        lines.append(f"| {kind} | {' | '.join(texts)} |")
    whole = sum(
        any(all(text == "pass" for text in found.values()) for found in layers.values()) for layers in cells.values()
    )
    head = [
        "# Vision models of transformers as encoders, every step",
        "",
        f"{len(cells)} model types, of which {whole} pass every check with one layer at least. The checks: {', '.join(CHECKS)}.",
        "*tokens*: grid and count said beforehand are those of the real output; *cached*: features out of the cache are those",
        "computed live, bit for bit; *weights*: out of a folder that transformers saved, the same tensors. Random weights, float32,",
        "one square size.",
        "",
        "| layer | cells | pass | refused in one line | fail |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for layer in map(str, LAYERS):
        found = [text for layers in cells.values() for text in layers[layer].values()]
        good, refused = found.count("pass"), sum(text.startswith("refused") for text in found)
        head.append(f"| {layer} | {len(found)} | {good} | {refused} | {len(found) - good - refused} |")
    head += ["", "| model type | " + " | ".join(f"layer {layer}" for layer in LAYERS) + " |"]
    head += ["| --- " * (len(LAYERS) + 1) + "|", *lines, ""]
    return "\n".join([*head, *(f"[{number}] {text}\n" for text, number in notes.items())])
