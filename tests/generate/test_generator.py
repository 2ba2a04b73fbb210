"""Answers: batches equal one by one, transformers' own greedy decoding, streams, ends and limits."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from tiny_world import World, talk, tokenizer
from triptych.conversation import Conversation, Image, assistant, system, user
from triptych.errors import DataError, GenerationError
from triptych.generate.config import GenerationSettings, Reply, Responder
from triptych.generate.generator import PREFILL_TOKENS, Generator, portions
from triptych.model.build import build
from triptych.model.composed import MultimodalModel

WORDS = [
    "what",
    "colour",
    "is",
    "this",
    "on",
    "the",
    "left",
    "right",
    "red",
    "green",
    "blue",
    "hello",
    "who",
    "it",
    "there",
]


def prompts(world: World, count: int, seed: int = 0) -> list[Conversation]:
    """Conversations of unequal length, with none, one or two pictures, some about the same picture."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        words = " ".join(draw.choices(WORDS, k=draw.randint(1, 12)))
        pictures = [world.picture(draw.randint(0, 3)) for _ in range(draw.choice([0, 1, 1, 2]))]
        messages = [user(*pictures, words)]
        if draw.random() < 0.3:
            messages += [assistant("It is red."), user("And " + draw.choice(WORDS) + "?")]
        if draw.random() < 0.2:
            messages.insert(0, system("Be brief."))
        made.append(Conversation(tuple(messages)))
    return made


@pytest.fixture(scope="module")
def generator(world: World, trained: object) -> Generator:
    return Generator(build(world.recipe({"sequence": {"max_tokens": 256}})).eval())


SETTINGS = GenerationSettings(max_new_tokens=12)


def recorded(
    generator: Generator, conversations: list[Conversation], settings: GenerationSettings
) -> list[tuple[int, ...]]:
    """The tokens behind the replies: replies compare texts, which may be equal for unequal tokens."""
    seen: dict[int, list[int]] = {}
    original = generator._reply

    def spy(tokens: list[int]) -> Reply:
        reply = original(tokens)
        seen[id(reply)] = list(tokens)
        return reply

    generator._reply = spy  # type: ignore[method-assign]
    try:
        replies = generator.respond(conversations, settings)
        return [tuple(seen[id(reply)]) for reply in replies]
    finally:
        generator._reply = original  # type: ignore[method-assign]


@pytest.mark.parametrize("batch_size", [5, 32])
def test_a_batch_answers_what_each_prompt_is_answered_alone(
    world: World, generator: Generator, batch_size: int
) -> None:
    conversations = prompts(world, 32)
    together = recorded(generator, conversations, SETTINGS.model_copy(update={"batch_size": batch_size}))
    alone = [recorded(generator, [conversation], SETTINGS)[0] for conversation in conversations]
    assert together == alone
    assert len(set(alone)) > 5  # the model says different things


