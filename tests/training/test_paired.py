"""Losses of dual encoders: in chunks, over processes and by hand they are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

import tiny_dual
from tiny_world import World
from triptych.families.dual.config import Contrastive, Sigmoid
from triptych.families.dual.model import DualEncoder
from triptych.families.dual.paired import ContrastiveObjective, SigmoidObjective, info_nce, sigmoid_loss

SIGLIP = {"model.bias": -10.0, "model.scale": 10.0, "stages.0.objective": {"kind": "sigmoid"}}


def unit(*shape: int, seed: int) -> torch.Tensor:
    return functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def gradients(model: DualEncoder, objective: Any, batch: Any) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    torch.manual_seed(3)
    loss = objective(model, batch)
    (loss.total / loss.count).backward()
    return loss.total.item() / loss.count, {
        n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None
    }


@pytest.mark.parametrize("chunk", [1, 5, 16])
@pytest.mark.parametrize("kind", ["contrastive", "sigmoid"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_chunks_have_the_gradient_of_the_whole_batch(
    world: World, tiny_cache: Path, kind: str, chunk: int, dropout: float
) -> None:
    model = tiny_dual.model(world, SIGLIP | {"model.vision.patch_dropout": 0.0}).train()
    batch = tiny_dual.batch(23)
    make: Callable[[int | None], Any] = lambda chunk: (  # noqa: E731
        ContrastiveObjective(Contrastive(chunk=chunk))
        if kind == "contrastive"
        else SigmoidObjective(Sigmoid(chunk=chunk))
    )
    if dropout:  # drawn anew for each chunk, but the same in both passes: the loss must fit its own gradient
        model.vision.patch_dropout = dropout
        loss, found = gradients(model, make(chunk), batch)
        again, expected = gradients(model, make(chunk), batch)
        assert loss == again
        assert all(torch.equal(found[name], expected[name]) for name in found)
        return
    whole, expected = gradients(model, make(None), batch)
    loss, found = gradients(model, make(chunk), batch)
    assert loss == pytest.approx(whole, abs=1e-6)
    assert found.keys() == expected.keys()
    apart = math.sqrt(sum(float((found[name] - gradient).square().sum()) for name, gradient in expected.items()))
    size = math.sqrt(sum(float(gradient.square().sum()) for gradient in expected.values()))
    assert apart / size < 1e-6


def test_info_nce_is_clips_loss() -> None:
    images, texts = unit(7, 5, seed=0), unit(7, 5, seed=1)
    logits = 9.0 * images @ texts.T
    by_hand = 0.0
    for i in range(7):
        by_hand -= (
            float(logits[i, i] - logits[i].logsumexp(0)) / 2 + float(logits[i, i] - logits[:, i].logsumexp(0)) / 2
        )
    assert float(info_nce(images, texts, torch.tensor(9.0))) == pytest.approx(by_hand, rel=1e-5)
    assert float(info_nce(images, texts, torch.tensor(9.0), chunk=3)) == pytest.approx(by_hand, rel=1e-5)


def test_sigmoid_is_siglips_loss() -> None:
    images, texts = unit(4, 5, seed=0), unit(4, 5, seed=1)
    scale, bias = torch.tensor(10.0), torch.tensor(-10.0)
    by_hand = 0.0
    for i in range(4):
        for j in range(4):
            z = float(10 * images[i] @ texts[j] - 10) * (1 if i == j else -1)
            by_hand += math.log1p(math.exp(-z))
    assert float(sigmoid_loss(images, texts, scale, bias)) == pytest.approx(by_hand, rel=1e-5)
    assert float(sigmoid_loss(images, texts, scale, bias, chunk=3)) == pytest.approx(by_hand, rel=1e-5)


def test_at_the_start_nothing_is_known(world: World, tiny_cache: Path) -> None:
    """ln(batch) within 5 %, though the scale starts at 14: towers at first say nearly the same of everything."""
    model = tiny_dual.model(world)
    with torch.no_grad():
        loss = ContrastiveObjective(Contrastive())(model, tiny_dual.batch(64))
    expected = info_nce(torch.ones(64, 8) / 8**0.5, torch.ones(64, 8) / 8**0.5, model.logit_scale.exp())
    assert float(expected) / 64 == pytest.approx(math.log(64))
    assert float(loss.total) / loss.count < 3 * math.log(64)


def test_chunks_need_less_memory(world: World, tiny_cache: Path) -> None:
    """What is kept for the gradient, in bytes: a fraction, as chunks are of the batch."""
    model, batch = tiny_dual.model(world), tiny_dual.batch(64)

    def kept(chunk: int | None) -> int:
        held: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = ContrastiveObjective(Contrastive(chunk=chunk))(model, batch)
        assert loss.total.requires_grad
        return sum(held.values())

    assert kept(4) < kept(None) / 4


def test_the_scale_stays_within_its_bound(world: World, tiny_cache: Path, train_tiny: Callable[..., Path]) -> None:
    recipe = tiny_dual.recipe(world, {"model.scale": 99.0, "stages.0.learning_rates": {"logit_scale": 5.0}})
    run = train_tiny(recipe)
    logged = [json.loads(line)["logit_scale"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert max(logged) <= math.log(100) + 1e-6


@pytest.mark.parametrize("changes", [{}, {"stages.0.objective": {"kind": "contrastive", "chunk": 2}}, SIGLIP])
def test_several_processes_see_everybodys_negatives(
    world: World, tiny_cache: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    recipe = tiny_dual.recipe(world, changes | {"stages.0.batch_size": 7, "stages.0.epsilon": 1e-2})
    forked.run(recipe, tmp_path / "one")
    forked.ranks(recipe, tmp_path / "two", 2)
    one, two = (load_file(tmp_path / name / "weights" / "model.safetensors") for name in ("one", "two"))
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-3, rtol=1e-2, msg=lambda m, n=name: f"{n}: {m}")
