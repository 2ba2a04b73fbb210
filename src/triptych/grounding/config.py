"""What a recipe says about regions (`model.regions`). Importable without torch."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from triptych.config import Config
from triptych.conversation.expression import LOCATE


class TextRegionsConfig(Config):
    """Regions are words: the language model reads and writes them as text, with tokens of their own or without."""

    kind: Literal["text"] = "text"
    format: Literal["kosmos2", "shikra", "qwen", "json"] = Field(
        "kosmos2",
        description="`kosmos2`: location tokens, one per corner, on a grid; `shikra`: decimals from 0 to 1; `qwen`: integers "
        "from 0 to 999 in <ref> and <box>; `json`: objects with `bbox` and `label`, integers from 0 to 999",
    )
    bins: int = Field(32, ge=2, le=100, description="kosmos2: cells of the grid along one side")
    decimals: int = Field(3, ge=1, le=6, description="shikra: digits behind the point")
    frame: Literal["input", "picture"] = Field(
        "input",
        description="what coordinates are relative to: the square that the encoder sees, padding and all, or the picture",
    )
    prompt: str = Field(LOCATE, description="how an expression is asked for by `triptych ground` and the like")


RegionsConfig: TypeAlias = TextRegionsConfig
"""One of the kinds of grounding, told apart by `kind`."""
