"""The base of every configuration: strict, immutable, light to import."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

FileStem = Annotated[str, Field(max_length=200, pattern=r"^[^/\\\x00]*[^/\\.\x00][^/\\\x00]*$")]
"""A name that becomes a file's: it leads into no other folder."""


class Config(BaseModel):
    """A part of a recipe. Unknown fields are errors, values do not change after validation, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    implementation: ClassVar[str] = ""
    """`package.module:Class` of what is built from it, so that reading a recipe does not import it."""
