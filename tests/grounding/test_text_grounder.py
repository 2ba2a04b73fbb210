"""What a model says in words becomes regions of the picture that it was shown, through the preparation of its encoder."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PIL import Image as Pillow

from triptych.conversation import Conversation, Frame, Image, Region
from triptych.conversation.expression import DESCRIBE
from triptych.encoders.preparation import ImagePreparation
from triptych.errors import GenerationError
from triptych.generate.config import GenerationSettings, Reply
from triptych.grounding.call_grounder import CallGrounder
from triptych.grounding.config import CallRegionsConfig, TextRegionsConfig
from triptych.grounding.detector_grounder import DetectorGrounder
from triptych.grounding.detectors.detector import Detector, Found
from triptych.grounding.formats.build import build_format
from triptych.grounding.grounding import Grounder
from triptych.grounding.introduce import into_input
from triptych.grounding.text_grounder import TextGrounder
from triptych.language.regions import Token

PICTURE = Image(Pillow.new("RGB", (200, 100)))
FRAME = Frame(200, 100)
REGION = Region((50, 25, 150, 75), FRAME, "dog")


class Says:
    """Answers everything with the same words; keeps what it was asked."""

    def __init__(self, text: str) -> None:
        self.text, self.asked = text, list[Conversation]()

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        self.asked += conversations
        return [Reply(self.text, 1, "stop") for _ in conversations]


@pytest.mark.parametrize("form", ["kosmos2", "shikra", "qwen", "json"])
@pytest.mark.parametrize("frame", ["input", "picture"])
@pytest.mark.parametrize("fit", ["pad", "squash"])
def test_what_is_written_is_read_back_in_the_pictures_pixels(form: str, frame: str, fit: str) -> None:
    config = TextRegionsConfig(format=form, frame=frame)  # type: ignore[arg-type]
    preparation = ImagePreparation(64, fit)  # type: ignore[arg-type]
    seen = into_input(preparation, REGION) if frame == "input" else REGION
    model = Says("".join(build_format(config).write("dog", [seen])))
    grounder = TextGrounder(model, config, preparation)
    found = grounder.ground(PICTURE, "the dog above the cup")
    (region,) = found.regions
    assert region.frame == FRAME and region.name == "dog" and found.verdict == "valid"
    step = 200 / {"kosmos2": 32, "shikra": 1000, "qwen": 1000, "json": 1000}[form]
    assert region.box == pytest.approx(REGION.box, abs=step + 1e-6)
    (asked,) = model.asked
    assert asked.messages[0].parts == (PICTURE, "Find the dog above the cup.")


def test_none_such_and_nonsense_are_told_apart() -> None:
    config = TextRegionsConfig()
    assert TextGrounder(Says("none"), config).ground(PICTURE, "the cat").verdict == "none"
    broken = TextGrounder(Says("<phrase>dog</phrase><object><patch_index_0001></object>"), config)
    assert broken.ground(PICTURE, "the dog").verdict == "invalid"


@pytest.mark.parametrize("form", ["kosmos2", "shikra", "qwen", "json"])
def test_only_the_word_for_none_such_is_a_refusal(form: str) -> None:
    config = TextRegionsConfig(format=form)  # type: ignore[arg-type]
    verdicts = {
        text: TextGrounder(Says(text), config).ground(PICTURE, "the cat").verdict for text in ("none", " None.")
    }
    assert set(verdicts.values()) == {"none"}
    for text in ("", "a a a a", "the dog is here", "none of the dogs"):
        assert TextGrounder(Says(text), config).ground(PICTURE, "the cat").verdict == "invalid"
        assert TextGrounder(Says(text), config).describe_many([PICTURE])[0].verdict == "none"


def test_a_caption_is_described_with_a_region_for_each_phrase() -> None:
    config = TextRegionsConfig(frame="picture")
    format = build_format(config)
    said = "".join([*format.write("a dog", [REGION]), " and ", *format.write("two cups", [REGION, REGION])])
    model = Says(said)
    (found,) = TextGrounder(model, config).describe_many([PICTURE])
    assert [region.name for region in found.regions] == ["a dog", "two cups", "two cups"]
    assert model.asked[0].messages[0].text == DESCRIBE


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_an_expression_without_words_is_refused(blank: str) -> None:
    """By each way of asking, before anybody is asked."""
    model = Says("none")
    everybody: list[Grounder] = [TextGrounder(model, TextRegionsConfig()), DetectorGrounder(_Nobody(1, None))]
    everybody.append(CallGrounder(model, _Nobody(1, None), CallRegionsConfig()))
    for grounder in everybody:
        with pytest.raises(GenerationError, match="no words"):
            grounder.ground_many([(PICTURE, "the dog"), (PICTURE, blank)])
    assert not model.asked


def test_halves_of_characters_in_an_expression_are_replaced() -> None:
    model = Says("none")
    TextGrounder(model, TextRegionsConfig()).ground(PICTURE, "the \ud800dog")
    assert model.asked[0].messages[0].text == "Find the ?dog."


class _Nobody(Detector):
    def find(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[Found]:
        raise AssertionError("was asked")


def test_tags_in_a_prompt_are_tokens_and_in_an_expression_text() -> None:
    """Kosmos-2's way to ask."""
    config = TextRegionsConfig(
        prompt="<grounding><phrase>{expression}</phrase>", caption_prompt="<grounding>An image of", frame="picture"
    )
    model = Says("<object><patch_index_0044><patch_index_0863></object>")
    grounder = TextGrounder(model, config)
    found = grounder.ground(PICTURE, "a <phrase> dog")
    assert found.verdict == "valid" and len(found.regions) == 1
    grounder.describe_many([PICTURE])
    phrase, caption = ([(type(part) is Token, part) for part in each.messages[0].parts[1:]] for each in model.asked)
    assert phrase == [(True, "<grounding>"), (True, "<phrase>"), (False, "a <phrase> dog"), (True, "</phrase>")]
    assert caption == [(True, "<grounding>"), (False, "An image of")]
    assert "<grounding>" in build_format(config).tokens
    assert "<grounding>" not in build_format(TextRegionsConfig()).tokens
