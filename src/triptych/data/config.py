"""What a recipe says about a dataset: one `Config` for each kind of source, and their union `DataConfig`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, StringConstraints

from triptych.config import Config
from triptych.data.boxes.config import (
    CocoInstancesConfig,
    Flickr30kConfig,
    RefcocoConfig,
    VisualGenomeConfig,
)
from triptych.data.expected import Expected
from triptych.registry import CustomConfig, Slot
from triptych.scenes.config import EpisodesConfig, ScenesConfig
from triptych.scenes.referring.config import ReferringConfig

CAPTION_PROMPTS = (
    "Describe this picture in one sentence.",
    "What does the picture show?",
    "Write a short caption for this picture.",
    "Give a brief description of what you see.",
)
"""Ways of asking for a caption; a recipe may bring its own."""

Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]


class LlavaConfig(Config):
    """A file of conversations with pictures: a JSON list, JSON lines or parquet of LLaVA's `{id, image, conversations}`, of
    OpenAI's `messages`, or of another dialect in use.

    Relative paths start at the recipe's folder; `~` is the user's home.
    """

    implementation: ClassVar[str] = "triptych.data.llava:LlavaSource"

    kind: Literal["llava"] = "llava"
    path: Path = Field(description="the JSON, JSON-lines or parquet file")
    images: Path | None = Field(
        None, description="the folder of the pictures, which records cannot leave; null takes the folder of `path`"
    )
    boxes: Literal["text", "picture", "square"] = Field(
        "text",
        description="boxes like [0.12, 0.30, 0.58, 0.91] in what is said: left as `text`, or read as regions, in shares of the "
        "`picture` or of the `square` that it is padded to",
    )
    limit: int | None = Field(None, ge=1, description="read only the first records, this many")
    expected: Expected | None = Field(None, description="its size, for `triptych plan` where the file is not at hand")


class CocoCaptionsConfig(Config):
    """Captions in COCO's format: `{images: [{id, file_name}], annotations: [{image_id, caption}]}`.

    Relative paths start at the recipe's folder; `~` is the user's home.
    """

    implementation: ClassVar[str] = "triptych.data.coco:CocoCaptionsSource"

    kind: Literal["coco_captions"] = "coco_captions"
    annotations: Path = Field(description="the JSON file")
    images: Path = Field(description="the folder of the pictures, which `file_name`s cannot leave")
    prompts: tuple[Text, ...] = Field(
        CAPTION_PROMPTS, min_length=1, description="ways of asking; the picture's id decides which it is asked with"
    )
    captions: Literal["one_per_record", "all", "first"] = Field(
        "one_per_record",
        description="`one_per_record`: each caption is a conversation; `all`: one conversation for each picture, "
        "one caption after another; `first`: only the first caption (references hold them all)",
    )
    limit: int | None = Field(None, ge=1, description="read only the first pictures, this many")
    expected: Expected | None = Field(None, description="its size, for `triptych plan` where the file is not at hand")


class TextConfig(Config):
    """Text to pretrain on: every token is predicted, without roles.

    Relative paths start at the recipe's folder; `~` is the user's home.
    """

    implementation: ClassVar[str] = "triptych.data.text:TextSource"

    kind: Literal["text"] = "text"
    path: Path = Field(description="a .txt, .jsonl or .parquet file, or a folder of them")
    documents: Literal["blank_lines", "file"] = Field(
        "blank_lines",
        description="what a document is in a .txt file: what stands between blank lines, or the whole file",
    )
    field: Text = Field("text", description="key of the text in JSON lines")
    chunk_characters: int | None = Field(
        None, ge=16, description="cut longer documents into pieces of so many characters, between words"
    )
    limit: int | None = Field(None, ge=1, description="read only the first records, this many")
    expected: Expected | None = Field(None, description="its size, for `triptych plan` where the file is not at hand")


class AlpacaConfig(Config):
    """Instructions in Alpaca's format: a JSON list, or JSON lines, of `{instruction, input, output}`.

    Relative paths start at the recipe's folder; `~` is the user's home.
    """

    implementation: ClassVar[str] = "triptych.data.alpaca:AlpacaSource"

    kind: Literal["alpaca"] = "alpaca"
    path: Path = Field(description="the JSON, JSON-lines or parquet file")
    form: Literal["prompt", "turns"] = Field(
        "prompt",
        description="`prompt`: Alpaca's published prompt as it stands; `turns`: user and assistant in the model's own template",
    )
    limit: int | None = Field(None, ge=1, description="read only the first records, this many")
    expected: Expected | None = Field(None, description="its size, for `triptych plan` where the file is not at hand")


class InterleavedConfig(Config):
    """Documents with pictures anywhere: JSON lines of `{parts: [{text} | {image}]}`, or in the form of OBELICS or MMC4.

    Relative paths start at the recipe's folder; `~` is the user's home.
    """

    implementation: ClassVar[str] = "triptych.data.interleaved:InterleavedSource"

    kind: Literal["interleaved"] = "interleaved"
    path: Path = Field(description="the JSON, JSON-lines or parquet file")
    images: Path | None = Field(
        None, description="the folder of the pictures, which records cannot leave; null takes the folder of `path`"
    )
    limit: int | None = Field(None, ge=1, description="read only the first documents, this many")
    expected: Expected | None = Field(None, description="its size, for `triptych plan` where the file is not at hand")


DataConfig: TypeAlias = Annotated[
    ScenesConfig
    | ReferringConfig
    | LlavaConfig
    | CocoCaptionsConfig
    | EpisodesConfig
    | TextConfig
    | AlpacaConfig
    | InterleavedConfig
    | CocoInstancesConfig
    | RefcocoConfig
    | VisualGenomeConfig
    | Flickr30kConfig
    | CustomConfig,
    Slot("dataset"),
]
"""Any source that a recipe can name, told apart by `kind`."""
