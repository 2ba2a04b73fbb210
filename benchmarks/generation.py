"""Answering side by side: 16 requests of unequal length, Triptych against transformers' `generate` with left padding."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Measurement, Side, alternate, pairwise_ratio, run_side, summary
from benchmarks.results import Settings, gibibytes, short, table, write

REQUESTS = 16
NEW_TOKENS = 64
TARGET = 2.0
EQUAL_REQUESTS, EQUAL_TOKENS = 16, 16
"""Requests and tokens of the check of equal answers: float32 is slow on a CPU."""
VARIANTS = {
    "distinct": "16 requests, each about another picture",
    "shared": "16 requests about 4 pictures, 4 each",
    "seen": "16 follow-up requests about 16 pictures that were asked about before",
}


def run(settings: Settings) -> None:
    """Measure and write `generation.json` and `generation.md`."""
    requests, new_tokens = (6, 16) if settings.quick else (REQUESTS, NEW_TOKENS)
    with tempfile.TemporaryDirectory(prefix="triptych-benchmark-") as temporary:
        folder = Path(temporary)
        size = {"pictures": 2 * REQUESTS, "epochs": 1, "batch_size": 4}
        settings.say("the same answers? (float32, small tower)")
        for name, small in (("small", True), ("full", False)):
            run_side(Side("benchmarks.setting:prepare", {"folder": str(folder / name), "small": small, **size}))
        small_arguments = {
            "folder": str(folder / "small"),
            "requests": EQUAL_REQUESTS,
            "new_tokens": EQUAL_TOKENS,
            "variants": list(VARIANTS),
        }
        mine = run_side(Side("benchmarks.generation:ours", small_arguments)).values
        other = run_side(Side("benchmarks.generation:theirs", {**small_arguments, "precision": "float32"})).values
        for variant in VARIANTS:
            if mine[variant]["answers"] != other[variant]["answers"]:
                raise AssertionError(f"{variant}: the sides do not give the same answers in float32")
        arguments = {
            "folder": str(folder / "full"),
            "requests": requests,
            "new_tokens": new_tokens,
            "variants": list(VARIANTS)[:1] if settings.quick else list(settings.variants or VARIANTS),
        }
        sides = {
            "triptych": Side("benchmarks.generation:ours", arguments),
            "transformers": Side("benchmarks.generation:theirs", {**arguments, "precision": "pure"}),
        }
        measured = alternate(sides, settings.runs, say=settings.say)
    setting = {"requests": requests, "new_tokens": new_tokens}
    write("generation", {"setting": setting, "variants": _compared(measured, arguments["variants"])}, _page, settings)


def requests_of(source: Any, variant: str, count: int) -> list[Any]:
    """Conversations that end with a question: more or fewer turns before it, every fourth asks for a description."""
    from triptych.conversation import Conversation, user

    made = []
    for i in range(count):
        picture = i // 4 if variant == "shared" else i
        if i % 4 == 3:
            talk = source[2 * picture + 1]
            made.append(Conversation(talk.messages[:1], id=f"request {i}"))
            continue
        talk = source[2 * picture]
        turns = min(len(talk.messages) // 2 - 1, (0, 2, 5)[i % 4])
        messages = talk.messages[: 2 * turns + 1]
        if i % 4 == 0:
            messages = (user(*messages[0].media, "Tell me about this picture."),)
        made.append(Conversation(messages, id=f"request {i}"))
    return made


def ours(folder: str, requests: int, new_tokens: int, variants: Sequence[str]) -> dict[str, Any]:
    """Answer with Triptych's generator."""
    from triptych.generate.config import GenerationSettings
    from triptych.generate.generator import Generator
    from triptych.model.build import build

    recipe, source = _data(folder)
    model = build(recipe).eval()
    settings = GenerationSettings(max_new_tokens=new_tokens, batch_size=requests)
    found = {}
    for variant in variants:
        generator = Generator(model)
        generator.respond(_warm_up(source), settings.model_copy(update={"max_new_tokens": 2}))
        asked = requests_of(source, variant, requests)
        if variant == "seen":
            generator.features([image for one in asked for image in one.media])
        began = time.perf_counter()
        replies = generator.respond(asked, settings)
        seconds = time.perf_counter() - began
        found[variant] = {
            "seconds": seconds,
            "answers": [reply.text.strip() for reply in replies],
            "tokens": [reply.tokens for reply in replies],
            "prompt_tokens": [len(model.plan(one, reply=True)) for one in asked],
        }
    return found


