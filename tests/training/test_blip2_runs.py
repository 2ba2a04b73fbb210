"""BLIP-2 in runs: cached features, three losses in the log, stopping, re-ranked retrieval, and the second stage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
import torch

import tiny_blip2
from parity import blip2 as checks
from tiny_world import World
from triptych.adapters.config import QFormerConfig
from triptych.adapters.qformer_adapter import QFormerAdapter
from triptych.api import load
from triptych.cli.commands.evaluate.recipe_tasks import evaluate_run
from triptych.data.features import FeatureCache
from triptych.errors import RecipeError, WeightsError
from triptych.evaluate.embedding.retrieval import reranked
from triptych.formats.blip2 import HUB
from triptych.formats.qformer import load_qformer
from triptych.model.build import build
from triptych.recipe import parse_recipe
from triptych.recipe.included import preset_path
from triptych.recipe.load import load_recipe
from triptych.training.parts import describe_parts

RERANK = {"evaluation.retrieval.rerank": 3, "validation": "colours", "stages.0.validate_every": 2}


@pytest.fixture(scope="module")
def run(world: World, session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    from triptych.training.loop import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE", str(session_cache))
        return train(tiny_blip2.recipe(world, RERANK), tmp_path_factory.mktemp("runs") / "blip2", quiet=True)


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_three_losses_are_logged_and_are_the_loss(run: Path) -> None:
    steps = [line for line in lines(run) if "loss" in line]
    checks = [line for line in lines(run) if "validation_loss" in line]
    assert len(steps) == 4 and len(checks) == 2
    for line in steps:
        parts = [line[f"loss_{name}"] for name in ("itc", "itm", "itg")]
        assert line["loss"] == pytest.approx(sum(parts), rel=1e-6)
    for line in checks:
        parts = [line[f"validation_loss_{name}"] for name in ("itc", "itm", "itg")]
        assert line["validation_loss"] == pytest.approx(sum(parts), rel=1e-6)


def test_the_encoder_runs_once_and_live_features_give_the_same_bits(
    run: Path, world: World, tiny_cache: Path, train_tiny: Callable[..., Path]
) -> None:
    model = load(run).model
    assert len(FeatureCache.of(model.encoder.fingerprint)) >= 12
    live = train_tiny(tiny_blip2.recipe(world, RERANK | {"loading.cache_features": False}), "live")
    assert [line.get("loss") for line in lines(live)] == [line.get("loss") for line in lines(run)]


def test_parts_are_the_whole_model(world: World, tiny_cache: Path) -> None:
    recipe = tiny_blip2.recipe(world)
    model = build(recipe)
    assert sum(part.parameters for part in describe_parts(model)) == sum(p.numel() for p in model.parameters())
    assert {*recipe.model.parts, "encoder"} == {part.part for part in describe_parts(model)}  # which stays frozen


def test_stopped_and_resumed_it_ends_in_the_same_bits(world: World, tiny_cache: Path, tmp_path: Path) -> None:
    changes = {"stages.0.steps": 6, "model.qformer.dropout": 0.2, "loading.workers": 1}
    recipe = tiny_blip2.recipe(world, changes)
    forked.run(recipe, tmp_path / "whole")
    assert forked.killed_and_resumed(recipe, tmp_path / "killed", 2, 6, seed=1)
    files = [tmp_path / name / "weights" / "model.safetensors" for name in ("whole", "killed")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert [line["loss_itm"] for line in lines(tmp_path / "whole")] == [
        line["loss_itm"] for line in lines(tmp_path / "killed")
    ]


def test_retrieval_is_scored_before_and_after_ranking_anew(run: Path, tiny_cache: Path) -> None:
    result = evaluate_run(run).tasks["retrieval"]
    ways = {f"{way}_r{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5)}
    assert set(result.metrics) == set(result.baselines["cosines"].metrics) == ways
    assert set(result.baselines["cosines"].difference) == ways


def test_only_the_first_candidates_change_places_and_by_what_is_judged() -> None:
    class Judge:
        sharpness = 1.0

        def matches(self, pictures: Any, texts: Any, pairs: Any) -> Any:
            self.asked = {tuple(pair) for pair in pairs.tolist()}
            return np.array([-1.0 if picture == text else 5.0 for picture, text in pairs.tolist()], dtype=np.float32)

    scores = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.6], [0.3, 0.1, 0.5]])
    judge = Judge()
    forward, backward = reranked(judge, [None] * 3, ["a", "b", "c"], scores, 2)  # type: ignore[list-item]
    assert np.argsort(-forward, axis=1).tolist() == [[1, 0, 2], [2, 1, 0], [0, 2, 1]]
    assert np.argsort(-backward, axis=1)[:, 2].tolist() == [1, 2, 0]  # the last by cosine stays the last
    assert (0, 2) not in judge.asked and (2, 1) not in judge.asked


def test_odds_are_added_to_the_logits_of_the_contrast() -> None:
    """Where wrong pairs were drawn by the contrast, matching knows how far it is off: together they are the truth."""
    random = np.random.default_rng(0)
    truth, cosine = random.normal(size=(40, 40)), random.uniform(-1, 1, size=(40, 40))

    class Judge:
        sharpness = 7.0

        def matches(self, pictures: Any, texts: Any, pairs: Any) -> Any:
            return truth[tuple(pairs.T)] - self.sharpness * cosine[tuple(pairs.T)]

    forward, backward = reranked(Judge(), [None] * 40, ["x"] * 40, cosine, 40)  # type: ignore[list-item]
    assert (forward.argmax(axis=1) == truth.argmax(axis=1)).all() and (
        backward.T.argmax(axis=0) == truth.argmax(axis=0)
    ).all()


def test_pairs_are_judged_alike_in_any_company(run: Path, world: World, tiny_cache: Path) -> None:
    matcher = load(run)
    pictures, texts = [world.picture(i) for i in range(4)], ["It is red.", "number 7", "blue, too blue"]
    pairs = np.array([[3, 0], [0, 2], [2, 1], [0, 0], [3, 2]])
    whole = matcher.matches(pictures, texts, pairs)
    alone = [float(matcher.matches(pictures, texts, pair[None])[0]) for pair in pairs]
    np.testing.assert_allclose(whole, alone, atol=1e-5)
    assert matcher.similarity(pictures, texts).shape == (4, 3)
    assert [isinstance(text, str) for text in matcher.caption(pictures)] == [True] * 4


def test_it_learns_to_tell_four_colours_apart(world: World, train_tiny: Callable[..., Path]) -> None:
    recipe = tiny_blip2.recipe(
        world,
        {
            "stages.0.steps": 60,
            "stages.0.batch_size": 12,
            "stages.0.objective": {"kind": "blip2", "label_smoothing": 0},
        },
    )
    first, *_, last = lines(train_tiny(recipe, "learns"))
    assert last["loss_itg"] < 0.5 * first["loss_itg"]
    assert last["loss_itc"] < first["loss_itc"]


def test_the_second_stage_starts_from_the_first(
    run: Path, world: World, tiny_cache: Path, train_tiny: Callable[..., Path]
) -> None:
    adapter = {**tiny_blip2.QFORMER, "weights": f"run:{run}"}
    changes = {"model.adapters.image": adapter, "stages": [world.values()["stages"][0] | {"steps": 2}]}
    recipe = parse_recipe(world.values(changes))
    model = build(recipe)
    first = load(run).model.reader
    for name, parameter in model.adapter("image").named_parameters():
        if not name.startswith("projection."):
            assert torch.equal(parameter, dict(first.named_parameters())[name]), name
    assert "text_feed_forward" not in str(list(dict(model.adapter("image").named_parameters())))
    assert float(model.adapter("image").scale) != 1.0
    finished = train_tiny(recipe, "second")
    assert lines(finished)[-1]["loss"] > 0
    again = parse_recipe(world.values(changes | {"model.adapters.image": adapter | {"weights": f"run:{finished}"}}))
    assert build(again).adapter("image").projection.weight.shape == model.adapter("image").projection.weight.shape
    reading = parse_recipe(world.values(changes | {"model.adapters.image": adapter | {"instruction": True}}))
    words = build(reading).adapter("image").qformer.words
    assert torch.equal(words.weight, first.qformer.words.weight[: len(words.weight)])  # all but [DEC]


@torch.no_grad()
def test_a_checkpoint_of_the_hub_is_an_adapter_and_a_first_stage(
    tiny_cache: Path, world: World, tmp_path: Path
) -> None:
    theirs = checks.randomise(checks._their_second(), 1)
    theirs.save_pretrained(tmp_path / "hub")
    adapter = QFormerAdapter.from_config(
        checks.QFORMER.model_copy(update={"weights": f"file:{tmp_path}/hub"}), 16, (2, 2), 32, 1.0
    )
    features = torch.randn(2, 5, 16)
    seen = theirs.vision_model.post_layernorm(features)
    expected = theirs.qformer(query_embeds=theirs.query_tokens.expand(2, -1, -1), encoder_hidden_states=seen)
    expected = theirs.language_projection(expected.last_hidden_state)
    torch.testing.assert_close(adapter(features), expected, rtol=0, atol=1e-4)
    narrow = QFormerAdapter.from_config(
        checks.QFORMER.model_copy(update={"weights": f"file:{tmp_path}/hub"}), 16, (2, 2), 20, 1.0
    )
    assert torch.equal(narrow.queries, theirs.query_tokens[0])  # of another language model: the projection is fresh

    first = checks.randomise(checks._their_first(), 2)
    first.save_pretrained(tmp_path / "first")
    ours = checks._our_first()
    found = load_qformer(ours.reader, f"file:{tmp_path}/first")
    torch.testing.assert_close(found["heads.match.weight"], first.itm_head.weight)
    assert torch.equal(ours.reader.qformer.places.weight, first.embeddings.position_embeddings.weight)
    assert set(HUB.ours({"query_tokens": 0})) == {"queries"}


def test_weights_that_do_not_fit_are_answered(run: Path, tmp_path: Path) -> None:
    config = QFormerConfig(**tiny_blip2.QFORMER)
    with pytest.raises(WeightsError, match="normalise: true"):
        load_qformer(QFormerAdapter(config.model_copy(update={"normalise": False}), 16, (4, 4), 8, 1.0), f"run:{run}")
    with pytest.raises(WeightsError, match=r"tensors are missing.*Q-Former"):
        load_qformer(QFormerAdapter(config.model_copy(update={"layers": 4}), 16, (4, 4), 8, 1.0), f"run:{run}")
    with pytest.raises(WeightsError, match=r"queries \(3, 16\) instead of \(5, 16\)"):
        load_qformer(QFormerAdapter(config.model_copy(update={"queries": 5}), 16, (4, 4), 8, 1.0), f"run:{run}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages.0.objective": {"kind": "contrastive"}}, "learns by `objective: {kind: blip2}`"),
        ({"stages.0.train": ["vision"]}, "known: heads, logit_scale, qformer"),
        ({"stages.0.train": ["encoder"]}, "the encoder of a model of `kind: blip2` stays frozen"),
        ({"model.max_tokens": 21}, "more than the places"),
        ({"model.qformer.instruction": True}, "leave them out"),
        ({"model.qformer.pool": 4, "model.qformer.reduction": "average"}, "leaves one position"),
    ],
)
def test_mistakes_are_answered(changes: dict[str, Any], message: str, world: World) -> None:
    with pytest.raises(RecipeError, match=message.replace("{", ".").replace("}", ".").replace("`", ".")):
        tiny_blip2.recipe(world, changes)


def test_the_published_q_former_has_the_published_size() -> None:
    """188 million parameters (Li et al., 2023, section 3.1)."""
    from triptych.zoo import entry

    parts = {part.name: part.parameters for part in entry("blip2").parts}
    assert parts["qformer"] + parts["heads"] == pytest.approx(188e6, rel=0.01)
    second = {part.name: part.parameters for part in entry("blip2-opt-2.7b").parts}
    text_side = 30523 * 768 + 512 * 768 + 12 * (2 * 768 * 3072 + 3072 + 768 + 2 * 768)
    assert parts["qformer"] - text_side + 768 * 2560 + 2560 == second["adapters.image"]
    assert load_recipe(preset_path("blip2")).model.kind == "blip2"


@pytest.mark.parametrize("matching", [0.0, 1.0])
def test_several_processes_see_everybodys_pairs(
    world: World, tiny_cache: Path, tmp_path: Path, matching: float
) -> None:
    """Contrast and captions are those of one process; matching draws other negatives in each."""
    objective = {"kind": "blip2", "weights": {"itm": matching}}
    recipe = tiny_blip2.recipe(
        world, {"stages.0.objective": objective, "stages.0.batch_size": 7, "stages.0.epsilon": 1e-2}
    )
    forked.run(recipe, tmp_path / "one")
    forked.ranks(recipe, tmp_path / "two", 2)
    one, two = (lines(tmp_path / name) for name in ("one", "two"))
    steps = one[:1] if matching else one  # other negatives, other weights from then on
    for name in ("itc", "itg"):
        losses = [line[f"loss_{name}"] for line in two[: len(steps)]]
        assert losses == pytest.approx([line[f"loss_{name}"] for line in steps], abs=1e-4)
    if matching:
        assert two[0]["loss_itm"] == pytest.approx(one[0]["loss_itm"], abs=0.05)
    else:
        assert "loss_itm" not in two[0]
