"""What a trained model can do: tasks and commands name the capability that they need and get the object that has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import Conversation, Image
from triptych.errors import RecipeError

if TYPE_CHECKING:
    from triptych.generate.config import GenerationSettings, Reply

Floats = NDArray[np.floating[Any]]


class Answers(Protocol):
    """Writes the next message of a conversation."""

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings | None = None) -> list[Reply]:
        """One reply per conversation, in order; each conversation ends with a user's message."""
        ...

    def stream(self, conversation: Conversation, settings: GenerationSettings | None = None) -> Iterator[str]:
        """A reply piece by piece."""
        ...


class Pools(Protocol):
    """Makes one vector of a medium."""

    def features(self, pictures: Sequence[Image]) -> Floats:
        """Pooled features `[N, D]`."""
        ...


class Embeds(Pools, Protocol):
    """Puts media and texts into one space."""

    def images(self, pictures: Sequence[Image]) -> Floats:
        """Directions `[N, E]` of length one; `[N, Q, E]` where a picture has several."""
        ...

    def texts(self, texts: Sequence[str]) -> Floats:
        """Directions `[N, E]` of length one."""
        ...

    def text_features(self, texts: Sequence[str]) -> Floats:
        """Features `[N, D']` of texts that no picture had a part in."""
        ...


class Matches(Embeds, Protocol):
    """Tells how well each text fits each medium, in words of its own loss."""

    def similarity(self, pictures: Sequence[Image], texts: Sequence[str]) -> Floats:
        """Cosines `[N, M]` of N pictures with M texts."""
        ...

    def shares(self, cosines: Floats) -> Floats:
        """What the loss makes of cosines `[N, M]`."""
        ...

    @property
    def shares_are(self) -> str:
        """What `shares` are called."""
        ...


class Grounds(Protocol):
    """Points: finds expressions in pictures."""

    def grounder(self, settings: GenerationSettings | None = None) -> Any:
        """The `triptych.grounding.grounding.Grounder`; `settings` say how answers are decoded, where some are written."""
        ...

    def pointing_settings(self) -> GenerationSettings:
        """How answers are decoded where nobody says otherwise."""
        ...

    def pointing_fingerprint(self) -> str:
        """A hash of all that decides what is pointed at."""
        ...


DOES = {
    "answers": "answers questions",
    "embeds": "puts pictures and texts into one space",
    "matches": "tells which text fits a picture",
    "rereads": "reads a picture and a text together",
    "pools": "gives features of pictures",
    "grounds": "points at what it is told",
    "detects": "finds things by their names",
}
"""Capability → what a model with it does, for messages."""


class Capable:
    """A base of trained models: which capabilities it has, and what is said where one is missing."""

    kind: str = ""

    def capability(self, name: str) -> Any | None:
        """The object that has a capability (a key of `DOES`), or None."""
        raise NotImplementedError

    def instead(self, run: str) -> str:  # noqa: ARG002 - for subclasses
        """What works with a run of this kind, for messages."""
        return ""

    def require(self, name: str, run: str) -> Any:
        """The object that has a capability.

        Args:
            name: A key of `DOES`.
            run: What the model is called in messages.

        Raises:
            RecipeError: The model cannot do this; the message says what it can do.
        """
        able = self.capability(name)
        if able is None:
            raise RecipeError(f"{run}: {self.refusal(name)}{self.instead(run)}")
        return able

    def refusal(self, name: str) -> str:
        """Why the model does not have a capability."""
        can = [does for capability, does in DOES.items() if self.capability(capability) is not None]
        return f"no model of `kind: {self.kind}` {DOES.get(name, name)}" + (f"; it {', '.join(can)}" if can else "")
