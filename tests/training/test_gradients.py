"""The loss is per supervised token, globally: no split of a batch, over micro-batches or processes, changes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import forked
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tiny_world import World
from triptych.data.mixture import Mixture
from triptych.data.sources import build as build_source
from triptych.families.composed.next_token import cross_entropy
from triptych.families.composed.objectives import NextToken
from triptych.model.composed import MultimodalModel
from triptych.recipe import Recipe
from triptych.sequence.pack import Batch
from triptych.training.data import make_reader
from triptych.training.objectives import build as build_objective
from triptych.training.parts import freeze


def batch_of(model: MultimodalModel, recipe: Recipe, size: int = 8) -> Batch:
    source = build_source(recipe.data["colours"], Path(recipe.base))
    mixture = Mixture({"colours": len(source)}, {"colours": 1.0}, 0)
    batch = make_reader(model, recipe, {"colours": source}, mixture, size, recipe.stages[0])(0).batch
    assert batch is not None
    return batch


def gradients(model: MultimodalModel, batches: list[Batch]) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients as the loop makes them: sums divided by the count of the whole step."""
    objective = build_objective(NextToken())
    count = sum(objective.count(batch) for batch in batches)
    model.zero_grad()
    total = 0.0
    for batch in batches:
        loss = objective(model, batch)
        assert loss.count == objective.count(batch)
        (loss.total / count).backward()
        total += float(loss.total.detach())
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return total / count, found


def test_any_split_gives_the_same_gradient(world: World, model: MultimodalModel) -> None:
    recipe = world.recipe()
    freeze(model, recipe.stages[1])
    batch = batch_of(model, recipe)
    assert len(batch.ids) >= 4
    whole_loss, whole = gradients(model, [batch])
    assert set(whole) > {"adapters.image.positions"}
    for rows in (1, 2, 3):
        parts = batch.split(rows)
        assert len({part.supervised for part in parts}) > 1  # so that a mean of means would differ
        loss, found = gradients(model, parts)
        assert loss == pytest.approx(whole_loss, abs=1e-6)
        for name, expected in whole.items():
            torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def test_the_loss_is_the_mean_over_supervised_tokens(world: World, model: MultimodalModel) -> None:
    """Against transformers: labels as it wants them, every conversation alone, weighted by its tokens."""
    batch = batch_of(model, world.recipe())
    loss, _ = gradients(model.requires_grad_(True), [batch])
    total, count = 0.0, 0
    with torch.no_grad():
        embeddings = model.embeddings(batch)
        for number in range(len(batch.conversations)):
            mine = batch.documents == number
            labels = torch.cat([torch.tensor([-100]), batch.targets[mine][:-1]])[None]
            out = model.language.model(inputs_embeds=embeddings[mine][None], labels=labels, use_cache=False)
            supervised = int((labels[0, 1:] != -100).sum())
            total, count = total + float(out.loss) * supervised, count + supervised
    assert loss == pytest.approx(total / count, abs=1e-5)


def test_micro_rows_do_not_change_what_is_trained(train_tiny: Callable[..., Path]) -> None:
    """The same through the whole loop: losses, norms of the gradients, and the weights in the end."""
    found = []
    for rows in (64, 3, 1):
        run = train_tiny({"stages.0.micro_rows": rows, "stages.1.micro_rows": rows}, f"rows {rows}")
        steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        found.append((steps, load_file(run / "weights" / "model.safetensors")))
    (whole, expected), *others = found
    for steps, weights in others:
        for key in ("loss", "gradient_norm"):
            assert [step[key] for step in steps] == pytest.approx([step[key] for step in whole], rel=1e-4)
        for name, tensor in expected.items():
            torch.testing.assert_close(weights[name], tensor, atol=1e-4, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


def test_logits_in_chunks_are_the_same_loss(model: MultimodalModel) -> None:
    model.requires_grad_(True)
    hidden = torch.randn(23, 32, requires_grad=True)
    targets = torch.randint(0, 300, (23,))
    whole = cross_entropy(model.language, hidden, targets)
    (expected,) = torch.autograd.grad(whole, hidden)
    for chunk in (1, 7, 22):
        parts = cross_entropy(model.language, hidden, targets, chunk)
        torch.testing.assert_close(parts, whole)
        (found,) = torch.autograd.grad(parts, hidden)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("world_size", [2])
def test_several_processes_train_what_one_trains(
    world: World, tiny_cache: Path, tmp_path: Path, world_size: int
) -> None:
    recipe = world.recipe({"stages.0.micro_rows": 1, "stages.1.micro_rows": 1})
    forked.run(recipe, tmp_path / "one")
    forked.ranks(recipe, tmp_path / "many", world_size)
    one, many = (load_file(tmp_path / name / "weights" / "model.safetensors") for name in ("one", "many"))
    assert one.keys() == many.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(many[name], tensor, atol=1e-5, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "many")
    ]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    stages = json.loads((tmp_path / "many" / "run.json").read_text())["stages"]
    assert [stage["name"] for stage in stages] == ["align", "instruct"]
