"""Killed with SIGKILL at random moments: the same records as undisturbed, none asked again, none lost."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

import tiny_world

HERE = Path(__file__).parent


def _load(path: Path) -> ModuleType:
    name = f"loaded_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.mark.slow
def test_killed_at_random_moments_an_evaluation_ends_as_undisturbed(tmp_path: Path) -> None:
    from triptych.training.loop import train

    world = tiny_world.make(tmp_path / "world")
    run = train(world.recipe({"sequence": {"max_tokens": 256}}), tmp_path / "run")
    data = _load(HERE / "benchmarks" / "tiny_data.py").write_everything(tmp_path / "data")
    killed = _load(HERE / "killed_evaluation.py")
    seed = random.randrange(10**6)
    proof = killed.prove(run, data, tmp_path, kills=8, seed=seed, torchrun=(3, 6))
    for number, life in enumerate(proof.lives):
        print(
            f"life {number}: {life.processes} process{'es' * (life.processes > 1)}, {life.before} answers on the disk, "
            f"{len(life.asked)} asked, {life.recorded} on the disk, {'killed' if life.killed else 'done'}"
        )
    print(
        f"seed {seed}; {len(proof.whole)} records, asked again because their batch was in flight: {len(proof.in_flight)}"
    )
    assert sum(life.killed for life in proof.lives) >= 5
    assert proof.cut == proof.whole and len({record["id"] for record in proof.whole}) == len(proof.whole)
    assert proof.again == []
    kills = sum(life.processes for life in proof.lives if life.killed)
    assert len(proof.in_flight) <= kills * killed.BATCH
    assert {id_ for life in proof.lives for id_ in life.asked} == {record["id"] for record in proof.whole}
