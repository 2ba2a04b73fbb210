"""Stop anywhere, lose nothing: killed and resumed, a run ends in the bits of one that nobody disturbed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import forked
import pytest

from tiny_world import World
from triptych.errors import TrainingError
from triptych.recipe import Recipe, dump_recipe
from triptych.training.loop import Interrupted

LORA = {"rank": 2, "alpha": 4, "dropout": 0.2}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout and a worker": {
        "model.language.lora": LORA, "stages.1.train": ["adapters", "language.lora"], "loading.workers": 1,
    },
    "bfloat16 with masters": {"model.language.precision": "bfloat16", "validation": "colours",
                              "stages.0.validate_every": 2, "stages.1.validate_every": 3},
}  # fmt: skip
STEPS = 5


def recipe_of(world: World, variant: str) -> Recipe:
    return world.recipe({"stages.0.steps": STEPS, "stages.1.steps": STEPS, **VARIANTS[variant]})


def metrics(run: Path) -> list[dict[str, Any]]:
    """What was logged, without what depends on the clock."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in {"seconds", "tokens_per_second"}} for row in rows]


def same(found: Path, expected: Path) -> None:
    weights = Path("weights", "model.safetensors")
    assert (found / weights).read_bytes() == (expected / weights).read_bytes()
    assert metrics(found) == metrics(expected)
    assert (found / "ledger.jsonl").read_text() == (expected / "ledger.jsonl").read_text()
    stages = [json.loads((run / "run.json").read_text())["stages"] for run in (found, expected)]
    clock = {"seconds", "feature_seconds", "peak_memory_bytes"}
    assert [{k: v for k, v in s.items() if k not in clock} for s in stages[0]] == [
        {k: v for k, v in s.items() if k not in clock} for s in stages[1]
    ]


@pytest.fixture(params=VARIANTS)
def undisturbed(request: pytest.FixtureRequest, world: World, tiny_cache: Path, tmp_path: Path) -> tuple[Recipe, Path]:
    recipe = recipe_of(world, request.param)
    forked.run(recipe, tmp_path / "undisturbed")
    return recipe, tmp_path / "undisturbed"


def test_killed_at_random_moments(undisturbed: tuple[Recipe, Path], tmp_path: Path) -> None:
    recipe, expected = undisturbed
    seed = random.randrange(10**6)
    hits = forked.killed_and_resumed(recipe, tmp_path / "killed", 3, 2 * STEPS, seed)
    assert hits >= 1, f"no kill hit a living process (seed {seed})"
    same(tmp_path / "killed", expected)
    logged = [row["total_step"] for row in metrics(tmp_path / "killed") if "loss" in row]
    assert logged == list(range(1, 2 * STEPS + 1))


@pytest.fixture(scope="module")
def undisturbed_with_dropout(
    world: World, session_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recipe, Path]:
    recipe, output = recipe_of(world, "dropout and a worker"), tmp_path_factory.mktemp("runs") / "undisturbed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE", str(session_cache))
        forked.run(recipe, output)
    return recipe, output


@pytest.mark.parametrize("step", [1, STEPS, STEPS + 2])
def test_interrupted_once(
    undisturbed_with_dropout: tuple[Recipe, Path], tiny_cache: Path, tmp_path: Path, step: int
) -> None:
    """Ctrl-C finishes the step, saves, and says how to go on; also in the last step of a stage."""
    recipe, undisturbed = undisturbed_with_dropout
    run = tmp_path / "stopped"
    process = forked.start(recipe, run)
    forked.wait_for_steps(process, run, step)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    forked.wait(process)
    if process.exitcode == 1:
        message = run.with_suffix(".0.error").read_text()
        assert Interrupted.__name__ in message
        assert f"triptych train {run}/recipe.yaml --output {run} --resume" in message
        done = max(row["total_step"] for row in metrics(run))
        newest = max((run / "checkpoints").iterdir())
        assert int(newest.name) == done  # nothing done is lost
        assert json.loads((run / "run.json").read_text())["finished"] is None
    forked.run(recipe, run, resume=True)
    same(run, undisturbed)


def test_a_complete_run_is_not_trained_again(train_tiny: Any) -> None:
    run = train_tiny()
    before = (run / "weights" / "model.safetensors").stat().st_mtime_ns
    assert train_tiny(resume=True) == run
    assert (run / "weights" / "model.safetensors").stat().st_mtime_ns == before


def test_a_run_that_is_there_is_not_overwritten_by_accident(train_tiny: Any) -> None:
    run = train_tiny({"stages.0.steps": 1, "stages.1.steps": 1})
    with pytest.raises(TrainingError, match=r"run already; continue it with --resume, start again with --overwrite"):
        train_tiny({"stages.0.steps": 1, "stages.1.steps": 1})
    train_tiny({"stages.0.steps": 2, "stages.1.steps": 1}, overwrite=True)
    assert len(metrics(run)) == 3


def test_another_recipe_cannot_be_resumed_and_the_difference_is_named(train_tiny: Any) -> None:
    train_tiny({"stages.0.steps": 1, "stages.1.steps": 1})
    with pytest.raises(TrainingError) as error:
        train_tiny({"stages.0.steps": 1, "stages.1.steps": 1, "stages.1.learning_rate": 0.5, "seed": 3}, resume=True)
    message = str(error.value)
    assert "stages.1.learning_rate: 0.001 in the run, 0.5 now" in message
    assert "seed: 0 in the run, 3 now" in message
    assert "steps" not in message


def test_how_data_is_read_and_how_often_things_are_written_may_change(train_tiny: Any) -> None:
    small = {"stages.0.steps": 1, "stages.1.steps": 1}
    train_tiny(small)
    train_tiny({**small, "loading.workers": 1, "stages.0.checkpoint_every": 50, "stages.1.log_every": 9}, resume=True)


def test_a_run_killed_before_it_wrote_its_facts_can_be_resumed(world: World, train_tiny: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text(dump_recipe(world.recipe()))
    train_tiny(resume=True)
    assert [stage["name"] for stage in json.loads((run / "run.json").read_text())["stages"]] == ["align", "instruct"]


@pytest.mark.slow
def test_killed_ten_times_over_the_command_line(world: World, tiny_cache: Path, tmp_path: Path) -> None:
    """The whole program, a worker process and dropout included, killed at ten random moments."""
    recipe = tmp_path / "recipe.yaml"
    changes = {"stages.0.steps": 12, "stages.1.steps": 12, "model.language.lora": LORA, "loading.workers": 1}
    changes["stages.1.train"] = ["adapters", "language.lora"]
    recipe.write_text(dump_recipe(world.recipe(changes)))

    def command(run: Path) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-m", "triptych", "train", str(recipe), "--output", str(run), "--resume"]
        return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert command(tmp_path / "undisturbed").wait(180) == 0
    draw = random.Random()
    hits = 0
    for kill in range(10):
        process = command(tmp_path / "killed")
        begun = forked.lines(tmp_path / "killed" / "metrics.jsonl")
        target = draw.randint(begun, min(23, begun + 5))
        while process.poll() is None and forked.lines(tmp_path / "killed" / "metrics.jsonl") < target:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.05))
        process.kill()
        hits += process.wait(60) == -signal.SIGKILL
        assert kill < 9 or hits >= 5
    assert command(tmp_path / "killed").wait(180) == 0
    same(tmp_path / "killed", tmp_path / "undisturbed")
