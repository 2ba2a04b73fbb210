"""Fusions in recipes: one word, checked at once; parts that stages train; datasets that teach different parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from fusion.architectures import language
from tiny_world import World, tokenizer
from triptych.api import load
from triptych.errors import RecipeError
from triptych.fusion.build import build as build_fusion
from triptych.fusion.config import CrossAttendConfig, EarlyConfig, PromptConfig
from triptych.kernels.fast import EXTENDED_EAGER
from triptych.language.backbone import LanguageModel
from triptych.language.template import ChatTemplate
from triptych.model.build import build
from triptych.planner import plan
from triptych.training.optimiser import Optimiser
from triptych.training.parts import by_group, describe_parts, freeze

CROSS = {"kind": "cross_attend", "every": 2, "heads": 2, "head_dim": 8}
PROMPT = {"kind": "prompt", "length": 3, "layers": 2}
V2 = {"kind": "prompt", "length": 3, "layers": 1, "early": {"layers": 1}, "tuning": {"bias": True, "scale": True}}


def test_one_word_is_enough(world: World) -> None:
    assert world.recipe().model.fusion.kind == "splice"
    recipe = world.recipe({"model.fusion": "cross_attend"})
    assert recipe.model.fusion == CrossAttendConfig()
    with pytest.raises(RecipeError, match=r"model\.fusion: .*crossattend.*cross_attend"):
        world.recipe({"model.fusion": "crossattend"})
    with pytest.raises(RecipeError, match=r"model\.fusion.*evry"):
        world.recipe({"model.fusion": {"kind": "cross_attend", "evry": 2}})


def test_what_cannot_be_is_refused_when_the_recipe_is_read(world: World) -> None:
    alone = {"model.encoders": {"image": None}, "model.adapters": {"image": None}, "stages": [], "data": {}}
    with pytest.raises(RecipeError, match="there is no encoder whose features could be attended to"):
        world.recipe({**alone, "model.fusion": "cross_attend"})
    assert world.recipe({**alone, "model.fusion": PROMPT}).model.parts[-1] == "fusion.gates"  # text-only prompts
    with pytest.raises(RecipeError, match=r"stages\.0\.train.*fusion\.early"):
        world.recipe({"model.fusion": PROMPT, "stages.0.train": ["fusion.early"]})
    with pytest.raises(RecipeError, match="neither `bias` nor `scale`"):
        world.recipe({"model.fusion": {**V2, "tuning": {"bias": False, "scale": False}}})
    with pytest.raises(RecipeError, match="`std` must be positive"):
        world.recipe({"model.fusion": {**PROMPT, "std": 0}})


@pytest.mark.parametrize(
    ("config", "kind", "complaint"),
    [
        (
            PromptConfig(),
            "llama",
            r"model\.fusion\.layers: prompts in 30 layers, but LlamaForCausalLM has 3; set it to 3",
        ),
        (
            PromptConfig(layers=2, early=EarlyConfig(layers=2)),
            "llama",
            "first 2 and prompts in the last 2 layers overlap",
        ),
        (CrossAttendConfig(first=3), "llama", r"model\.fusion\.first: 3, but .* go from 0 to 2"),
    ],
)
def test_what_a_language_model_has_not_is_said_with_what_would_work(config: Any, kind: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        build_fusion(config, language(kind), 0.2)


def test_attention_that_cannot_be_extended_is_refused() -> None:
    config = AutoConfig.for_model(
        "gpt_neo", hidden_size=32, num_heads=4, num_layers=2, attention_types=[[["global"], 2]]
    )
    middle = LanguageModel(AutoModelForCausalLM.from_config(config), tokenizer(), ChatTemplate(tokenizer()))
    with pytest.raises(RecipeError, match=r"GPTNeoForCausalLM has no attention that can be extended.*use `splice`"):
        build_fusion(PromptConfig(layers=2), middle, 0.2)


def test_attention_spelled_out_by_the_model_takes_prompts() -> None:
    middle = language()
    middle.model.set_attn_implementation("eager")
    build_fusion(PromptConfig(layers=2), middle, 0.2)
    assert middle.model.config._attn_implementation == EXTENDED_EAGER


@pytest.mark.parametrize("fusion", [CROSS, PROMPT, V2], ids=["cross_attend", "prompt", "V2"])
def test_a_run_trains_it_and_comes_back_with_it(
    world: World, train_tiny: Callable[..., Path], fusion: dict[str, Any]
) -> None:
    recipe = world.recipe(
        {"model.fusion": fusion, "stages.0.train": ["adapters", "fusion"], "stages.1.train": ["fusion.gates"]}
        if fusion is not CROSS
        else {"model.fusion": fusion, "stages.0.train": ["adapters", "fusion"], "stages.1.train": ["fusion.blocks"]}
    )
    before = build(recipe)
    run = train_tiny(recipe)
    model = load(run).model
    names = {name for name, _ in model.part("fusion")}
    assert names == {f"fusion.{name}" for name, _ in model.fusion.named_parameters()}
    state, old = dict(model.named_parameters()), dict(before.named_parameters())
    changed = {name for name in state if not torch.equal(state[name], old[name])}
    assert {name.split(".")[0] for name in changed} == {"adapters", "fusion"}
    assert {f"fusion.{name.split('.')[1]}" for name in changed if name.startswith("fusion.")} <= set(recipe.model.parts)
    stages = json.loads((run / "run.json").read_text())["stages"]
    shown = {part["part"]: part["trained"] > 0 for part in stages[1]["parts"]}
    assert [part for part in shown if part.startswith("fusion.")] == [f"fusion.{part}" for part in model.fusion.parts]
    assert sum(shown.values()) == 1


@pytest.mark.parametrize("fusion", [CROSS, PROMPT, V2], ids=["cross_attend", "prompt", "V2"])
def test_every_part_of_a_recipe_exists_and_they_do_not_overlap(
    world: World, tiny_cache: Path, fusion: dict[str, Any]
) -> None:
    recipe = world.recipe({"model.fusion": fusion})
    model = build(recipe)
    parts = [part for part in recipe.model.parts if part.startswith("fusion.")]
    assert sorted(parts) == sorted(f"fusion.{part}" for part in model.fusion.parts)
    names = [name for part in parts for name, _ in model.part(part)]
    assert sorted(names) == sorted(name for name, _ in model.part("fusion"))
    assert len(set(names)) == len(names)
    assert sum(part.parameters for part in describe_parts(model)) == sum(p.numel() for p in model.parameters())
    with pytest.raises(KeyError):
        list(model.part("fusion.nothing"))


GROUPS = {
    "colours": ["adapters", "fusion.early"],
    "instructions": ["fusion.prompts", "fusion.gates", "fusion.tuning"],
}


def joint(world: World, **changes: Any) -> Any:
    """LLaMA-Adapter V2's joint training: pictures teach one group, instructions the other."""
    return world.recipe(
        {
            "model.fusion": {**V2, "start": "random"},
            "data.instructions": {"kind": "llava", "path": "text.json", "images": "pictures"},
            "stages.0.mixture": {"colours": 1, "instructions": 1},
            "stages.0.train": ["adapters", "fusion"],
            "stages.0.groups": GROUPS,
            "stages.0.batch_size": 8,
            "stages.0.steps": 2,
            **changes,
        }
    )


