"""A modality from outside the package goes all the way: data, plan, training, inspecting, asking, evaluation, a report.

`numbers_modality` is beside this file; nothing in `src/` knows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from numbers_modality import LONGEST, Lists, Numbers, NumbersEncoder
from typer.testing import CliRunner

from tiny_world import World
from triptych.api import load
from triptych.cli import app
from triptych.conversation import Conversation, Image, assistant, user
from triptych.conversation.modalities import _installed, medium_at, medium_type, modalities
from triptych.data.features import FeatureCache
from triptych.data.llava import LlavaSource
from triptych.data.sources import build as build_source
from triptych.errors import DataError, GenerationError, RecipeError
from triptych.generate.config import Reply
from triptych.model.build import build
from triptych.recipe import parse_recipe
from triptych.recipe.load import dump_recipe
from triptych.sequence.pack import Input, pack
from triptych.sequence.plan import Refusal
from triptych.training.loop import train
from triptych.yaml_file import read_yaml

SEEN = {"kind": "huggingface", "weights": "file:vision", "precision": "float32"}
RUN = CliRunner()


PAGE = (Path(__file__).parents[2] / "docs" / "extending" / "encoder.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of a language in the documentation's page about this modality."""
    return re.findall(rf"```{language}\n(.*?)\n```", PAGE, re.DOTALL)


def changes(**more: Any) -> dict[str, Any]:
    """The tiny world's recipe with what the documentation's page says: an encoder of numbers in place of that of images."""
    (said,) = blocks("yaml")
    recipe = read_yaml(said, "docs/extending/encoder.md")
    return {
        "model.encoders": recipe["model"]["encoders"],
        "model.adapters": recipe["model"]["adapters"],
        "data": recipe["data"],
        "evaluation": recipe["evaluation"],
        "stages.0.mixture": {"lists": 1},
        "stages.1.mixture": {"lists": 1},
        **more,
    }


def test_the_page_shows_this_code() -> None:
    code = (Path(__file__).parent / "numbers_modality.py").read_text(encoding="utf-8")
    assert len(blocks("python")) == 3
    for block in blocks("python"):
        assert block in code


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this file's own: features, and the code that was trained with here."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPTYCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def run(world: World, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned from lists of numbers."""
    steps = {"stages.0.steps": 30, "stages.1.steps": 60, "stages.0.batch_size": 8, "stages.1.batch_size": 8}
    rates = {"stages.1.learning_rate": 5e-3}
    return train(world.recipe(changes(**steps, **rates)), tmp_path_factory.mktemp("numbers") / "run")


def test_it_learns_what_only_the_numbers_tell(run: Path) -> None:
    model = load(run)
    answers = [model.ask(Numbers([first, 2, 3]), "What colour is this?") for first in (-1, 1)]
    assert answers == ["It is red.", "It is blue."]


def test_its_features_are_cached_under_the_encoder(run: Path) -> None:
    cache = FeatureCache.of(load(run).model.encoder("numbers").fingerprint)
    lists = Lists(Path())
    assert len(cache) == len({medium.content_hash for i in range(len(lists)) for medium in lists[i].media})
    features = cache.get(Numbers([-1]).content_hash)
    assert features is not None and features.shape == (1, 16)


def test_the_command_line_takes_a_medium_of_any_modality(run: Path, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1, 4]")
    place = f"numbers:{tmp_path / 'list.json'}"
    done = RUN.invoke(app, ["ask", str(run), "What colour is this?", "--media", place])
    assert done.output.strip() == "It is blue."


def test_it_is_evaluated_with_a_control_and_a_report(run: Path) -> None:
    done = RUN.invoke(app, ["evaluate", str(run), "--limit", "4"])
    assert done.exit_code == 0, done.output
    result = json.loads((run / "results.json").read_text())["tasks"]["told"]
    assert result["metrics"]["bleu_4"]["value"] > result["control"]["bleu_4"]["value"]
    assert (run / "report.html").exists()


