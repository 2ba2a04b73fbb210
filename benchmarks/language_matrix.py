"""Every causal language model of transformers that builds small, with every fusion, through every step: pass or refused.

python -m benchmarks language_matrix                        all of `language_models.json`
python -m benchmarks language_matrix --variants llama mamba  these; the others' results stay

Weights are random and redrawn so large that every layer shows in the numbers. A cell is *refused* where one line says why,
and *fails* with any other exception or with another number. Equality is asked for in float32: the same words, and hidden
states within 1e-5 of the largest. In bfloat16 the first word that differs has to be a near tie.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.results import Settings, write

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from tiny_world import World, make, talk  # noqa: E402
from triptych.api import load  # noqa: E402
from triptych.cli.commands.inspect import show  # noqa: E402
from triptych.conversation import Conversation, user  # noqa: E402
from triptych.errors import TriptychError  # noqa: E402
from triptych.generate.config import GenerationSettings  # noqa: E402
from triptych.generate.generator import Generator  # noqa: E402
from triptych.model.build import build  # noqa: E402
from triptych.model.composed import MultimodalModel  # noqa: E402
from triptych.planner.plan import plan  # noqa: E402
from triptych.recipe import Recipe, parse_recipe  # noqa: E402
from triptych.sequence.pack import Batch, pack  # noqa: E402
from triptych.sequence.plan import Layout  # noqa: E402
from triptych.training.loop import train  # noqa: E402
from triptych.weights.quiet import silent  # noqa: E402

TABLE = Path(__file__).with_name("language_models.json")
"""Model type → the values of its configuration that make it small."""

FUSIONS: dict[str, dict[str, Any]] = {
    "splice": {"kind": "splice"},
    "cross_attend": {"kind": "cross_attend", "every": 2, "heads": 2, "head_dim": 8},
    "prompt": {"kind": "prompt", "length": 3, "layers": 2},
}
ROWS = {**{fusion: (fusion, "float32") for fusion in FUSIONS}, "splice, bfloat16": ("splice", "bfloat16")}
"""Rows of a model type: fusion and precision."""

CHECKS = ("plan", "inspect", "train", "ask", "packed", "cached", "batch")
ANSWER = GenerationSettings(max_new_tokens=8)
PACKED = 1e-5
"""Between documents in one row and alone, over the largest hidden state, in float32; in bfloat16 a mixture's router may
choose another expert, and words are compared."""

GAP = 0.05
"""In bfloat16: between the logits of the first words that differ, over the largest logit. Where a mixture's router is near
a tie, more is allowed: what another rounding of the embeddings moves the logits of this place by (`rounded`)."""


def run(settings: Settings) -> None:
    """Go through the table; kinds that are not asked for keep the results of an earlier run."""
    table: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    path = settings.folder / "language_matrix.json"
    cells: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else {}
    cells = {kind: found for kind, found in cells.items() if kind in table}
    chosen = settings.variants or (("llama", "gpt2", "mamba") if settings.quick else tuple(table))
    with tempfile.TemporaryDirectory(prefix="triptych-matrix-") as name:
        folder = Path(name)
        os.environ["TRIPTYCH_CACHE"] = str(folder / "cache")
        world = make_world(folder / "world")
        for kind in chosen:
            cells[kind] = {name: row(world, kind, table[kind], *ROWS[name], folder) for name in ROWS}
            marks = {name: mark(cells[kind][name]) for name in ROWS}
            settings.say(f"{kind}: {', '.join(f'{name} {text}' for name, text in marks.items())}")
            write("language_matrix", {"cells": dict(sorted(cells.items()))}, page, settings)  # a stopped run goes on
    if failures := [
        f"{k} {f} {c}" for k, x in cells.items() for f, y in x.items() for c, z in y.items() if z[0] == "F"
    ]:
        sys.exit(f"{len(failures)} cells fail: {', '.join(failures[:20])}")


def make_world(folder: Path) -> World:
    """The tests' tiny world."""
    folder.mkdir()
    with silent():
        return make(folder)


def row(world: World, kind: str, values: dict[str, Any], fusion: str, precision: str, folder: Path) -> dict[str, str]:
    """Every check of one language model with one fusion: `pass`, `refused: …` or `FAIL: …`."""
    try:
        recipe = recipe_of(world, kind, values, fusion, precision)
    except TriptychError as error:
        return dict.fromkeys(CHECKS, f"refused: {reason(error)}")
    output = Path(tempfile.mkdtemp(dir=folder)) / "run"
    results: dict[str, str] = {}
    model: list[MultimodalModel] = []

    def redrawn() -> MultimodalModel:
        if not model:
            model.append(redraw(build(recipe)))
        return model[0]

    checks: dict[str, Callable[[], None]] = {
        "plan": lambda: plan(recipe) and None,
        "inspect": lambda: show(recipe, 0, None, None),
        "train": lambda: train(recipe, output, quiet=True) and None,
        "ask": lambda: asked(world, redrawn(), output, fusion),
        "packed": lambda: packed(world, redrawn()),
        "cached": lambda: cached(world, redrawn()),
        "batch": lambda: batch(world, redrawn()),
    }
    for name in CHECKS:
        if name != "packed" or precision == "float32":
            # What was not trained is not asked, for the same reason.
            untrained = name == "ask" and results["train"] != "pass"
            results[name] = results["train"] if untrained else outcome(checks[name])
    return results


