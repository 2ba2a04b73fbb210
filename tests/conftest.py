"""The tiny world that tests of the core share; see `tiny_world`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)  # how long an example takes is no matter of right and wrong
settings.load_profile("shared machine")

os.environ["TRIPTYCH_TRUST_CODE"] = "1"  # runs are made with one cache folder and read with another

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests share the cores already

if TYPE_CHECKING:
    from tiny_world import World
    from triptych.model.composed import MultimodalModel
    from triptych.recipe import Recipe


@pytest.fixture(autouse=True, scope="session")
def _no_power_cuts() -> Iterator[None]:
    """Files are not forced to the disk, which takes longer than all else: tests kill processes, not machines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A language model, an encoder, pictures and conversations, written once."""
    from tiny_world import make

    return make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tiny_cache(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the session instead of the user's."""
    monkeypatch.setenv("TRIPTYCH_CACHE", str(session_cache))
    return session_cache


@pytest.fixture
def model(world: World, tiny_cache: Path) -> MultimodalModel:
    """A fresh tiny model; tests may change it."""
    from triptych.model.build import build

    return build(world.recipe())


@pytest.fixture
def train_tiny(world: World, tiny_cache: Path, tmp_path: Path) -> Callable[..., Path]:
    """Train the tiny recipe with changes into a folder of its own, quietly."""
    from triptych.training.loop import train

    def run(changes: dict[str, Any] | Recipe | None = None, output: str = "run", **options: Any) -> Path:
        recipe = world.recipe(changes) if changes is None or isinstance(changes, dict) else changes
        return train(recipe, tmp_path / output, quiet=True, **options)

    return run


@pytest.fixture(scope="session")
def trained(world: World, session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run of the tiny recipe, to look at and not to change."""
    from triptych.training.loop import train

    before = os.environ.get("TRIPTYCH_CACHE")
    os.environ["TRIPTYCH_CACHE"] = str(session_cache)
    try:
        yield train(world.recipe(), tmp_path_factory.mktemp("runs") / "tiny", quiet=True)
    finally:
        os.environ.pop("TRIPTYCH_CACHE")
        if before is not None:
            os.environ["TRIPTYCH_CACHE"] = before