def test_it_is_planned_and_inspected(world: World, tmp_path: Path) -> None:
    recipe = tmp_path / "numbers.yaml"
    recipe.write_text(dump_recipe(world.recipe(changes())))
    planned = RUN.invoke(app, ["plan", str(recipe)])
    assert planned.exit_code == 0 and "numbers" in planned.output, planned.output
    shown = RUN.invoke(app, ["inspect", str(recipe), "--sample", "2"])
    assert shown.exit_code == 0 and "numbers" in shown.output and "3 numbers" in shown.output, shown.output
    refused = RUN.invoke(app, ["inspect", str(recipe), "--save", str(tmp_path / "x.png")])
    assert "is not shown as a picture" in str(refused.exception)


@pytest.mark.parametrize("reads", [False, True])
def test_pictures_and_numbers_stand_in_one_conversation(world: World, reads: bool) -> None:
    """Each medium meets its own encoder and adapter, whatever is beside it in the batch."""
    both = changes(
        **{
            "model.encoders": {"image": SEEN, "numbers": {"kind": "numbers_modality:NumbersEncoder"}},
            "model.adapters": {
                "image": {"kind": "mlp", "pool": 2, "reduction": "average"},
                "numbers": {"kind": "qformer", "queries": 3, "width": 16, "layers": 1, "heads": 2, "text_tokens": 8}
                if reads
                else {"kind": "linear", "positions": False},
            },
        }
    )
    recipe = world.recipe(both)
    model = build(recipe).eval()
    shown, numbers = world.picture(0), Numbers([1, 2])
    together = Conversation((user(shown, "and", numbers, "What?"), assistant("It is red.")))
    (first, second) = model.plan(together).spans
    assert (first.length, second.length) == (4, 3 if reads else 2)
    with torch.inference_mode():
        batch = pack([model.plan(together), model.plan(Conversation((user(numbers, "What?"), assistant("No."))))], 96)
        prepared = {
            slot: tuple(Input(prepared=e.prepare(m)) if isinstance(m, e.medium) else None for m in batch.media)
            for slot, e in model.slots().items()
        }
        whole = replace(batch, inputs=prepared)
        adapted = model.adapt(whole, content=True)
    alone = model.adapter("image")(torch.stack(model.encoder("image").encode([prepared["image"][0].prepared])))  # type: ignore[union-attr,list-item]
    torch.testing.assert_close(adapted[0], alone[0].detach())
    assert [len(features) for features in adapted] == [4, 3 if reads else 2]
    assert model(whole).shape[:2] == batch.ids.shape
    assert model.slots().keys() == {"image", "numbers"}


