"""What a recipe says about datasets of boxes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from triptych.config import Config
from triptych.conversation.expression import LOCATE, Wording
from triptych.data.expected import Expected


class BoxesConfig(Config):
    """What every dataset of boxes is asked."""

    images: Path = Field(description="the folder of the pictures, which names in the annotations cannot leave")
    answer: Literal["regions", "phrase"] = Field(
        "phrase", description="what stands before the regions of an answer: nothing, or the phrase that they belong to"
    )
    masks: bool = Field(False, description="whether regions carry masks, where the dataset has them")
    wordings: tuple[Wording, ...] = Field(
        (LOCATE,),
        min_length=1,
        description="ways of asking for an expression, each with `{expression}`: let the model's `regions.prompt` be one of "
        "them; which one an expression is asked with depends on its record alone",
    )
    turns: int = Field(4, ge=1, description="expressions asked for in one conversation about a picture, at most")
    limit: int | None = Field(None, ge=1, description="read only the first conversations, this many")
    expected: Expected | None = Field(None, description="its size, for `triptych plan` where the files are not at hand")


class CocoInstancesConfig(BoxesConfig):
    """COCO's instances: each category of a picture is asked for ("the dog", "every person").

    Relative paths start at the recipe's folder; `~` is the user's home.
    """

    implementation: ClassVar[str] = "triptych.data.boxes.coco:CocoInstancesSource"

    kind: Literal["coco_instances"] = "coco_instances"
    annotations: Path = Field(description="the JSON file: `instances_*.json`")
    several: bool = Field(True, description="whether categories with several instances are asked for, too")
    smallest: float = Field(0.0, ge=0, lt=1, description="leave out categories with an instance of less of the picture")
    none: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of expressions that ask for a category that the picture does not show, one for each that it "
        "shows at most",
    )


class RefcocoConfig(BoxesConfig):
    """Referring expressions: RefCOCO, RefCOCO+, RefCOCOg and alike, from JSON, JSON lines or parquet.

    Relative paths start at the recipe's folder; `~` is the user's home.
    """

    implementation: ClassVar[str] = "triptych.data.boxes.refcoco:RefcocoSource"

    kind: Literal["refcoco"] = "refcoco"
    path: Path = Field(description="the expressions: a JSON list, JSON lines or a parquet file")
    instances: Path | None = Field(
        None, description="COCO's `instances.json`, where the expressions name boxes by `ann_id` alone"
    )
    split: str | None = Field(None, description="take only records of this `split` (train, val, testA, testB, test)")
    boxes: Literal["xywh", "xyxy"] = Field("xywh", description="how `bbox` is written: COCO's way, or as corners")


class VisualGenomeConfig(BoxesConfig):
    """Visual Genome's region descriptions: `region_descriptions.json`.

    Relative paths start at the recipe's folder; `~` is the user's home.
    """

    implementation: ClassVar[str] = "triptych.data.boxes.visual_genome:VisualGenomeSource"

    kind: Literal["visual_genome"] = "visual_genome"
    path: Path = Field(description="`region_descriptions.json`")


class Flickr30kConfig(BoxesConfig):
    """Flickr30k Entities: captions whose phrases have boxes.

    Relative paths start at the recipe's folder; `~` is the user's home.
    """

    implementation: ClassVar[str] = "triptych.data.boxes.flickr30k:Flickr30kSource"

    kind: Literal["flickr30k_entities"] = "flickr30k_entities"
    path: Path = Field(description="the folder that holds `Annotations` (XML) and `Sentences` (text)")
    split: Path | None = Field(
        None, description="a text file of picture numbers, one a line: `train.txt`, `val.txt`, …"
    )
    style: Literal["phrases", "captions"] = Field(
        "phrases",
        description="`phrases`: each phrase of a caption is asked for; `captions`: the caption is the answer, phrases with regions",
    )
