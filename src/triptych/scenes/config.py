"""What a recipe says about scenes."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import Field, field_validator, model_validator

from triptych.config import Config
from triptych.scenes.pairs import Cast
from triptych.scenes.things import Thing, all_things, select
from triptych.weights.embedded import OPENMOJI_FONT

Split: TypeAlias = Literal["train", "validation", "test", "pairs"]
Kind: TypeAlias = Literal["existence", "naming", "place", "counting", "comparison", "relation"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of questions, in the order in which they are listed everywhere."""


class ScenesConfig(Config):
    """Composed pictures of glyphs, with captions or questions whose answers are exact."""

    implementation: ClassVar[str] = "triptych.scenes.dataset:Scenes"

    kind: Literal["scenes"] = "scenes"
    count: int = Field(ge=1, description="how many pictures; the first ones are the same whatever the count")
    split: Split = Field(
        "train",
        description="pictures of different splits are drawn independently; `pairs` shows only pictures with two "
        "things that no picture of the other splits shows together",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="another seed, other pictures")
    things: int | tuple[str, ...] = Field(
        64, description="the first so many things of the list (commonest first), or their names"
    )
    objects: tuple[int, int] = Field((1, 6), description="fewest and most objects in a picture, from 1 to 9")
    style: Literal["questions", "caption", "mixed", "document", "text"] = Field(
        "questions",
        description="what is said about a picture; `mixed` is half questions, half captions. For pretraining in one "
        "stage: `document` is picture and caption without question or roles, `text` the caption alone",
    )
    captions: Literal["both", "full", "names"] = Field(
        "both",
        description="what a caption says: `names`: what there is; `full`: where it is, too; `both`: half of them one, half "
        "the other",
    )
    kinds: tuple[Kind, ...] = Field(KINDS, min_length=1, description="the kinds of questions")
    questions: int = Field(
        6, ge=1, le=32, description="questions per picture, at most: fewer where no more can be asked"
    )
    hints: bool = Field(
        False,
        description="whether to ask, too, what earlier turns give away: more questions per picture, part of which "
        "can be answered or guessed without looking",
    )
    size: int = Field(260, ge=96, le=2048, description="side of the square picture in pixels")
    font: str = Field(OPENMOJI_FONT, description="URI of the colour font that the things are drawn with")

    @field_validator("things", mode="after")
    @classmethod
    def _things_exist(cls, value: int | tuple[str, ...]) -> int | tuple[str, ...]:
        select(value)
        return value

    @field_validator("objects", mode="after")
    @classmethod
    def _objects_fit(cls, value: tuple[int, int]) -> tuple[int, int]:
        fewest, most = value
        if not 1 <= fewest <= most <= 9:
            raise ValueError(f"[fewest, most] with 1 ≤ fewest ≤ most ≤ 9 (there are nine places), got {list(value)}")
        return value

    @field_validator("kinds", mode="after")
    @classmethod
    def _kinds_differ(cls, value: tuple[Kind, ...]) -> tuple[Kind, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"a kind comes twice in {list(value)}")
        return value

    @model_validator(mode="after")
    def _possible(self) -> ScenesConfig:
        cast = self.cast()
        if self.split == "pairs":
            if self.objects[1] < 2:
                raise ValueError("`split: pairs` needs two objects in a picture: raise the second number of `objects`")
            if not cast.held_out:
                raise ValueError("`split: pairs`: no two of these `things` are a held-out pair; choose more things")
        elif self.style in ("questions", "mixed") and set(self.kinds) == {"relation"}:
            if self.objects[1] < 2:
                raise ValueError("relation questions need two objects: raise the second number of `objects`")
            if len(cast.held_out) == len(cast.things) * (len(cast.things) - 1) // 2:
                raise ValueError("relation questions: every two of these `things` are held out; choose more things")
        return self

    def cast(self) -> Cast:
        """The things, resolved, and which of them may meet in a picture of this split."""
        return Cast(select(self.things), strangers=self.split == "pairs")