def gradients(world: World, recipe: Any, only: str | None = None) -> tuple[dict[str, torch.Tensor], float]:
    """Of the first step; with `only`, of the rows of one dataset, which then are all there is."""
    from triptych.training.data import stage_data
    from triptych.training.loop import Trainer
    from triptych.training.objectives import build as build_objective
    from triptych.training.progress import Console
    from triptych.training.run import RunFolder

    model, stage = build(recipe), recipe.stages[0]
    trained = freeze(model, stage)
    batch = stage_data(model, recipe, stage, Console(quiet=True)).reader(0).batch
    assert batch is not None
    count = batch.supervised
    if only is not None:
        batch = batch.rows(sorted({d.row for d in batch.conversations if d.dataset == only}))
    optimiser = Optimiser(stage, 2, trained)
    trainer = Trainer(model, recipe, RunFolder(Path("unused")), Console(quiet=True))
    trainer._accumulate(batch, build_objective(stage.objective), stage, optimiser, trained)
    found = {name: p.grad for name, p in optimiser.masters.items() if p.grad is not None and p.grad.abs().max() > 0}
    assert all(p.requires_grad for group in trained.values() for p in group.values())
    return {name: gradient * batch.supervised / count for name, gradient in found.items()}, count


def test_captions_and_instructions_teach_disjoint_groups(world: World, tiny_cache: Path) -> None:
    recipe = joint(world)
    pictures, count = gradients(world, recipe, "colours")
    texts, same = gradients(world, recipe, "instructions")
    assert count == same
    assert {name.split(".")[0] + "." + name.split(".")[1] for name in pictures} == {"adapters.image", "fusion.early"}
    assert {name.split(".")[1] for name in texts} == {"prompts", "gates", "tuning"}
    together, _ = gradients(world, recipe)
    assert together.keys() == pictures.keys() | texts.keys()
    for name, gradient in together.items():  # per supervised token of the whole step
        torch.testing.assert_close(gradient, {**pictures, **texts}[name], rtol=1e-4, atol=1e-7)


