"""Parts that do not go together are refused when the recipe is read, with what would work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from triptych.errors import RecipeError
from triptych.recipe import load_recipe, parse_recipe
from triptych.weights import SMOLLM2

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
}

RANDOM: dict[str, Any] = {"architecture": LLAMA, "tokenizer": "file:nowhere"}
SQUARE = {"kind": "efficientnet", "weights": None, "resolution": 96}
CLIP = {"kind": "huggingface", "weights": "hf:openai/clip-vit-large-patch14"}
TOWER = {
    "kind": "huggingface",
    "architecture": {
        "model_type": "clip_vision_model",
        "image_size": 32,
        "patch_size": 8,
        "hidden_size": 24,
        "num_hidden_layers": 2,
    },
}


def values(
    stage: dict[str, Any] | None = None, language: dict[str, Any] | None = None, image: Any = SQUARE, **model: Any
) -> dict[str, Any]:
    """A recipe: a LLaMA of four layers and width 48, a grid of 3 × 3 cells."""
    recipe: dict[str, Any] = {
        "name": "x",
        "model": {"language": language or RANDOM, "encoders": {"image": image}, **model},
        "data": {"scenes": {"kind": "scenes", "count": 4}},
    }
    if stage is not None:
        recipe["stages"] = [{"name": "only", "mixture": {"scenes": 1}, "steps": 1, "train": ["adapters"], **stage}]
    return recipe


def adapter(kind: str, **options: Any) -> dict[str, Any]:
    return {"image": {"kind": kind, **options}}


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"fusion": {"kind": "prompt", "layers": 5}},
        r"model\.fusion\.layers: prompts in 5 layers.*has 4; set it to 4 or less",
    ),
    (
        {"fusion": {"kind": "prompt", "layers": 4, "early": {"layers": 1}}},
        r"model\.fusion\.early\.layers: .*overlap.*lower one of them",
    ),
    ({"fusion": {"kind": "cross_attend", "first": 4}}, r"model\.fusion\.first: 4, but .* go from 0 to 3"),
    ({"language": {"weights": SMOLLM2}, "fusion": {"kind": "prompt", "layers": 31}}, "set it to 30 or less"),
    (
        {"language": {"weights": "hf:HuggingFaceTB/SmolLM2-360M-Instruct"}, "fusion": {"kind": "prompt", "layers": 33}},
        "set it to 32 or less",
    ),
    (
        {"language": {"weights": "hf:meta-llama/Llama-2-7b-hf"}, "fusion": {"kind": "cross_attend", "first": 32}},
        "go from 0 to 31",
    ),
    (
        {"fusion": "cross_attend", "image": None, "adapters": {"image": None}},
        r"model: .*no encoder whose features could be attended to",
    ),
    ({"fusion": "crossattend"}, r"model\.fusion.*did you mean 'cross_attend'"),
    ({"adapters": adapter("qformer", heads=7)}, r"model\.adapters\.image: .*does not divide"),
    (
        {"adapters": adapter("connector", heads=7)},
        r"model\.adapters\.image: .*does not divide the language model's width 48; `heads: 1` does",
    ),
    (
        {"image": CLIP, "adapters": adapter("perceiver", project=False)},
        r"model\.adapters\.image: .*1024 channels.*48; take `project: true`",
    ),
    ({"adapters": adapter("mlp", pool=2)}, r"model\.adapters\.image: .*needs `reduction"),
    (
        {"adapters": adapter("perceiver", pool=3, reduction="average")},
        r"model\.adapters\.image: .*leaves one position of a grid of 3 × 3; take a smaller one",
    ),
    ({"adapters": {"image": None}}, "set both or neither"),
    *(
        (
            {"image": {**SQUARE, "resolution": 32}, "adapters": adapter(kind)},
            r"model\.adapters\.image: .*puts out a single vector; take `kind: linear` or `kind: mlp`",
        )
        for kind in ("qformer", "perceiver", "connector")
    ),
    *(
        (
            {"image": {**tower, "drop_cls": False}, "adapters": adapter(kind, **{"positions": False, **options})},
            rf"model\.adapters\.image: kind '{kind}': `{said}.*set `drop_cls: true` there",
        )
        for tower in (CLIP, TOWER)
        for kind, options, said in (
            ("linear", {"positions": True}, "positions: true"),
            ("mlp", {"pool": 2, "reduction": "pixel_shuffle"}, "pool: 2"),
            ("mlp", {"markers": "places"}, "markers: places"),
            ("connector", {"pool": 2, "reduction": "average"}, "pool: 2"),
            ("perceiver", {"media_positions": 2}, "media_positions: 2"),
        )
    ),
    *(
        (
            {"adapters": adapter(kind, markers="places")},
            r"model\.adapters\.image: `markers` stand in front of the cells of a grid.*take `kind: linear` or `kind: mlp`",
        )
        for kind in ("qformer", "perceiver", "connector")
    ),
    (
        {"fusion": {"kind": "prompt", "layers": 2}, "adapters": adapter("linear", markers="places")},
        r"model\.adapters\.image\.markers: .*takes the mean.*set `markers: none`, or fuse by `splice`",
    ),
    (
        {"fusion": {"kind": "prompt", "layers": 2}, "stage": {"objective": {"kind": "phrase_alignment"}}},
        r"stages\.0\.objective: .*takes the mean of all positions; take `objective: \{kind: next_token\}`",
    ),
    *(
        (
            {"fusion": fusion, "stage": {"objective": {"kind": "phrase_alignment"}, "train": ["adapters", part]}},
            rf"stages\.0\.train\.1: '{part}' learns nothing from `phrase_alignment`.*take `objective: ",
        )
        for fusion, part in (("cross_attend", "fusion"), ("splice", "language"), ("splice", "language.embeddings"))
    ),
    (
        {"stage": {"train": ["fusion"]}},
        r"stages\.0\.train\.0.*'fusion' is not known.*`fusion: splice` has no parameters: train `adapters`, or",
    ),
    ({"stage": {"train": ["language.lora"]}}, r"stages\.0\.train\.0.*set `model\.language\.lora` to have it"),
    (
        {"image": None, "adapters": {"image": None}, "stage": {"train": ["adapters"]}},
        r"stages\.0\.train\.0.*set `model\.encoders\.image` and `model\.adapters\.image` to have it",
    ),
]


@pytest.mark.parametrize(("model", "expected"), WRONG)
def test_what_does_not_fit_is_refused_with_what_would(model: dict[str, Any], expected: str) -> None:
    with pytest.raises(RecipeError, match=expected) as refusal:
        parse_recipe(values(**model), name="here.yaml")
    assert str(refusal.value).startswith("here.yaml has 1 mistake(s):\n")


RIGHT: list[dict[str, Any]] = [
    {"fusion": {"kind": "prompt", "layers": 4}},
    {"fusion": {"kind": "prompt", "layers": 3, "early": {"layers": 1}}},
    {"fusion": {"kind": "cross_attend", "first": 3}, "stage": {"train": ["fusion", "adapters"]}},
    {"adapters": adapter("connector", heads=6)},
    {"adapters": adapter("perceiver", pool=2, reduction="average")},
    {"image": {**TOWER, "drop_cls": False}, "adapters": adapter("perceiver")},
    {"image": {**TOWER, "drop_cls": False}, "adapters": adapter("linear", positions=False)},
    {"image": {**SQUARE, "resolution": 32}, "adapters": adapter("linear")},
    {
        "fusion": {"kind": "prompt", "layers": 2, "early": {"layers": 1}},
        "stage": {"objective": {"kind": "phrase_alignment"}},
    },
    {"image": None, "adapters": {"image": None}, "fusion": {"kind": "prompt", "layers": 2}},
]


@pytest.mark.parametrize("model", RIGHT)
def test_what_fits_is_read_and_can_be_built(model: dict[str, Any]) -> None:
    from triptych.families.composed.shape import build_composed_shape as build

    build(parse_recipe(values(**model)), bfloat16_encoder=False)


def test_a_folder_at_hand_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_layer": 6, "n_embd": 32}))
    (tmp_path / "both").mkdir()
    tower = {**TOWER["architecture"], "model_type": "siglip_vision_model"}  # type: ignore[dict-item]
    halves = {"model_type": "llava", "text_config": {**LLAMA, "num_hidden_layers": 7}, "vision_config": tower}
    (tmp_path / "both" / "config.json").write_text(json.dumps(halves))

    def read(language: str, **model: Any) -> None:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(values(language={"weights": f"file:{language}"}, **model)))
        load_recipe(path)

    with pytest.raises(RecipeError, match=r"recipe\.yaml has 1 mistake.*\n.*go from 0 to 5"):
        read("words", fusion={"kind": "cross_attend", "first": 6})
    with pytest.raises(RecipeError, match="set it to 6 or less"):
        read("words", fusion={"kind": "prompt", "layers": 7})
    with pytest.raises(RecipeError, match="set it to 7 or less"):
        read("both", fusion={"kind": "prompt", "layers": 8})
    seen = {"kind": "huggingface", "weights": "file:both"}
    with pytest.raises(RecipeError, match="grid of 4 × 4; take a smaller one"):
        read("both", image=seen, adapters=adapter("connector", pool=4, reduction="average"))
    read("both", image={**seen, "drop_cls": False})  # SigLIP has no class token
    read("nowhere", fusion={"kind": "prompt", "layers": 99})  # whoever loads it says so


@pytest.mark.parametrize(
    "unknown",
    [
        {"language": {"weights": "hf:nobody/knows"}, "fusion": {"kind": "prompt", "layers": 99}},
        {"language": {"weights": "file:model.gguf"}, "fusion": {"kind": "cross_attend", "first": 99}},
        {"image": {"kind": "huggingface", "weights": "hf:nobody/knows", "drop_cls": False}},
        {"image": {"kind": "my_package.module:MyEncoder"}, "adapters": adapter("qformer")},
        {"image": {**TOWER, "resolution": 33}, "adapters": adapter("qformer")},
    ],
)
def test_what_cannot_be_known_yet_is_left_to_the_build(unknown: dict[str, Any]) -> None:
    parse_recipe(values(**unknown))


def test_several_mistakes_are_told_at_once() -> None:
    wrong = values(
        fusion={"kind": "prompt", "layers": 9},
        adapters=adapter("connector", heads=7),
        stage={"objective": {"kind": "phrase_alignment"}, "train": ["language"]},
    )
    with pytest.raises(RecipeError, match=r"4 mistake\(s\)"):
        parse_recipe(wrong)


def test_neither_torch_nor_transformers_is_needed() -> None:
    code = (
        "import sys, json; from triptych.recipe import parse_recipe\n"
        "try: parse_recipe(json.loads(sys.argv[1]))\n"
        "except Exception as error: print(error, [m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    wrong = values(language={"weights": SMOLLM2}, fusion={"kind": "prompt", "layers": 31}, image=CLIP)
    done = subprocess.run([sys.executable, "-c", code, json.dumps(wrong)], capture_output=True, text=True, check=True)
    assert "30 or less" in done.stdout and done.stdout.strip().endswith("[]")
