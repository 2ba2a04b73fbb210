"""What a recipe says about scenes."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from pydantic import Field, field_validator, model_validator

from triptych.config import Config
from triptych.scenes.pairs import Cast
from triptych.scenes.things import select
from triptych.weights.embedded import OPENMOJI_FONT

Split: TypeAlias = Literal["train", "validation", "test", "pairs"]
Kind: TypeAlias = Literal["existence", "naming", "place", "counting", "comparison", "relation"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of questions, in the order in which they are listed everywhere."""


class ScenesConfig(Config):
    """Composed pictures of glyphs, with captions or questions whose answers are exact."""

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
    style: Literal["questions", "caption", "mixed"] = Field(
        "questions", description="what is said about a picture; `mixed` is half questions, half captions"
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
        elif self.style != "caption" and set(self.kinds) == {"relation"}:
            if self.objects[1] < 2:
                raise ValueError("relation questions need two objects: raise the second number of `objects`")
            if len(cast.held_out) == len(cast.things) * (len(cast.things) - 1) // 2:
                raise ValueError("relation questions: every two of these `things` are held out; choose more things")
        return self

    def cast(self) -> Cast:
        """The things, resolved, and which of them may meet in a picture of this split."""
        return Cast(select(self.things), strangers=self.split == "pairs")
