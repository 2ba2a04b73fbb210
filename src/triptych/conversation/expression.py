"""An expression and the regions it refers to: what is asked for and what is true, in one type for data, models and scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from triptych.conversation.region import Region

LOCATE = "Find {expression}."
"""How a grounder asks for an expression, and the first wording that the embedded data trains with."""

DESCRIBE = "Describe the picture and point at everything."
"""How a grounder asks for a grounded caption."""

NONE = "none"
"""The whole answer where there is none such."""


@dataclass(frozen=True)
class Expression:
    """Words for something in a picture, and where it is.

    In a conversation the phrase is a text part of its own, and its regions are the parts right behind it.

    Args:
        text: "the dog above the cup".
        regions: What it refers to, in reading order; empty where there is none such.
        kind: What it tells its object by (`name`, `place`, `relation`, …); scores are per kind.
    """

    text: str
    regions: tuple[Region, ...] = ()
    kind: str = "expression"

    def asked(self, wording: str = LOCATE) -> str:
        """The request for it in a wording, by default in that which a grounder puts."""
        return wording.format(expression=self.text)


def checked_wording(wording: str) -> str:
    """A way of asking for an expression, as it is given.

    Raises:
        ValueError: It does not have `{expression}` once, and nothing else in braces.
    """
    try:
        if wording.format(expression="\0").count("\0") == 1:
            return wording
    except (KeyError, IndexError, ValueError, AttributeError):
        pass
    raise ValueError(f"the wording {wording!r} needs `{{expression}}` once and nothing else in braces")


Wording = Annotated[str, AfterValidator(checked_wording)]
"""How an expression is asked for, in a recipe: words with `{expression}` once."""
