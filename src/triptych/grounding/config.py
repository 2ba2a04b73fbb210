"""What a recipe says about regions (`model.regions`). Importable without torch."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from triptych.config import Config
from triptych.conversation.expression import DESCRIBE, LOCATE, Wording
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.generate.config import GenerationSettings
from triptych.grounding.detectors.config import DetectorConfig, SamMasksConfig, TrainedConfig


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
    prompt: Wording = Field(
        LOCATE,
        description="how an expression is asked for by `triptych ground` and the like; tags of the format in it are tokens",
    )
    caption_prompt: str = Field(
        DESCRIBE, min_length=1, description="how a grounded caption is asked for; tags of the format in it are tokens"
    )


class CallRegionsConfig(Config):
    """The language model writes what to look for, a detector finds it, and the conversation goes on with what was found."""

    kind: Literal["call"] = "call"
    detector: DetectorConfig = Field(TrainedConfig(), description="who looks; training needs it not")
    masks: SamMasksConfig | None = Field(
        None, description="cut masks out of the boxes found, by SAM; null leaves boxes"
    )
    name: str = Field("detector", pattern=r"^[A-Za-z0-9_.-]+$", description="what calls name it: their `API_name`")
    style: Literal["brief", "full"] = Field(
        "brief",
        description="`brief`: calls alone, answers in plain words; `full`: LLaVA-Plus' thoughts, actions and value",
    )
    select: bool = Field(
        True,
        description="whether calls say which of the things found is meant (`second from the left`, `above the dog`); else all are",
    )
    answer: bool = Field(
        True, description="whether the model has the last word: it reads what was found, and may say that there is none"
    )
    decimals: int = Field(
        2, ge=1, le=6, description="digits behind the point of boxes that the model reads, from 0 to 1"
    )
    prompt: Wording = Field(LOCATE, description="how an expression is asked for by `triptych ground` and the like")
    generation: GenerationSettings = GenerationSettings(max_new_tokens=96, batch_size=32)


RegionsConfig: TypeAlias = Annotated[
    TextRegionsConfig | EmbeddingRegionsConfig | CallRegionsConfig, Field(discriminator="kind")
]
"""One of the kinds of grounding, told apart by `kind`."""
