"""What a recipe says about scenes with referring expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias, get_args

from pydantic import Field, field_validator, model_validator

from triptych.config import Config
from triptych.conversation.expression import LOCATE, Wording
from triptych.scenes.config import Split
from triptych.scenes.pairs import Cast
from triptych.scenes.things import select
from triptych.weights.embedded import OPENMOJI_FONT

ReferringKind: TypeAlias = Literal["name", "place", "relation", "order", "all", "none", "caption", "what"]

REFERRING_KINDS: tuple[ReferringKind, ...] = get_args(ReferringKind)
"""The kinds of turns, in the order in which they are listed everywhere."""

SHARES: Mapping[ReferringKind, float] = {"name": 3, "place": 2, "relation": 2, "order": 1, "none": 1}
"""The default mixture of kinds."""


class ReferringConfig(Config):
    """Composed pictures of glyphs, with expressions that refer to things in them: answers are regions.

    Kinds of turns: `name` ("the dog"), `place` ("the leftmost thing"), `relation` ("the dog above the cup"), `order` ("the
    second dog from the left"), `all` ("all dogs": as many regions as there are), `none` (an expression of any of these that fits
    nothing: the answer is "none"), `caption` (the whole picture in words, each phrase with its regions), `what` (a region in
    the question, its name in the answer).
    """

    implementation: ClassVar[str] = "triptych.scenes.referring.dataset:Referring"

    kind: Literal["referring"] = "referring"
    count: int = Field(ge=1, description="how many pictures; the first ones are the same whatever the count")
    split: Split = Field(
        "train",
        description="pictures of different splits are drawn independently; `pairs` shows only pictures with two "
        "things that no picture of the other splits shows together",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="another seed, other pictures")
    things: int | tuple[str, ...] = Field(
        16, description="the first so many things of the list (commonest first), or their names"
    )
    objects: tuple[int, int] = Field((3, 5), description="fewest and most objects in a picture, from 1 to 9")
    kinds: Mapping[ReferringKind, float] = Field(
        dict(SHARES),
        min_length=1,
        description="the kinds of turns with their shares, which need not add up to one; that of `caption` is of pictures",
    )
    turns: int = Field(
        3,
        ge=1,
        le=9,
        description="turns per picture, at most; no two of them about the same regions. A `caption` is alone",
    )
    answer: Literal["regions", "name", "phrase"] = Field(
        "name",
        description="what stands before the regions of an answer: nothing, the thing's name, or the expression again",
    )
    masks: bool = Field(False, description="whether regions carry their masks")
    wordings: tuple[Wording, ...] = Field(
        (LOCATE,),
        min_length=1,
        description="ways of asking for an expression, each with `{expression}`; grounders ask in the default way",
    )
    size: int = Field(260, ge=96, le=2048, description="side of the square picture in pixels")
    font: str = Field(OPENMOJI_FONT, description="URI of the colour font that the things are drawn with")

    @field_validator("things", mode="after")
    @classmethod
    def _things_exist(cls, value: int | tuple[str, ...]) -> int | tuple[str, ...]:
        select(value)
        return value

    @field_validator("kinds", mode="after")
    @classmethod
    def _shares_are_shares(cls, value: Mapping[ReferringKind, float]) -> Mapping[ReferringKind, float]:
        for kind, share in value.items():
            if not 0 <= share < float("inf"):
                raise ValueError(f"the share of {kind!r} is {share}; expected a number from 0 on")
        if not any(value.values()):
            raise ValueError("every kind has a share of 0")
        return value

    @model_validator(mode="after")
    def _possible(self) -> ReferringConfig:
        fewest, most = self.objects
        if not 1 <= fewest <= most <= 9:
            raise ValueError(f"`objects`: [fewest, most] with 1 ≤ fewest ≤ most ≤ 9, got {list(self.objects)}")
        for kind, why in (("relation", "stand beside"), ("order", "come before or after"), ("all", "be several of")):
            if most < 2 and self.kinds.get(kind):  # type: ignore[call-overload]
                raise ValueError(f"`{kind}` needs two objects in a picture to {why}: raise the second of `objects`")
        if self.split == "pairs":
            if most < 2:
                raise ValueError("`split: pairs` needs two objects in a picture: raise the second number of `objects`")
            if not self.cast().held_out:
                raise ValueError("`split: pairs`: no two of these `things` are a held-out pair; choose more things")
        return self

    def cast(self) -> Cast:
        """The things, resolved, and which of them may meet in a picture of this split."""
        return Cast(select(self.things), strangers=self.split == "pairs")