def theirs(folder: str, requests: int, new_tokens: int, variants: Sequence[str], precision: str) -> dict[str, Any]:
    """Answer with `generate`: one batch, padded on the left; pixel values and ids were made before the clock starts."""
    import torch

    from benchmarks import llava

    _, source = _data(folder)
    model, tokenizer = llava.load(Path(folder) / "llava", precision)
    model.eval()
    collate = llava.Collator(tokenizer.pad_token_id, model.dtype, left=True)

    def answer(asked: Sequence[Any], limit: int) -> tuple[float, list[list[int]]]:
        inputs = collate([llava.example(one, tokenizer, model.config.image_seq_length, prompt=True) for one in asked])
        began = time.perf_counter()
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=limit, do_sample=False, use_cache=True)
        seconds = time.perf_counter() - began
        return seconds, ids[:, inputs["input_ids"].shape[1] :].tolist()

    found = {}
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    for variant in variants:
        answer(_warm_up(source), 2)
        seconds, ids = answer(requests_of(source, variant, requests), new_tokens)
        spoken = [one[: one.index(end)] if end in one else one for one in ids]
        texts = [tokenizer.decode(one, skip_special_tokens=True) for one in spoken]
        found[variant] = {
            "seconds": seconds,
            "answers": [text.strip() for text in texts],
            "tokens": [len(one) + (end in all_) for one, all_ in zip(spoken, ids, strict=True)],
        }
    return found


def _data(folder: str) -> tuple[Any, Any]:
    from triptych.data.sources import build as build_source
    from triptych.recipe import load_recipe

    recipe = load_recipe(Path(folder) / "recipe.yaml")
    return recipe, build_source(recipe.data["talks"], Path(recipe.base))


def _warm_up(source: Any) -> list[Any]:
    """Two short requests about pictures that are not asked about later, so that no side pays for its first call."""
    from triptych.conversation import Conversation

    return [Conversation(source[i].messages[:1]) for i in (len(source) - 2, len(source) - 4)]


def _compared(measured: Mapping[str, Sequence[Measurement]], variants: Sequence[str]) -> dict[str, Any]:
    found = {}
    for variant in variants:
        seconds = {side: [m.values[variant]["seconds"] for m in runs] for side, runs in measured.items()}
        mine, other = (measured[side][0].values[variant] for side in ("triptych", "transformers"))
        found[variant] = {
            "seconds": {side: summary(values) for side, values in seconds.items()},
            "speed_ratio": pairwise_ratio(seconds["transformers"], seconds["triptych"]),
            "prompt_tokens": mine["prompt_tokens"],
            "answer_tokens": {"triptych": mine["tokens"], "transformers": other["tokens"]},
            "equal_answers": sum(a == b for a, b in zip(mine["answers"], other["answers"], strict=True)),
            "answers": {"triptych": mine["answers"], "transformers": other["answers"]},
        }
    memory = {side: [m.peak_memory_bytes for m in runs] for side, runs in measured.items()}
    return {
        "by_variant": found,
        "peak_memory_bytes": {side: summary(values) for side, values in memory.items()},
        "memory_ratio": pairwise_ratio(memory["triptych"], memory["transformers"]),
    }


def _page(values: dict[str, Any]) -> str:
    setting, compared = values["setting"], values["variants"]
    rows = []
    for variant, entry in compared["by_variant"].items():
        tokens = entry["answer_tokens"]["transformers"]
        rows.append(
            [
                VARIANTS[variant] if setting["requests"] == REQUESTS else variant,
                short(entry["seconds"]["triptych"]),
                short(entry["seconds"]["transformers"]),
                f"**{short(entry['speed_ratio'])} ×**",
                f"{min(entry['prompt_tokens'])}–{max(entry['prompt_tokens'])}",
                f"{min(tokens)}–{max(tokens)}, {sum(tokens)} in all",
                f"{entry['equal_answers']} of {len(tokens)}",
            ]
        )
    head = ["", "Triptych, s", "transformers, s", "ratio", "prompt tokens", "answer tokens", "equal answers"]
    memory = compared["peak_memory_bytes"]
    return f"""# Generation, side by side

{setting["requests"]} requests of unequal length at once, greedy, answers of up to {setting["new_tokens"]} tokens that stop at the end of
the turn; CLIP ViT-L/14 (random weights) and SmolLM2-135M in bfloat16 on both sides. Medians (and extremes) of processes that take
turns; ratios pair by pair; wanted: {TARGET:.0f} ×.

{table(head, rows)}

Peak memory of the process, all variants: Triptych {gibibytes(memory["triptych"])} GiB, transformers
{gibibytes(memory["transformers"])} GiB: **{short(compared["memory_ratio"])} ×**.

Seconds hold everything from the requests to the texts. Triptych draws and prepares the pictures, plans the tokens and decodes the
texts inside of them; the other side is handed padded ids and pixel values. Both encode the pictures within the time, except that
Triptych keeps the adapted features of recent pictures: in the last variant it has them, and `generate` has no place to keep them.
Requests about one picture share what they begin with, which Triptych reads once. In float32 with a small tower both sides give the same
answers ({EQUAL_TOKENS} tokens, {EQUAL_REQUESTS} requests of every variant); in bfloat16 rounding decides between tokens that are almost equally likely, and the
(untrained) model leaves many such."""