def test_without_groups_every_dataset_teaches_everything(world: World, tiny_cache: Path) -> None:
    everything, _ = gradients(world, joint(world, **{"stages.0.groups": {}}))
    half, _ = gradients(world, joint(world))
    assert everything.keys() >= half.keys()
    assert any(not torch.allclose(everything[name], half[name]) for name in half)


def test_rows_of_groups_hold_one_dataset_each(world: World, tiny_cache: Path) -> None:
    from triptych.training.data import stage_data
    from triptych.training.progress import Console

    recipe = joint(world)
    model = build(recipe)
    freeze(model, recipe.stages[0])
    batch = stage_data(model, recipe, recipe.stages[0], Console(quiet=True)).reader(0).batch
    assert batch is not None
    pieces = by_group(batch, GROUPS)
    assert sorted(list(parts or ()) for parts, _ in pieces) == sorted(GROUPS.values())
    assert sum(piece.supervised for _, piece in pieces) == batch.supervised
    for _, piece in pieces:
        assert len({document.dataset for document in piece.conversations}) == 1
    assert by_group(batch, {}) == [(None, batch)]


def test_groups_name_datasets_of_the_mixture_and_parts_that_are_trained(world: World) -> None:
    with pytest.raises(RecipeError, match=r"groups.*'colors'.*did you mean 'colours'"):
        joint(world, **{"stages.0.groups": {"colors": ["adapters"]}})
    with pytest.raises(RecipeError, match=r"groups\.colours.*'language'"):
        joint(world, **{"stages.0.groups": {"colours": ["language"]}})


def test_a_joint_stage_trains(world: World, train_tiny: Callable[..., Path]) -> None:
    recipe = joint(world)
    recipe = recipe.model_copy(update={"stages": recipe.stages[:1]})
    assert (train_tiny(recipe) / "weights" / "model.safetensors").exists()


@pytest.mark.parametrize("fusion", ["splice", CROSS, PROMPT, V2], ids=["splice", "cross_attend", "prompt", "V2"])
def test_a_plan_counts_what_is_put_in(world: World, tiny_cache: Path, fusion: Any) -> None:
    train = ["adapters"] if fusion == "splice" else ["adapters", "fusion"]
    recipe = world.recipe({"model.fusion": fusion, "stages.0.train": train, "stages.1.train": train})
    found, model = plan(recipe, "a100"), build(recipe)
    assert {part.name: part.parameters for part in found.parts} == {
        part.part: part.parameters for part in describe_parts(model)
    }
    stage = found.stages[0]
    assert stage.learned == sum(p.numel() for part in train for _, p in model.part(part))
    assert ("fusion" in stage.flops) == (fusion != "splice")
    positions = {"splice": 4, "cross_attend": 1, "prompt": 0}
    assert found.media_tokens == {"image": positions[fusion if isinstance(fusion, str) else fusion["kind"]]}
    kept = next(item.whole for item in stage.memory if item.name == "activations of the language model")
    assert kept > 0
    assert replace(stage, flops={}).total_flops == 0
