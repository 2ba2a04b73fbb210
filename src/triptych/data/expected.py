"""How large a dataset is, where it is not at hand."""

from __future__ import annotations

from pydantic import Field

from triptych.config import Config


class Expected(Config):
    """How large a dataset is, for `triptych plan` on a machine that does not have it. Nothing else looks at this."""

    records: int = Field(ge=1, description="how many there are")
    media: float = Field(1.0, ge=0, description="pictures per record, on average")
    text_tokens: float | None = Field(None, ge=0, description="tokens per record that are not media, on average")
    supervised_tokens: float | None = Field(None, ge=0, description="tokens per record that are predicted, on average")
