"""Recipes of Kosmos' kind can be planned: its decoder, and datasets that are drawn, read or not at hand."""

from __future__ import annotations

from pathlib import Path

from tiny_world import World, tokenizer
from triptych.families.composed.sizes import dataset_sizes
from triptych.planner.plan import plan


def test_kosmos_decoder_is_counted_and_its_data_measured(world: World, tiny_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("hello there, who is it?\n\nSay hello.\n")
    language = {
        "architecture": {"model_type": "kosmos_2_text_model", "vocab_size": len(tokenizer()), "embed_dim": 32,
                         "layers": 2, "ffn_dim": 48, "attention_heads": 4, "max_position_embeddings": 512},
        "tokenizer": "file:language", "precision": "float32",
    }  # fmt: skip
    data = {
        "words": {"kind": "text", "path": str(tmp_path / "words.txt")},
        "web": {"kind": "interleaved", "path": "nowhere.jsonl", "expected": {"records": 1000, "media": 3.5}},
        "episodes": {"kind": "episodes", "count": 7, "font": "file:nowhere.ttf"},
    }
    stage = {"name": "single", "train": ["language"], "mixture": dict.fromkeys(data, 1), "steps": 2, "batch_size": 2}
    recipe = world.recipe({"model.language": language, "data": data, "stages": [stage]})
    sizes = dataset_sizes(recipe, tokenizer())
    assert sizes["words"].records == 2
    assert sizes["words"].supervised > 0
    assert (sizes["web"].records, sizes["web"].media) == (1000, 3.5)
    assert sizes["episodes"].records == 7
    counted = {part.name: part.parameters for part in plan(recipe).parts}
    assert counted["language"] > 2 * (4 * 32 * 32 + 2 * 32 * 48)
