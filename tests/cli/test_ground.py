"""`triptych ground` and chat with a model that points, whose loading is replaced by a fake."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from typer.testing import CliRunner

from triptych.cli import app
from triptych.cli.commands import ground as command
from triptych.cli.commands.chat import pointing
from triptych.cli.commands.chat.command import chat
from triptych.conversation import Conversation, Frame, Image, Mask, Region
from triptych.errors import DataError, RecipeError
from triptych.generate.config import GenerationSettings
from triptych.grounding.config import TextRegionsConfig
from triptych.grounding.formats.build import build_format
from triptych.grounding.grounding import Grounding
from triptych.grounding.text_grounder import TextGrounder
from triptych.language.regions import Token

FRAME = Frame(100, 80)
DOG = Region((10, 20, 40, 60), FRAME, "dog")


class Finds:
    """Knows one dog."""

    prompt = "{expression}"

    def ground(self, image: Image, expression: str) -> Grounding:
        mask = Mask.encode(np.eye(80, 100))
        return (
            Grounding((Region(DOG.box, FRAME, "dog", mask),), (0.9,), "dog")
            if "dog" in expression
            else Grounding((), text="none", verdict="none")
        )

    def ground_many(self, pairs: Any) -> list[Grounding]:
        return [self.ground(*pair) for pair in pairs]


def loads(monkeypatch: pytest.MonkeyPatch, grounder: Any) -> None:
    """Every run holds a model that points by this grounder."""
    model = SimpleNamespace(require=lambda capability, run: SimpleNamespace(grounder=lambda: grounder))
    monkeypatch.setattr("triptych.api.load", lambda run: model)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Pillow.new("RGB", (100, 80), "gray").save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.fixture
def pointing_run(monkeypatch: pytest.MonkeyPatch) -> None:
    loads(monkeypatch, Finds())


def test_regions_come_as_json_in_the_pictures_pixels_and_as_a_drawing(
    picture: Path, pointing_run: None, tmp_path: Path
) -> None:
    drawn = tmp_path / "out" / "drawn.png"
    arguments = ["ground", "runs/x", "the dog", "the cat", "--image", str(picture), "--output", str(drawn)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["size"] == [100, 80]
    dog, cat = told["found"]
    assert dog["expression"] == "the dog" and dog["verdict"] == "valid"
    assert dog["regions"][0]["box"] == [10, 20, 40, 60] and dog["regions"][0]["score"] == 0.9
    assert dog["regions"][0]["mask"]["size"] == [80, 100]
    assert cat["regions"] == [] and cat["verdict"] == "none"
    with Pillow.open(drawn) as saved:
        assert saved.size == (640, 512)
        assert len(saved.getcolors(10**6) or []) > 10


def test_what_cannot_be_done_is_said(picture: Path, pointing_run: None, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["ground", "runs/x", "the dog"]).exit_code != 0
    with pytest.raises(DataError, match="expected a file of one of the kinds"):
        command.ground(tmp_path, ["the dog"], picture, tmp_path / "drawn.txt")
    with pytest.raises(DataError, match="cannot be read"):
        command.ground(tmp_path, ["the dog"], tmp_path / "missing.png", None)
    with pytest.raises(RecipeError, match="describes no pictures"):
        command.ground(tmp_path, [], picture, None)


def test_a_model_that_does_not_point_says_how_to_get_one(trained: Path, picture: Path) -> None:
    with pytest.raises(RecipeError, match=r"does not point.*model\.regions"):
        command.ground(trained, ["the dog"], picture, None)


def test_chat_shows_the_regions_of_an_answer_and_saves_a_drawing(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = TextRegionsConfig(frame="picture")
    answer = "".join(build_format(config).write("dog", [DOG]))

    class Model:
        recipe = SimpleNamespace(name="pointer", composed=SimpleNamespace(regions=config))

        def stream(self, conversation: Conversation, settings: GenerationSettings) -> Iterator[str]:
            yield from (answer[:5], answer[5:])

        def capability(self, name: str) -> Any:
            return self

        def require(self, name: str, run: str) -> Any:
            return self

        def grounder(self, settings: GenerationSettings) -> TextGrounder:
            return TextGrounder(self, config)  # type: ignore[arg-type]

    said = iter(["Find the dog.", "/quit"])
    monkeypatch.setattr("triptych.api.load", lambda run: Model())
    ask: Callable[..., str] = lambda *_, **__: next(said)  # noqa: E731
    monkeypatch.setattr("rich.console.Console.input", ask)
    chat(tmp_path, [picture])
    shown = capsys.readouterr().out
    assert "pointer › dog\n" in shown and "patch_index" not in shown
    assert "dog: 11, 21 to 39, 59" in shown  # the centres of the cells of a grid of 32 × 32
    assert (tmp_path / "chat" / "001.png").exists()


def test_what_was_said_continues_a_conversation_in_the_same_tokens() -> None:
    form = build_format(TextRegionsConfig())
    written = form.write("a dog", [DOG])
    parts = pointing.spoken("There is " + "".join(written) + ".", form.tokens)
    assert parts == ("There is ", *written, ".")
    assert [type(part) is Token for part in parts] == [False, *(type(piece) is Token for piece in written), False]
    assert pointing.spoken("dog [SEG][SEG]", ("[SEG]",)) == ("dog ", "[SEG]", "[SEG]")
    assert pointing.spoken("plain", ()) == ("plain",)


def test_what_no_file_can_hold_is_written_with_question_marks(picture: Path, pointing_run: None, capsys: Any) -> None:
    """An argument that is no UTF-8 comes as halves of characters."""
    command.ground(Path("runs/x"), ["the \udcff dog"], picture, None)
    told = json.loads(capsys.readouterr().out)
    assert told["found"][0]["expression"] == "the ? dog" and told["found"][0]["regions"]


def test_a_caption_without_regions_says_what_is_missing(
    picture: Path, pointing_run: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Describes(Finds):
        caption_prompt = "Describe it."

        def describe_many(self, images: Any) -> list[Grounding]:
            return [Grounding((), text="a dog", verdict="none") for _ in images]

    loads(monkeypatch, Describes())
    command.ground(Path("runs/x"), [], picture, None)
    shown = capsys.readouterr()
    assert json.loads(shown.out)["found"] == [{"regions": [], "verdict": "none", "text": "a dog"}]
    assert "the caption has no regions" in shown.err and "kind: referring" in shown.err


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_json_for_people_is_json(values: object) -> None:
    assert json.loads(command.as_json(values)) == values


def test_a_box_is_one_line() -> None:
    shown = command.as_json({"box": [1.5, 2, 3, 40], "points": [[1, 2], [3, 4]], "text": "[\n1\n]"})
    assert '"box": [1.5, 2, 3, 40],' in shown and "[1, 2],\n" in shown and '"text": "[\\n1\\n]"' in shown
