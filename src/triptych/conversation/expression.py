"""An expression and the regions it refers to: what is asked for and what is true, in one type for data, models and scores."""

from __future__ import annotations

from dataclasses import dataclass

from triptych.conversation.region import Region

LOCATE = "Find {expression}."
"""How a grounder asks for an expression, and the first wording that the embedded data trains with."""

DESCRIBE = "Describe the picture and point at everything."
"""How a grounder asks for a grounded caption."""

NONE = "none"
"""The whole answer where there is none such."""


def wording(text: str) -> str:
    """A way of asking for an expression, as it is if it can be one.

    Raises:
        ValueError: It does not hold `{expression}` once, or something else in braces.
    """
    try:
        if text.format(expression="\0").count("\0") == 1:
            return text
    except (LookupError, ValueError, AttributeError):
        pass
    raise ValueError(f"the wording {text!r} needs `{{expression}}` once and nothing else in braces")


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

    @property
    def question(self) -> str:
        """The request that a grounder puts."""
        return LOCATE.format(expression=self.text)