def outcome(check: Callable[[], None]) -> str:
    """How a check ends."""
    try:
        with silent(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            check()
    except TriptychError as error:
        text = reason(error)
        return f"refused: {text}" if "\n" not in text else f"FAIL: {len(text.splitlines())} lines: {text}"
    except Exception as error:
        return f"FAIL: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return "pass"


def reason(error: TriptychError) -> str:
    """What is refused, without the heading above the mistakes of a recipe."""
    heading, _, rest = str(error).strip().partition("\n")
    return rest.strip() if heading.endswith("mistake(s):") else str(error).strip()


def recipe_of(world: World, kind: str, values: dict[str, Any], fusion: str, precision: str = "float32") -> Recipe:
    """Two steps over the tiny world that train the adapter, the language model and the fusion."""
    parts = ["adapters", "language", *(["fusion"] if fusion != "splice" else [])]
    language = {"architecture": {"model_type": kind, **values}, "tokenizer": "file:language", "precision": precision}
    stage = {"name": "align", "train": parts, "mixture": {"colours": 1}, "steps": 2, "batch_size": 4,
             "learning_rate": 1e-3, "micro_rows": 2}  # fmt: skip
    changes = {"model.language": language, "model.fusion": FUSIONS[fusion], "stages": [stage]}
    return parse_recipe(world.values(changes))


def redraw(model: MultimodalModel) -> MultimodalModel:
    """The same model with weights that show: nothing is small enough to hide, no gate is shut."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.language.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2, generator=generator)
        for parameter in model.fusion.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter.dtype) * 0.3)
    return model.eval()


def questions(world: World) -> list[Conversation]:
    """Text alone, a picture, and several questions about one picture, of different lengths."""
    texts = ("What colour is this?", "And on the left?", "Is it red", "blue")
    pictures = [Conversation((user(world.picture(i // 2), text),)) for i, text in enumerate(texts)]
    return [talk("What is this"), *pictures, talk("Is it red, too, or blue or green?")]


def asked(world: World, model: MultimodalModel, output: Path, fusion: str) -> None:
    """The trained run answers; with `splice`, a text is answered as transformers' own forward pass answers it."""
    trained = load(output).model
    Generator(trained).respond(questions(world), ANSWER)
    if fusion != "splice":
        return
    for conversation in (questions(world)[0], questions(world)[-1]):
        layout = model.plan(conversation, reply=True)
        ids = list(layout.ids)
        with torch.no_grad():
            for _ in range(ANSWER.max_new_tokens):
                ids.append(
                    int(model.language.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
                )
                if ids[-1] == model.language.template.end[-1]:
                    break
        same(model, conversation, words(model, [conversation])[0], tuple(ids[len(layout.ids) :]))


def packed(world: World, model: MultimodalModel) -> None:
    """Documents in one row, or in rows of their own, have the hidden states that each has alone."""
    made = [model.plan(conversation, reply=True) for conversation in questions(world)]
    together = with_pixels(model, pack(made, 192, alone=model.language.capabilities.packing == "rows"))
    with torch.no_grad():
        states = model(together)
        for layout in made:
            alone = model(with_pixels(model, pack([layout], 192)))[0]
            number = next(
                n
                for n, document in enumerate(together.conversations)
                if tuple(together.ids[together.documents == n].tolist()) == layout.ids
                and len(document.media) == len(layout.spans)
                and [together.media[m].content_hash for m in document.media]
                == [span.medium.content_hash for span in layout.spans]
            )
            found = states[together.documents == number]
            apart = float((found - alone).abs().max() / alone.abs().max())
            assert apart <= PACKED, f"packed and alone lie {apart:.1e} apart"


def cached(world: World, model: MultimodalModel) -> None:
    """An answer written with what was read before is that of full forward passes."""
    for conversation in (questions(world)[0], questions(world)[1]):
        same(model, conversation, words(model, [conversation])[0], uncached(model, conversation))


def batch(world: World, model: MultimodalModel) -> None:
    """Conversations answered together get the answers that each gets alone."""
    for conversation, together in zip(questions(world), words(model, questions(world)), strict=True):
        same(model, conversation, together, words(model, [conversation])[0])


def same(model: MultimodalModel, conversation: Conversation, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Two answers are equal; in bfloat16, up to a near tie."""
    if found == expected:
        return
    place = next(i for i, (a, b) in enumerate(zip((*found, -1), (*expected, -1), strict=False)) if a != b)
    told = f"token {place} differs: {found} and {expected}"
    assert model.language.embedding.weight.dtype == torch.bfloat16, told
    scores = after(model, conversation, expected[:place]).float()
    gap = float((scores[found[place]] - scores[expected[place]]).abs() / scores.abs().max())
    if gap <= GAP:
        return
    moved = max(float((after(other, conversation, expected[:place]) - scores).abs().max()) for other in rounded(model))
    rounding = moved / float(scores.abs().max())
    assert gap <= rounding, f"{told}, their logits {gap:.3f} apart, where rounding moves them by {rounding:.3f}"


def rounded(model: MultimodalModel, draws: int = 8) -> Iterator[MultimodalModel]:
    """The model with token embeddings that are rounded in other ways: by less than a unit in their last place."""
    for seed in range(draws):
        other = copy.deepcopy(model)
        weight = other.language.embedding.weight
        noise = torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        with torch.no_grad():
            weight.copy_(weight.float() * (1 + noise * torch.finfo(weight.dtype).eps / 2))
        yield other


def words(model: MultimodalModel, conversations: list[Conversation]) -> list[tuple[int, ...]]:
    """The ids of the answers."""
    return [answer.tokens for answer in Generator(model).answers(conversations, ANSWER)]


def uncached(model: MultimodalModel, conversation: Conversation) -> tuple[int, ...]:
    """The ids that full forward passes choose."""
    ids: list[int] = []
    while len(ids) < ANSWER.max_new_tokens and (not ids or ids[-1] != model.language.template.end[-1]):
        ids.append(int(after(model, conversation, tuple(ids)).argmax()))
    return tuple(ids)


def after(model: MultimodalModel, conversation: Conversation, ids: tuple[int, ...]) -> Tensor:
    """Logits `[V]` of the token after a prompt and `ids`, by the training path."""
    layout = model.plan(conversation, reply=True)
    grown = Layout(layout.ids + ids, layout.labels + (-100,) * len(ids), layout.spans)
    with torch.no_grad():
        scores: Tensor = model.language.logits(model(with_pixels(model, pack([grown], 512)))[0, -1])
    return scores


def with_pixels(model: MultimodalModel, made: Batch) -> Batch:
    """A batch with the inputs of its media."""
    pixels = tuple(model.encoder("image").prepare(medium) for medium in made.media)
    return made.with_prepared("image", pixels)


def mark(checks: dict[str, str]) -> str:
    """A row's cells in a word."""
    failing = [name for name, text in checks.items() if text.startswith("FAIL")]
    if failing:
        return f"**fails: {', '.join(failing)}**"
    refused = [name for name, text in checks.items() if text.startswith("refused")]
    if len(refused) == len(checks):
        return "refused"
    return "pass" if not refused else f"refused: {', '.join(refused)}"


def page(values: dict[str, Any]) -> str:
    """The matrix on one page: a line per model type, and the reasons of what is refused."""
    cells = values["cells"]
    notes: dict[str, int] = {}
    lines = []
    for kind, rows in cells.items():
        texts = []
        for name in ROWS:
            reasons = [text for text in rows[name].values() if text != "pass"]
            numbers = {notes.setdefault(text.replace(f"'{kind}'", "'…'"), len(notes) + 1) for text in reasons}
            texts.append(f"{mark(rows[name])} {' '.join(f'[{n}]' for n in sorted(numbers))}".strip())
        lines.append(f"| {kind} | {' | '.join(texts)} |")
    head = [
        "# Language models: every causal class that builds small, every fusion, every step",
        "",
        f"{len(cells)} model types of transformers, {len(CHECKS)} checks each: {', '.join(CHECKS)}. *packed*: within {PACKED:g} of alone;",
        "*cached*, *batch*: the same words as full forward passes, as alone; *ask* with `splice`: the words of transformers' own",
        "forward pass. Random weights, float32; in bfloat16 (without *packed*) the first word that differs lies within",
        f"{GAP:g} of the largest logit, or within what another rounding of the embeddings moves logits there.",
        "",
        "| fusion | cells | pass | refused in one line | fail |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in ROWS:
        found = [text for rows in cells.values() for text in rows[name].values()]
        good, refused = found.count("pass"), sum(text.startswith("refused") for text in found)
        share = good / max(1, len(found))
        head.append(f"| {name} | {len(found)} | {good} ({share:.1%}) | {refused} | {len(found) - good - refused} |")
    head += ["", "| model type | " + " | ".join(ROWS) + " |", "| --- " * (len(ROWS) + 1) + "|", *lines, ""]
    return "\n".join([*head, *(f"[{number}] {text}\n" for text, number in notes.items())])