def test_a_file_of_messages_holds_parts_of_any_modality(world: World, tmp_path: Path) -> None:
    world.recipe(changes())  # declares the modality
    (tmp_path / "list.json").write_text("[1, 2]")
    messages = [
        {"role": "user", "content": [{"type": "numbers", "numbers": [3]}, {"type": "numbers", "path": "list.json"},
                                     {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": "It is red."},
    ]  # fmt: skip
    (shown,) = blocks("json")
    (tmp_path / "data.jsonl").write_text(json.dumps({"id": "a", "messages": messages}) + "\n" + shown.replace("\n", ""))
    source = LlavaSource(tmp_path / "data.jsonl", tmp_path)
    held = [medium.open() for medium in source[0].media]
    assert held == [(3.0,), (1.0, 2.0)] and all(type(medium) is Numbers for medium in source[0].media)
    assert [medium.open() for medium in source[1].media] == [(1.0, 4.0)]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"type": "numbers", "numbers": [1, "two"]}, "expected a list of numbers"),
        ({"type": "numbers", "numbers": [0] * (LONGEST + 1)}, "65 numbers are more than the 64 allowed"),
        ({"type": "numbers"}, "expected a part of type 'numbers' to hold its value under 'numbers'"),
        ({"type": "numbers", "path": "../list.json"}, "leads out of"),
        ({"type": "numbres", "numbers": [1]}, "'numbres', which is not read; expected text"),
        (
            {"type": "audio", "path": "a.wav"},
            "no recipe or package here has a class for its media; read are image, numbers",
        ),
    ],
)
def test_what_is_wrong_with_a_part_is_said(part: dict[str, Any], message: str, world: World, tmp_path: Path) -> None:
    world.recipe(changes())
    messages = [{"role": "user", "content": [part, "What?"]}, {"role": "assistant", "content": "It is red."}]
    (tmp_path / "data.jsonl").write_text(json.dumps({"messages": messages}) + "\n")
    with pytest.raises(DataError, match=message):
        LlavaSource(tmp_path / "data.jsonl", tmp_path)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.encoders.imge": {"kind": "vit"}}, "'imge' has no encoder that comes with Triptych; did you mean 'image'?"),
        ({"model.adapters.numbers": None}, "`encoders.numbers` is set but `adapters.numbers` is null"),
        ({"model.adapters.numbers": {"kind": "linaer"}}, "model.adapters.numbers: kind 'linaer' is not known; did you mean 'linear'"),
        ({"model.adapters.numbers": {"kind": "linear", "pol": 2}}, "model.adapters.numbers.pol: unknown field; 'pol' is not known; did you mean 'pool'"),
        ({"model.encoders.regions": {"kind": "numbers_modality:NumbersEncoder"}}, "'regions' cannot be a modality's name"),
        ({"model.encoders.a-b": {"kind": "numbers_modality:NumbersEncoder"}}, "'a-b' is no name of a modality"),
    ],
)  # fmt: skip
def test_mistakes_in_a_recipe_are_named(change: dict[str, Any], message: str, world: World) -> None:
    with pytest.raises(RecipeError) as raised:
        world.recipe({**changes(), **change})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("modality", "kind", "message"),
    [
        ("audio", "numbers_modality:NumbersEncoder", "takes media of the modality 'numbers'; write it as model.encoders.numbers"),
        ("numbers", "numbers_modality:NumbersEncodr", "has no NumbersEncodr; did you mean NumbersEncoder?"),
        ("numbers", "numbers_modality:Numbers", "must be a subclass of triptych.encoders.encoder.Encoder"),
    ],
)  # fmt: skip
def test_an_encoder_of_another_modality_is_refused(modality: str, kind: str, message: str, world: World) -> None:
    wrong = {"model.encoders": {"image": None, modality: {"kind": kind}}, "model.adapters": {"image": None, modality: {"kind": "linear"}}}  # fmt: skip
    with pytest.raises(RecipeError, match=message):
        build(world.recipe({**changes(), **wrong}))


def test_a_model_says_which_media_it_does_not_take(world: World, run: Path) -> None:
    with pytest.raises(GenerationError, match="the model takes no images"):
        load(run).ask(world.picture(0), "What?")
    with pytest.raises(Refusal, match="takes no media of the modality 'numbers'"):
        build(world.recipe()).plan(Conversation((user(Numbers([1]), "What?"), assistant("No."))))


def test_modalities_are_found_by_name(world: World, tmp_path: Path) -> None:
    world.recipe(changes())
    assert medium_type("numbers") is Numbers and medium_type("image") is Image
    assert medium_at("image:a:b.png").source == Path("a:b.png")  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="'nubers' is not known; did you mean 'numbers'"):
        medium_at("nubers:x")
    with pytest.raises(DataError, match="expected MODALITY:PATH"):
        medium_at("x.png")


def test_an_installed_package_adds_a_modality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "lists-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: lists\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[triptych.media]\nlists = numbers_modality:Numbers\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("triptych.conversation.modalities._installed", _installed.__wrapped__)
    assert medium_type("lists") is Numbers and "lists" in modalities()


def test_a_recipe_of_images_stays_what_it_was(world: World) -> None:
    recipe = world.recipe()
    assert recipe.model.modalities == ["image"]
    assert set(recipe.model.encoders.model_dump()) == {"image"}
    numbers = parse_recipe(world.values(changes()))
    assert parse_recipe(numbers.model_dump(mode="json")) == numbers
    assert build_source(numbers.data["lists"], world.folder)[0].media is not None


def test_a_reply_holds_parts() -> None:
    reply = Reply(["It is ", Numbers([1]), "here."], 3, "stop")
    assert reply.text == "It is here." and reply.media == (Numbers([1]),) and reply.regions == ()
    assert Reply("Yes.", 1, "stop") == Reply(("Yes.",), 1, "stop")
    assert NumbersEncoder().blank(2).shape == (2, 4)
