"""Few-shot episodes: the support tells the answer, nothing else does, and splits share nothing that could be remembered."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from tiny_world import tokenizer
from triptych.conversation import Conversation, Image
from triptych.language.template import ChatTemplate
from triptych.scenes import ScenesConfig
from triptych.scenes.config import EpisodesConfig
from triptych.scenes.dataset import Drawing, Scenes
from triptych.scenes.episodes import ASK, Episode, Episodes
from triptych.scenes.things import all_things
from triptych.scenes.words import made_up
from triptych.sequence.plan import plan


@pytest.fixture(autouse=True)
def _font(font: Path) -> None:
    """Skip where the font cannot be had."""


def episodes(**options: object) -> Episodes:
    return Episodes(EpisodesConfig(**{"count": 40, "pictures": 8, **options}))  # type: ignore[arg-type]


def shown(picture: Image) -> str:
    """The thing in a picture, by what was drawn."""
    assert isinstance(picture.source, Drawing)
    return picture.source.scene.objects[0].thing.name


def test_episodes_are_a_function_of_configuration_and_index() -> None:
    one, other = episodes(), pickle.loads(pickle.dumps(episodes(count=50)))
    for index in (0, 7, 39):
        a, b = one[index], other[index]
        assert a.id == b.id
        assert [m.text for m in a.messages] == [m.text for m in b.messages]
        assert [p.content_hash for p in a.media] == [p.content_hash for p in b.media]
    assert one[0].messages != episodes(seed=1)[0].messages
    assert one.episode(3).query.picture.open().tobytes() == other.episode(3).query.picture.open().tobytes()


@pytest.mark.parametrize("ways", [2, 3])
def test_the_answer_follows_from_the_support_and_from_no_single_picture(ways: int) -> None:
    for episode in (episodes(ways=ways, shots=(ways, 2 * ways)).episode(i) for i in range(40)):
        names = {(shown(shot.picture), shot.word) for shot in episode.support}
        assert len(names) == len({thing for thing, _ in names}) == len({word for _, word in names}) == ways
        assert (shown(episode.query.picture), episode.query.word) in names
        keys = [picture.key for picture in episode.media]
        assert len(set(keys)) == len(keys)  # never the same picture again
        assert set(episode.words) == {word for _, word in names}


def test_every_beginning_names_each_thing_as_often_to_one() -> None:
    for episode in (episodes(shots=(6,)).episode(i) for i in range(20)):
        for count in range(2, 7):
            words = [shot.word for shot in episode.first(count).support]
            assert {words.count(word) for word in episode.words} <= {count // 2, -(-count // 2)}


def test_neither_place_nor_word_gives_the_answer_away() -> None:
    found = [episodes(count=300).episode(i) for i in range(300)]
    last = sum(e.support[-1].word == e.query.word for e in found) / 300
    first = sum(e.words[0] == e.query.word for e in found) / 300
    assert 0.4 < last < 0.6
    assert 0.4 < first < 0.6
    assert len({e.query.word for e in found}) > 250


def test_only_what_can_be_known_is_supervised() -> None:
    for form in ("turns", "message", "document"):
        for conversation in episodes(form=form, shots=(2, 4)):
            seen: set[str] = set()
            words = conversation.annotations["episode"].words
            for message in conversation.messages:
                said = [word for word in words if word in message.text]
                if said and message.role in ("assistant", "document"):
                    assert message.supervised == (said[0] in seen)
                seen.update(said)
            assert conversation.messages[-1].supervised


def test_without_support_there_is_nothing_to_learn() -> None:
    (episode,) = episodes(count=1, shots=(0,), split="validation")
    assert [(m.role, m.supervised) for m in episode.messages] == [("user", True), ("assistant", False)]
    with pytest.raises(ValidationError, match="cannot be learned from"):
        EpisodesConfig(count=1, shots=(0, 4))


@pytest.mark.parametrize("form", ["turns", "message", "document"])
def test_the_prompt_is_the_beginning_of_what_is_trained_on(form: str) -> None:
    template = ChatTemplate(tokenizer())
    for i in range(5):
        episode = episodes(form=form).episode(i)
        whole = plan(Conversation(episode.messages()), template, lambda _: 3, 1000)
        prompt = plan(Conversation(episode.prompt()), template, lambda _: 3, 1000, reply=True)
        assert whole.ids[: len(prompt)] == prompt.ids
        assert template.tokenizer.decode(whole.ids[len(prompt) :]).strip().startswith(episode.query.word)


def test_choices_offer_the_words_of_the_episode() -> None:
    episode = episodes(choices=True, shots=(2,)).episode(0)
    assert episode.question == f"Is this a {episode.words[0]} or a {episode.words[1]}?"
    assert episodes(shots=(2,)).episode(0).question == ASK


def test_splits_share_no_word_and_no_word_holds_another() -> None:
    train, validation, test = (set(made_up(split)) for split in ("train", "validation", "test"))
    assert not (train & test) and not (train & validation) and not (validation & test)
    assert {len(word) for word in train | validation | test} == {5}
    names = " ".join(thing.name for thing in all_things())
    assert not any(word in names for word in train | validation | test)


def test_no_test_word_occurs_in_training_not_even_as_tokens() -> None:
    template = ChatTemplate(tokenizer())
    test = [word for i in range(40) for word in episodes(split="test").episode(i).words]
    for form in ("turns", "document"):
        for conversation in episodes(form=form):
            ids = plan(conversation, template, lambda _: 1, 1000).ids
            text = template.tokenizer.decode(ids)
            for word in test:
                for spelling in (word, f" {word}"):
                    assert spelling not in text
                    needle = tuple(template.tokenizer(spelling, add_special_tokens=False)["input_ids"])
                    assert not any(ids[i : i + len(needle)] == needle for i in range(len(ids)))


def test_splits_may_share_no_thing_either() -> None:
    casts = [
        {t.name for t in EpisodesConfig(count=1, split=s, things_of="split").cast()}
        for s in ("train", "validation", "test")
    ]
    assert sum(map(len, casts)) == len(set.union(*casts)) == 64
    assert {t.name for t in EpisodesConfig(count=1, split="test").cast()} == set.union(*casts)
    test = episodes(split="test", things_of="split")
    assert {shown(picture) for i in range(40) for picture in test.episode(i).media} <= casts[2]


def test_shuffled_support_shows_each_word_beside_another_things_picture() -> None:
    for ways in (2, 3):
        for episode in (episodes(ways=ways, shots=(2 * ways,)).episode(i) for i in range(10)):
            truth = {shot.word: shown(shot.picture) for shot in episode.support}
            shifted = episode.shifted()
            assert [s.word for s in shifted.support] == [s.word for s in episode.support]
            assert {s.picture.key for s in shifted.support} == {s.picture.key for s in episode.support}
            assert all(shown(shot.picture) != truth[shot.word] for shot in shifted.support)
            assert shifted.query == episode.query
    empty = Episode(("a", "b"), (), episode.query)
    assert empty.shifted() == empty


def test_pictures_of_other_episodes_keep_the_words() -> None:
    one, other = episodes(shots=(4,)).episode(0), episodes(shots=(2,)).episode(1)
    mixed = one.with_pictures_of(other)
    assert [s.word for s in mixed.support] == [s.word for s in one.support]
    assert {s.picture.key for s in mixed.support} == {s.picture.key for s in other.support}
    assert mixed.query == one.query


def test_distractors_are_things_that_no_episode_names() -> None:
    found = episodes(distractors=2, things=10)
    named = {thing.name for thing in found.things}
    for i in range(5):
        for picture in found.episode(i).media:
            assert isinstance(picture.source, Drawing)
            names = [item.thing.name for item in picture.source.scene.objects]
            assert len(names) == 3
            assert len(named & set(names)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shots": 1}, "at least as many as `ways`"),
        ({"ways": 3, "shots": [2]}, "at least as many as `ways`"),
        ({"things": 5, "things_of": "split", "split": "test"}, "1 things in this split"),
        ({"pictures": 2, "shots": 4}, "too few"),
        ({"choices": True, "form": "document"}, "does not have"),
    ],
)
def test_impossible_episodes_are_refused_with_what_to_do(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EpisodesConfig(count=1, **options)  # type: ignore[arg-type]


def test_scenes_give_text_and_captioned_documents() -> None:
    text, document = (Scenes(ScenesConfig(count=3, style=style)) for style in ("text", "document"))
    for i in range(3):
        (message,) = text[i].messages
        (shown_message,) = document[i].messages
        assert message.role == shown_message.role == "document"
        assert not message.media
        assert shown_message.text.strip() == message.text
        caption = text[i].annotations["scene"]["captions"]["full"]
        assert message.text.lower() == f"{caption}.".lower()
        assert message.text[0].isupper()
        assert len(shown_message.media) == 1
