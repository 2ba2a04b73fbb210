"""How much there is to read: records, media and tokens of a recipe's datasets, as far as that can be told cheaply.

Best are records that are read and planned with the model's own tokenizer, where both are at hand. Next come characters
of records, then what the recipe expects, then typical lengths. Nothing is downloaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from triptych.conversation import Conversation
from triptych.data.config import DataConfig
from triptych.data.pairs import texts_of
from triptych.data.reading import read_record
from triptych.data.sources import Source
from triptych.data.sources import build as build_source
from triptych.errors import DataError, RecipeError, TriptychError
from triptych.language.template import ChatTemplate
from triptych.planner.tokens import at_hand
from triptych.recipe import Recipe
from triptych.registry import CustomConfig
from triptych.scenes.config import EpisodesConfig, ScenesConfig
from triptych.scenes.referring.config import ReferringConfig
from triptych.sequence.pairs import Words
from triptych.sequence.plan import Refusal, plan, unroll

SAMPLE = 256
"""Records that are read to estimate the others."""

CHARACTERS_PER_TOKEN = 3.6
"""Of English questions and answers, by SmolLM2's tokenizer on scenes; others differ by about a fifth."""

TURN_TOKENS, SYSTEM_TOKENS = 5, 20
"""What a chat template writes around a message and in front of a conversation, roughly."""

SCENE_TURN = (20.0, 2.2)
"""Tokens of a question about a scene with its answer, and how many of them are supervised (SmolLM2's tokenizer)."""

SCENE_TURNS = 0.65
"""Questions that are asked per question allowed: there is not always more to ask."""

SCENE_CAPTION = (31.0, 13.8)
"""The same of a caption."""

UNKNOWN_TEXT = (100.0, 40.0)
"""Assumed where nothing is known."""


@dataclass(frozen=True)
class DatasetSize:
    """What a plan knows of a dataset; media and tokens are means per record.

    Args:
        records: How many there are; None where nobody says.
        media: Of all modalities.
        text_tokens: Tokens that are not media, the template's included.
        supervised: Tokens that are predicted.
        origin: Where this comes from.
        texts: Of a pair's picture, of which each draw takes one.
        lengths: Tokens of the texts of pairs that were read, in ascending order; empty where none was.
        modalities: Media of each modality, where records were read that hold some.
    """

    name: str
    records: int | None
    media: float
    text_tokens: float
    supervised: float
    origin: str
    texts: float = 1.0
    lengths: tuple[int, ...] = ()
    modalities: Mapping[str, float] = field(default_factory=dict)

    def of(self, modality: str) -> float:
        """Media of one modality; of records that were not read, all are taken to be pictures."""
        if self.modalities:
            return self.modalities.get(modality, 0.0)
        return self.media if modality == "image" else 0.0

    @property
    def shown(self) -> str:
        """The media in words."""
        counts = self.modalities or {"image": self.media}
        names = {"image": "pictures"}
        return " and ".join(f"{count:.3g} {names.get(modality, modality)}" for modality, count in counts.items())

    def longest(self, texts: int, limit: int) -> float:
        """Tokens that the longest of so many texts is expected to have: what a batch of them is padded to.

        Args:
            texts: Drawn at random from those that were read.
            limit: Of a text; what the longest is taken to have where none was read.
        """
        if not self.lengths:
            return float(limit)
        below: list[float] = [((i + 1) / len(self.lengths)) ** texts for i in range(len(self.lengths))]
        expected = sum(
            length * (high - low) for length, low, high in zip(self.lengths, [0.0, *below], below, strict=False)
        )
        return min(float(limit), expected)


def pair_sizes(recipe: Recipe, words: Words | None = None, beside: int = 1) -> dict[str, DatasetSize]:
    """The same for pairs of a picture and a text: `text_tokens` are those of one text, its end token among them; nothing is supervised.

    Args:
        recipe: Whose datasets.
        words: Texts → ids, where the tokenizer is at hand.
        beside: Tokens that stand around a text's own, where it is not.

    Raises:
        RecipeError: As `dataset_sizes`.
    """
    sizes = {name: _pairs(name, recipe, words, beside) for name in used(recipe)}
    check_lengths(recipe, sizes)
    return sizes


def _pairs(name: str, recipe: Recipe, words: Words | None, beside: int) -> DatasetSize:
    config: DataConfig = recipe.data[name]
    base = Path(recipe.base)
    drawn = isinstance(config, ScenesConfig | EpisodesConfig)
    try:
        if drawn and not at_hand(config.font, base):  # type: ignore[union-attr]
            raise DataError("its font has not been fetched")
        source = build_source(config, base)
        read = [texts_of(conversation) for conversation in read_some(source)]
    except (DataError, Refusal) as error:
        found = expected_size(name, config, str(error))
        given = getattr(getattr(config, "expected", None), "text_tokens", None)
        tokens = (given or SCENE_CAPTION[1]) + beside
        return replace(found, media=1.0, text_tokens=tokens, supervised=0.0)
    texts = [text for own in read for text in own]
    lengths = [len(words.ids(text)) if words else beside + len(text) / CHARACTERS_PER_TOKEN for text in texts]
    how = "the model's tokenizer" if words else f"{CHARACTERS_PER_TOKEN} characters a token"
    origin = f"by {len(texts)} of its texts and {how}"
    each = len(texts) / max(1, len(read))
    known = tuple(sorted(round(length) for length in lengths))
    return DatasetSize(name, len(source), 1.0, sum(lengths) / max(1, len(lengths)), 0.0, origin, each, known)