def test_prompts_that_are_read_in_portions_get_the_same_answers(
    world: World, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = prompts(world, 24, seed=3)
    together = recorded(generator, conversations, SETTINGS)
    for budget in (1, 100):  # each alone; a few together
        monkeypatch.setitem(PREFILL_TOKENS, "cpu", budget)
        assert recorded(generator, conversations, SETTINGS) == together


def test_portions_are_neighbours_that_fit() -> None:
    assert portions([3, 3, 4, 10, 2], 9) == [(0, 2), (2, 3), (3, 4), (4, 5)]
    assert portions([5], 1) == [(0, 1)]


def test_batches_of_text_alone_of_one_picture_and_of_many(world: World, generator: Generator) -> None:
    batches = {
        "text": [talk(word) for word in WORDS],
        "one picture": [talk("")] and [Conversation((user(world.picture(1), word),)) for word in WORDS],
        "pictures": [Conversation((user(world.picture(i), "what colour is this"),)) for i in range(6)],
        "text and a picture": [talk("what"), Conversation((user(world.picture(1), "what"),)), talk("who"),
                               Conversation((user(world.picture(1), "who is it"),))],
        "the same twice": [talk("what is this"), talk("what is this"), talk("who")],
    }  # fmt: skip
    for name, conversations in batches.items():
        together = recorded(generator, conversations, SETTINGS)
        alone = [recorded(generator, [conversation], SETTINGS)[0] for conversation in conversations]
        assert together == alone, name


def test_an_answer_is_what_full_forward_passes_choose(world: World, generator: Generator) -> None:
    """Without cache, padding or sharing: the training path, one token at a time."""
    from triptych.sequence.pack import pack

    model = generator.model
    for conversation in prompts(world, 6, seed=1):
        layout = model.plan(conversation, reply=True)
        tokens: list[int] = []
        for _ in range(6):
            grown = type(layout)(layout.ids + tuple(tokens), layout.labels + (-100,) * len(tokens), layout.spans)
            batch = pack([grown], 512)
            pixels = tuple(model.encoders["image"].prepare(medium) for medium in batch.media)
            batch = batch.with_prepared("image", pixels)
            with torch.no_grad():
                tokens.append(int(model.language.logits(model(batch)[0, -1]).argmax()))
            if tokens[-1] == model.language.template.end[-1]:
                break
        found = recorded(generator, [conversation], GenerationSettings(max_new_tokens=6))[0]
        assert list(found) == tokens


def test_text_is_answered_as_transformers_generate_does(world: World, generator: Generator) -> None:
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(world.folder / "language").eval()
    tokens = tokenizer()
    for text in ["what colour is this", "hello", "who is it there"]:
        prompt = tokens.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        end = tokens.convert_tokens_to_ids("<|im_end|>")
        out = reference.generate(**prompt, max_new_tokens=12, do_sample=False, eos_token_id=end, pad_token_id=0)
        expected = out[0, prompt["input_ids"].shape[1] :].tolist()
        assert list(recorded(generator, [talk(text)], SETTINGS)[0]) == expected


def always(model: MultimodalModel, script: list[int]) -> Callable[[], None]:
    """Make the model say the script, whatever it is asked; returns how to undo it."""
    language = model.language
    original = language.logits
    spoken = iter(script)

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(len(hidden), language.embedding.num_embeddings)
        out[:, next(spoken)] = 1.0
        return out

    language.logits = logits  # type: ignore[method-assign]

    def undo() -> None:
        language.logits = original  # type: ignore[method-assign]

    return undo


def spell(text: str) -> list[int]:
    return list(tokenizer()(text, add_special_tokens=False)["input_ids"])


END = spell("<|im_end|>")


@pytest.mark.parametrize(
    ("script", "settings", "expected"),
    [
        (spell("It is red.") + END, {}, Reply("It is red.", len(spell("It is red.")) + 1, "stop")),
        (spell("It is red.") + END, {"max_new_tokens": 3}, None),
        (END, {}, Reply("", 1, "stop")),
        (spell("  padded answer \n") + END, {}, Reply("padded answer", len(spell("  padded answer \n")) + 1, "stop")),
        (spell("héllo 世界 🙂!") + END, {}, Reply("héllo 世界 🙂!", len(spell("héllo 世界 🙂!")) + 1, "stop")),
    ],
)
def test_answers_end_with_the_turn_or_with_the_limit(
    generator: Generator, script: list[int], settings: dict[str, int], expected: Reply | None
) -> None:
    chosen = GenerationSettings(**settings)
    undo = always(generator.model, script)
    try:
        (reply,) = generator.respond([talk("Hi")], chosen)
    finally:
        undo()
    if expected is None:
        assert (reply.tokens, reply.finish) == (3, "length")
        assert reply.text == tokenizer().decode(script[:3]).strip()
    else:
        assert reply == expected


@pytest.mark.parametrize("text", ["It is red.", "  padded \n\n answer \n", "héllo 世界 🙂!", "🙂", "", " \n"])
@pytest.mark.parametrize("limit", [64, 5, 2, 1])
def test_a_stream_joins_to_the_answer(generator: Generator, text: str, limit: int) -> None:
    chosen = GenerationSettings(max_new_tokens=limit)
    answers = []
    for way in ("stream", "respond"):
        undo = always(generator.model, spell(text) + END)
        try:
            if way == "stream":
                pieces = list(generator.stream(talk("Hi"), chosen))
                assert all(pieces)
                answers.append("".join(pieces))
            else:
                answers.append(generator.respond([talk("Hi")], chosen)[0].text)
        finally:
            undo()
    assert answers[0] == answers[1]
    if limit == 64:
        assert answers[0] == text.strip()
        assert "\ufffd" not in answers[0]


def test_a_stream_comes_in_pieces(world: World, generator: Generator) -> None:
    undo = always(generator.model, spell("It is red. It is green.") + END)
    try:
        pieces = list(generator.stream(Conversation((user(world.picture(1), "?"),))))
    finally:
        undo()
    assert len(pieces) > 3
    streamed = "".join(generator.stream(Conversation((user(world.picture(1), "?"),)), SETTINGS))
    assert streamed == generator.respond([Conversation((user(world.picture(1), "?"),))], SETTINGS)[0].text


def test_sampling_repeats_by_seed_and_does_not_look_at_neighbours(world: World, generator: Generator) -> None:
    settings = SETTINGS.model_copy(update={"temperature": 1.5, "seed": 7})
    first, second, third, other = prompts(world, 4, seed=3)
    answers = recorded(generator, [first, second, third], settings)
    assert recorded(generator, [first, second, third], settings) == answers
    assert recorded(generator, [first, second, third], settings.model_copy(update={"batch_size": 1})) == answers
    assert recorded(generator, [other, second, other], settings)[1] == answers[1]
    assert recorded(generator, [first, second, third], settings.model_copy(update={"seed": 8})) != answers
    same = recorded(generator, [first, first], settings)
    assert same[0] != same[1]  # two draws for one question


def test_replies_keep_the_order_of_the_questions(world: World, generator: Generator) -> None:
    conversations = prompts(world, 9, seed=4)
    replies = generator.respond(conversations, SETTINGS)
    backwards = generator.respond(conversations[::-1], SETTINGS)
    assert replies == backwards[::-1]
    assert generator.respond([], SETTINGS) == []


def test_what_does_not_fit_is_refused_with_the_numbers(world: World, generator: Generator) -> None:
    with pytest.raises(GenerationError, match=r"a/1 cannot be answered: .* tokens do not fit into 256"):
        generator.respond([Conversation((user("what " * 300),), id="a/1")])
    with pytest.raises(
        GenerationError, match=r"\d+ tokens and an answer of 500 do not fit into the language model's 512"
    ):
        generator.respond([talk("what colour is this")], GenerationSettings(max_new_tokens=500))


def test_a_conversation_to_answer_ends_with_the_user(generator: Generator) -> None:
    for conversation in (talk("Hi", "Ho"), Conversation(())):
        with pytest.raises(GenerationError, match="ends with a user's message"):
            generator.respond([conversation])


def test_a_picture_that_cannot_be_read_is_named(generator: Generator) -> None:
    with pytest.raises(DataError, match=r"broken\.png"):
        generator.respond([Conversation((user(Image(b"no picture", name="broken.png"), "?"),))])


def test_a_model_without_an_encoder_says_that_it_takes_no_pictures(world: World, tiny_cache: object) -> None:
    changes = {"model.encoders": {"image": None}, "model.adapters": {"image": None}}
    changes["stages"] = []
    changes["data"] = {}
    generator = Generator(build(world.recipe(changes)).eval())
    assert isinstance(generator.respond([talk("Hi")], SETTINGS)[0].text, str)
    with pytest.raises(GenerationError, match="the model takes no images"):
        generator.respond([Conversation((user(world.picture(1), "?"),))])


def test_pictures_are_encoded_once(world: World, generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Generator(generator.model)
    encoder = generator.model.encoders["image"]
    runs: list[int] = []
    original = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda pixels: runs.append(len(pixels)) or original(pixels))
    questions = [Conversation((user(world.picture(1), word),)) for word in WORDS]
    fresh.respond(questions, SETTINGS)
    fresh.respond(questions, SETTINGS)
    assert runs == [1]


def test_the_generator_is_a_responder(generator: Generator) -> None:
    assert isinstance(generator, Responder)
