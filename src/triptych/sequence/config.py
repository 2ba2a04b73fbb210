"""What a recipe says about sequences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from triptych.config import Config


class SequenceConfig(Config):
    """How conversations become rows of tokens."""

    max_tokens: int = Field(2048, ge=8, description="the longest conversation, media included")
    row_tokens: int | None = Field(None, ge=8, description="length of a packed row; `max_tokens` by default")
    overflow: Literal["shorten", "refuse"] = Field(
        "shorten", description="a conversation that is too long loses whole turns from its oldest end, or is refused"
    )

    @model_validator(mode="after")
    def _conversations_fit_into_rows(self) -> SequenceConfig:
        if self.row_tokens is not None and self.row_tokens < self.max_tokens:
            raise ValueError(
                f"`row_tokens` ({self.row_tokens}) must hold the longest conversation: "
                f"lower `max_tokens` ({self.max_tokens})"
            )
        return self
