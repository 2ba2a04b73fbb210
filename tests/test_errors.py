"""What a message tells to type works as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from triptych.encoders import checkpoints
from triptych.errors import WeightsError
from triptych.formats.qformer import read_qformer
from triptych.model.build import recipe_of


def test_an_unfinished_run_is_continued_in_its_own_folder(tmp_path: Path) -> None:
    run = tmp_path / "another name"
    run.mkdir()
    told = []
    for model, read in (
        ("{kind: blip2}", lambda: recipe_of(run)),
        ("{kind: blip2}", lambda: read_qformer(f"file:{run}")),
        (
            "{kind: dual, vision: {kind: vit, architecture: clip-l14}, text: {kind: transformer, architecture: clip-l14}}",
            lambda: checkpoints._state_of_run(run, str(run)),
        ),
    ):
        (run / "recipe.yaml").write_text(f"model: {model}\n")
        with pytest.raises(WeightsError, match="has not finished") as caught:
            read()
        told.append(str(caught.value).split("`")[1])
    expected = ["triptych", "train", str(run / "recipe.yaml"), "--output", str(run), "--resume"]
    assert [shlex.split(command) for command in told] == [expected] * 3