class EpisodesConfig(Config):
    """Few-shot episodes: pictures named by made-up words, then one more picture whose name only these pictures tell."""

    implementation: ClassVar[str] = "triptych.scenes.episodes:Episodes"

    kind: Literal["episodes"] = "episodes"
    count: int = Field(ge=1, description="how many episodes; the first ones are the same whatever the count")
    split: Literal["train", "validation", "test"] = Field(
        "train", description="splits share neither words nor pictures (nor things, with `things_of: split`)"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="another seed, other episodes")
    ways: int = Field(2, ge=2, le=8, description="how many things an episode names")
    shots: tuple[int, ...] = Field(
        (4,),
        min_length=1,
        description="how many pictures are named before the question; of several numbers each episode draws one. "
        "0, or at least `ways`",
    )
    form: Literal["turns", "message", "document"] = Field(
        "turns",
        description="`turns`: each picture is a question with its answer; `message`: everything in one message of the "
        "user's; `document`: sentences without roles",
    )
    choices: bool = Field(False, description="whether the question offers the episode's words, of which one is right")
    things: int | tuple[str, ...] = Field(
        64, description="the first so many things of the list (commonest first), or their names"
    )
    things_of: Literal["all", "split"] = Field(
        "all",
        description="`split`: train shows three of five things, validation and test one of five each, none of them the "
        "same; `all`: only the words are new",
    )
    pictures: int = Field(64, ge=1, description="how many pictures there are of each thing; fewer are encoded sooner")
    distractors: int = Field(0, ge=0, le=4, description="other things beside the named one, never any of `things`")
    size: int = Field(260, ge=96, le=2048, description="side of the square picture in pixels")
    font: str = Field(OPENMOJI_FONT, description="URI of the colour font that the things are drawn with")

    @field_validator("shots", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value

    @field_validator("things", mode="after")
    @classmethod
    def _things_exist(cls, value: int | tuple[str, ...]) -> int | tuple[str, ...]:
        select(value)
        return value

    @model_validator(mode="after")
    def _possible(self) -> EpisodesConfig:
        for shots in self.shots:
            if shots < 0 or 0 < shots < self.ways:
                raise ValueError(
                    f"`shots: {shots}` cannot name each of {self.ways} things: at least as many as `ways`, or 0"
                )
        if self.split == "train" and 0 in self.shots:
            raise ValueError(
                "`shots: 0` cannot be learned from: nothing tells the word. Ask with 0 shots in the evaluation "
                "(a task of `kind: episodes` with `shots: [0, …]`), and train with at least `ways`"
            )
        if self.choices and self.form == "document":
            raise ValueError("`choices` are offered by a question, which `form: document` does not have")
        if len(self.cast()) < self.ways:
            raise ValueError(
                f"{len(self.cast())} things in this split cannot give {self.ways} ways; choose more `things`"
            )
        if self.pictures < self.most_of_one:
            raise ValueError(
                f"`pictures: {self.pictures}` of each thing are too few: an episode shows one up to {self.most_of_one} times, "
                "each time in another picture"
            )
        if self.distractors and not self.strangers():
            raise ValueError(
                "`distractors` need things beside `things`, which are all there are; choose fewer `things`"
            )
        return self

    @property
    def most_of_one(self) -> int:
        """How many pictures of one thing an episode shows at most: its share of the shots, and the one asked about."""
        return -(-max(self.shots) // self.ways) + 1

    def cast(self) -> tuple[Thing, ...]:
        """The things that episodes of this split name."""
        chosen = select(self.things)
        if self.things_of == "all":
            return chosen
        fifths = {"train": (0, 1, 2), "validation": (3,), "test": (4,)}[self.split]
        return tuple(thing for i, thing in enumerate(chosen) if i % 5 in fifths)

    def strangers(self) -> tuple[Thing, ...]:
        """The things that may stand beside the named one: those that no episode names."""
        named = set(select(self.things))
        return tuple(thing for thing in all_things() if thing not in named)
