"""A study over the tiny world, and commands that run in the test's own process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tiny_world import COLOURS, World
from triptych.study import StudyPlan, load_study, make_plan, run_study


class InProcess:
    """Runs the commands of a study without starting Python anew; `broken` names what fails, `calls` what was asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.broken: Callable[[str], str | None] = lambda call: None

    @property
    def trained(self) -> list[str]:
        """The runs that were trained, in order."""
        return [call.removeprefix("train ") for call in self.calls if call.startswith("train ")]

    def __call__(self, arguments: Sequence[str], log: Path, tick: Callable[[], None]) -> int:
        """See `Launch`."""
        from triptych import cli
        from triptych.errors import TriptychError
        from triptych.study.measure import measure

        where = next(Path(part) for part in arguments[1:] if "/" in part)
        run = where.parent.name if where.suffix == ".yaml" else where.name
        call = f"{arguments[1] if arguments[0] == 'triptych' else 'measure'} {run}"
        self.calls.append(call)
        tick()
        error = self.broken(call)
        if error is None:
            try:
                if arguments[0] != "triptych":
                    measure(Path(arguments[1]), arguments[2])
                    return 0
                result = CliRunner().invoke(cli.app, list(arguments[1:]), catch_exceptions=False)
                if result.exit_code == 130:  # how typer says that it was interrupted
                    raise KeyboardInterrupt
                assert result.exit_code == 0, result.output
                return 0
            except TriptychError as caught:
                error = str(caught)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(f"loading\nerror: {error}\n")
        return 1


def write_study(world: World, folder: Path, **changes: Any) -> Path:
    """A study file of two adapters with two seeds; keywords change its fields."""
    images = [{"id": i, "file_name": f"{i:02}.png"} for i in range(12)]
    said = [{"image_id": i, "caption": f"It is {list(COLOURS)[i % 4]}, number {i}."} for i in range(12)]
    (world.folder / "captions.json").write_text(json.dumps({"images": images, "annotations": said}))
    base = world.values(
        {
            "data.captions": {"kind": "coco_captions", "annotations": "captions.json", "images": "pictures"},
            "evaluation": {"colours": {"kind": "captions", "data": "captions", "generation": {"max_new_tokens": 4}}},
            "stages.0.steps": 2,
            "stages.1.steps": 4,
        }
    )
    values: dict[str, Any] = {
        "name": "tiny",
        "title": "Which adapter is the better one?",
        "base": base,
        "seeds": [0, 1],
        "score": "colours.rouge_l",
        "variants": {
            "mlp": {"notes": "two layers"},
            "linear": {"model.adapters.image": {"kind": "linear", "pool": 2, "reduction": "average"}},
        },
    }
    path = folder / "tiny-study.yaml"
    path.write_text(yaml.safe_dump({**values, **changes}, sort_keys=False))
    return path


@pytest.fixture
def launch() -> InProcess:
    return InProcess()


@pytest.fixture
def make_study(world: World, tiny_cache: Path, tmp_path: Path) -> Callable[..., StudyPlan]:
    """The plan of a study of two adapters with two seeds; keywords change the file's fields."""

    def make(**changes: Any) -> StudyPlan:
        return make_plan(load_study(write_study(world, tmp_path, **changes)), tmp_path / "study")

    return make


@pytest.fixture(scope="session")
def finished_study(
    world: World, session_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, list[str]]]:
    """The folder of a finished study, to look at and not to change, and the runs in the order of training."""
    folder, launch = tmp_path_factory.mktemp("studies"), InProcess()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE", str(session_cache))
        plan = make_plan(load_study(write_study(world, folder)), folder / "study")
        yield run_study(plan, launch=launch), launch.trained


@pytest.fixture
def finished(finished_study: tuple[Path, list[str]], tmp_path: Path) -> Path:
    """A copy of the finished study where `make_study` has its folder."""
    return shutil.copytree(finished_study[0], tmp_path / "study")