def used(recipe: Recipe) -> list[str]:
    """The datasets that stages draw from."""
    return list(dict.fromkeys(name for stage in recipe.stages for name in stage.mixture))


def check_lengths(recipe: Recipe, sizes: Mapping[str, DatasetSize]) -> None:
    """Raises RecipeError where the length of a stage depends on a dataset whose size nobody says."""
    for i, stage in enumerate(recipe.stages):
        unknown = [name for name in stage.mixture if sizes[name].records is None]
        if stage.epochs is not None and unknown:
            raise RecipeError(
                f"stages.{i}.epochs: the plan needs the number of records of {unknown[0]!r}, which is not at hand "
                f"({sizes[unknown[0]].origin}); say data.{unknown[0]}.expected.records=NUMBER, or give `steps`"
            )


def conversation_size(name: str, recipe: Recipe, template: ChatTemplate | None) -> DatasetSize:
    """The size of a dataset of conversations, planned by `template` where a tokenizer is at hand."""
    config: DataConfig = recipe.data[name]
    base = Path(recipe.base)
    if isinstance(config, ScenesConfig) and not at_hand(config.font, base):
        return _typical_scenes(name, config)
    if isinstance(config, EpisodesConfig | ReferringConfig) and not at_hand(config.font, base):
        return expected_size(name, config, "its font has not been fetched")
    try:
        source = build_source(config, base)
    except DataError as error:
        return expected_size(name, config, str(error))
    read = read_some(source)
    if not read:
        return expected_size(name, config, "none of its records could be read")
    if template is not None:
        planned = _planned(name, source, read, recipe, template)
        if planned is not None:
            return planned
    media = _media(read)
    texts = [len(message.text) for conversation in read for message in conversation.messages]
    answers = [
        len(m.text) for conversation in read for m in conversation.messages if m.role in ("assistant", "document")
    ]
    return DatasetSize(
        name,
        len(source),
        media=sum(media.values()),
        text_tokens=SYSTEM_TOKENS + (sum(texts) / CHARACTERS_PER_TOKEN + TURN_TOKENS * len(texts)) / len(read),
        supervised=(sum(answers) / CHARACTERS_PER_TOKEN + len(answers)) / len(read),
        origin=f"by {len(read)} of its records, at {CHARACTERS_PER_TOKEN} characters a token",
        modalities=media,
    )


def read_some(source: Source) -> list[Conversation]:
    """Some records at even distances; those that cannot be read are the ledger's matter."""
    found = []
    for index in range(0, len(source), max(1, len(source) // SAMPLE)):
        try:
            found.append(read_record(source, index))
        except DataError:
            continue
    return found


def _planned(
    name: str, source: Source, read: list[Conversation], recipe: Recipe, template: ChatTemplate
) -> DatasetSize | None:
    """By the planner that training uses; media count separately. None where it refuses everything."""
    layouts, records = [], 0
    for conversation in read:
        try:
            limits = recipe.sequence.max_tokens, recipe.sequence.overflow
            layouts += [plan(each, template, lambda _: 0, *limits) for each in unroll(conversation, template)]
            records += 1
        except (Refusal, TriptychError):
            continue
    if not layouts:
        return None
    media = _media(read, len(layouts) / records)
    return DatasetSize(
        name,
        len(source),
        media=sum(media.values()),
        text_tokens=sum(map(len, layouts)) / records,
        supervised=sum(layout.supervised for layout in layouts) / records,
        origin=f"by {records} of its records and the model's tokenizer",
        modalities=media,
    )


def _media(read: list[Conversation], times: float = 1.0) -> dict[str, float]:
    """Media of each modality in a record, on average, where each record is read so many times."""
    counts = Counter(medium.modality for conversation in read for medium in conversation.media)
    return {modality: count / len(read) * times for modality, count in counts.items()}


def _typical_scenes(name: str, config: ScenesConfig) -> DatasetSize:
    turns = max(1.0, SCENE_TURNS * config.questions)
    questions = (turns * SCENE_TURN[0], turns * SCENE_TURN[1])
    text, supervised = {
        "questions": questions,
        "caption": SCENE_CAPTION,
        "mixed": ((questions[0] + SCENE_CAPTION[0]) / 2, (questions[1] + SCENE_CAPTION[1]) / 2),
        "document": (SCENE_CAPTION[1], SCENE_CAPTION[1]),
        "text": (SCENE_CAPTION[1], SCENE_CAPTION[1]),
    }[config.style]
    return DatasetSize(
        name,
        config.count,
        0.0 if config.style == "text" else 1.0,
        SYSTEM_TOKENS + text,
        supervised,
        "drawn on demand; typical lengths",
    )


def expected_size(name: str, config: DataConfig, reason: str) -> DatasetSize:
    """What the recipe expects of a dataset that cannot be read."""
    text, supervised = UNKNOWN_TEXT
    expected = (
        None if isinstance(config, CustomConfig | ScenesConfig | EpisodesConfig | ReferringConfig) else config.expected
    )
    if expected is None:
        count = config.count if isinstance(config, ScenesConfig | EpisodesConfig | ReferringConfig) else None
        return DatasetSize(name, count, 1.0, text, supervised, f"not at hand ({reason}); lengths are assumed")
    limit = None if isinstance(config, CustomConfig | ScenesConfig | EpisodesConfig | ReferringConfig) else config.limit
    return DatasetSize(
        name,
        expected.records if limit is None else min(limit, expected.records),
        expected.media,
        text if expected.text_tokens is None else expected.text_tokens,
        supervised if expected.supervised_tokens is None else expected.supervised_tokens,
        "not at hand; the recipe's `expected`",
    )
