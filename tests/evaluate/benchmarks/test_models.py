"""Models that are asked: options by likelihood, a checkpoint of transformers, lmms-eval's interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow

import tiny_vlms
import tiny_world
from tiny_world import tokenizer
from triptych.conversation import Conversation, Image, assistant, user
from triptych.errors import GenerationError, WeightsError
from triptych.generate.config import GenerationSettings
from triptych.generate.generator import Generator
from triptych.generate.likelihood import LikelihoodResponder, letter_scores, option_scores, text_scores
from triptych.model.build import build

COLOURS = ("red", "green", "blue")
OPTIONS = [["It is red.", "blue", "hello there, who is it?"], ["green", "It is yellow."]]


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    world = tiny_world.make(tmp_path_factory.mktemp("world"))
    torch.manual_seed(0)
    return Generator(build(world.recipe({"sequence": {"max_tokens": 256}})).eval())


def asked() -> list[Conversation]:
    pictures = [Image(Pillow.new("RGB", (32, 32), colour)) for colour in COLOURS[:2]]
    return [
        Conversation((user(picture, "What colour is this?"),), annotations={"options": options})
        for picture, options in zip(pictures, OPTIONS, strict=True)
    ]


def slowly(generator: Generator, conversation: Conversation, ids: list[int]) -> list[float]:
    """Log-probabilities of tokens as the reply, each from a whole forward pass of its own without a cache."""
    found = []
    prompt = generator._plan(conversation, GenerationSettings(max_new_tokens=1))
    with torch.inference_mode():
        embedded = generator._embed(prompt, 0, len(prompt.layout))
        for place, token in enumerate(ids):
            before = generator.model.language.embed(torch.tensor(ids[:place], dtype=torch.long))
            whole = torch.cat([embedded, before])[None]
            hidden = generator.model.read(whole, torch.arange(whole.shape[1])[None])
            found.append(float(generator.model.language.logits(hidden[:, -1]).float().log_softmax(-1)[0, token]))
    return found


class TestLikelihood:
    def test_options_as_texts_equal_one_pass_each(self, generator: Generator) -> None:
        scores = text_scores(generator, asked(), OPTIONS)
        for conversation, options, row in zip(asked(), OPTIONS, scores, strict=True):
            for option, score in zip(options, row, strict=True):
                logs = slowly(generator, conversation, tokenizer().encode(option, add_special_tokens=False))
                assert score == pytest.approx(sum(logs) / len(logs), abs=1e-4)

    def test_letters_equal_one_pass_each(self, generator: Generator) -> None:
        scores = letter_scores(generator, asked(), [3, 2])
        for conversation, row in zip(asked(), scores, strict=True):
            for letter, score in zip("ABC", row, strict=False):
                forms = {tuple(tokenizer().encode(form, add_special_tokens=False)) for form in (letter, f" {letter}")}
                logs = [slowly(generator, conversation, list(ids))[0] for ids in forms if len(ids) == 1]
                assert score == pytest.approx(float(torch.tensor(logs).logsumexp(0)), abs=1e-4)
        assert [len(row) for row in scores] == [3, 2]

    @pytest.mark.parametrize("by", ["letter", "text"])
    def test_the_likeliest_is_the_answer(self, generator: Generator, by: str) -> None:
        replies = LikelihoodResponder(generator, by).respond(asked(), GenerationSettings(batch_size=1))
        scores = (
            letter_scores(generator, asked(), [3, 2]) if by == "letter" else text_scores(generator, asked(), OPTIONS)
        )
        assert [reply.text for reply in replies] == ["ABC"[row.index(max(row))] for row in scores]
        assert all(reply.tokens == 0 for reply in replies)

    def test_greedy_is_what_greedy_decoding_begins_with(self, generator: Generator) -> None:
        said = [reply.text for reply in generator.respond(asked(), GenerationSettings(max_new_tokens=3))]
        options = [[text, *row] for text, row in zip(said, OPTIONS, strict=True)]
        for text, row in zip(said, option_scores(generator, asked(), options), strict=True):
            written = tokenizer().encode(text, add_special_tokens=False)
            assert [score.greedy for score in row] == [len(written) <= 3, *[False] * (len(row) - 1)], text
            assert all(score.mean < 0 for score in row)

    def test_without_options_it_says_so(self, generator: Generator) -> None:
        with pytest.raises(GenerationError, match="names no options"):
            LikelihoodResponder(generator).respond([Conversation((user("?"),))], GenerationSettings())


class TestHuggingFace:
    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tiny_vlms.write("llava", tmp_path_factory.mktemp("checkpoint"))

    def test_batches_answer_as_one_by_one(self, folder: Path) -> None:
        from triptych.evaluate.responders import responder_of

        who, fingerprint, _ = responder_of(f"hf:{folder}")
        pictures = [Image(Pillow.new("RGB", (20, 16), colour)) for colour in COLOURS]
        conversations = [
            Conversation((user(picture, f"What colour is this? {'And ' * n}"),)) for n, picture in enumerate(pictures)
        ]
        conversations.append(Conversation((user("Say hello."),)))
        conversations.append(
            Conversation((user(pictures[0], "This?"), assistant("It is red."), user(pictures[1], "And this?")))
        )
        settings = GenerationSettings(max_new_tokens=6, batch_size=3)
        together = who.respond(conversations, settings)
        assert together == [who.respond([conversation], settings)[0] for conversation in conversations]
        assert len(fingerprint) == 16 and all(1 <= reply.tokens <= 6 for reply in together)

    def test_what_is_no_checkpoint_is_told(self, tmp_path: Path) -> None:
        from triptych.evaluate.responders import responder_of

        with pytest.raises(WeightsError, match="no image-text-to-text checkpoint"):
            responder_of(f"hf:{tmp_path}")


class TestLmmsEval:
    """The real package answers in `tests/prove/test_lmms_eval.py`."""

    def test_the_entry_point_is_declared(self) -> None:
        text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
        assert 'triptych = "triptych.evaluate.lmms:manifest"' in text


def test_the_list_is_a_task_a_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "triptych", "evaluate", "--list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    from triptych.evaluate.benchmarks import catalogue

    assert [line.split()[0] for line in lines[1:]] == catalogue.names()
