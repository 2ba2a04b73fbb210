"""Kosmos-1's way: one stage, every part, one mixture of text, captions and interleaved documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tiny_world import World, tokenizer
from triptych.errors import WeightsError
from triptych.weights import OPENMOJI_FONT, fetch


@pytest.fixture(scope="session")
def font() -> str:
    try:
        return f"file:{fetch(OPENMOJI_FONT)}"
    except WeightsError as error:
        pytest.skip(f"the font of the scenes cannot be had: {error}")


@pytest.mark.parametrize("decoder", ["llama", "kosmos"])
def test_text_captions_and_episodes_train_every_part_in_one_stage(
    decoder: str, font: str, world: World, train_tiny: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "words.txt").write_text("hello there, who is it?\n\nSay hello.\n\nIt is red.\n")
    (tmp_path / "web.jsonl").write_text(
        json.dumps({"parts": [{"text": "A picture:"}, {"image": "00.png"}, {"text": " It is red."}]})
    )
    drawn = {"count": 8, "things": 6, "font": font}
    data = {
        "words": {"kind": "text", "path": str(tmp_path / "words.txt")},
        "facts": {"kind": "scenes", "style": "text", **drawn},
        "captions": {"kind": "scenes", "style": "document", **drawn},
        "web": {"kind": "interleaved", "path": str(tmp_path / "web.jsonl"), "images": str(world.folder / "pictures")},
        "episodes": {"kind": "episodes", "form": "document", "pictures": 4, **drawn},
    }
    changes = {
        "data": data,
        "sequence": {"max_tokens": 256},
        "stages": [
            {"name": "single", "train": ["adapters", "encoders", "language"], "mixture": dict.fromkeys(data, 1),
             "steps": 6, "batch_size": 10, "learning_rate": 3e-3},
        ],
    }  # fmt: skip
    if decoder == "kosmos":
        architecture = {
            "model_type": "kosmos_2_text_model",
            "vocab_size": len(tokenizer()),
            "embed_dim": 32,
            "layers": 2,
        }
        architecture |= {"ffn_dim": 48, "attention_heads": 4, "max_position_embeddings": 512}
        changes["model.language"] = {
            "architecture": architecture, "tokenizer": "file:language", "precision": "float32"
        }  # fmt: skip
    run = train_tiny(changes)
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    ledger = run / "ledger.jsonl"
    assert not ledger.exists() or not ledger.read_text()
    (stage,) = json.loads((run / "run.json").read_text())["stages"]
    assert all(part["trained"] for part in stage["parts"])
