"""What a task file says: where the questions come from, how they are asked, read and scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from triptych.config import Config, FileStem
from triptych.evaluate.metrics import build, check_name
from triptych.generate.config import GenerationSettings

if TYPE_CHECKING:
    from triptych.evaluate.scoring.metric import Metric


class Join(Config):
    """A second file whose records carry on those of the first."""

    file: str
    list: str = Field("", description="dotted path to the list of records in the file; empty: the file itself")
    key: str = Field(description="the key that both records have")


class Hub(Config):
    """A hub dataset with the same questions, for those who have the package `datasets`; used where the files are absent."""

    path: str
    name: str | None = None
    names: tuple[str, ...] = Field((), description="several configurations, read one after the other")
    split: str
    image: tuple[str, ...] = Field(("image",), description="the columns that hold pictures, or lists of them")
    change: dict[str, Any] = Field(default_factory=dict, description="settings of the source that differ for its rows")


class RecordsSource(Config):
    """Records of a JSON, JSON-lines, TSV or CSV file, or of a hub dataset, with templates over their keys.

    A template such as `val2014/COCO_val2014_{image_id:012d}.jpg` takes values of the record; `{key}` is the record's key
    where records are the values of an object, `{n}` its number. A path such as `answers.*.answer` takes them apart.
    """

    kind: Literal["records"] = "records"
    file: str = Field(description="below the task's folder; `*` matches several files")
    list: str = Field("", description="dotted path to the records in the file; empty: the file itself")
    join: Join | None = None
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="template → values that are kept")
    each: str = Field("", description="dotted path to a list in the record; each of its items becomes a record")
    id: str = "{n}"
    question: str = "{question}"
    notes: tuple[str, ...] = Field(
        (), description="templates put behind the question, where all their values are there"
    )
    images: tuple[str, ...] = Field((), description="templates of the pictures' paths; empty ones are left out")
    images_optional: bool = Field(False, description="a record without a picture is asked about, too")
    image_base64: str | None = Field(
        None, description="the key that holds the picture itself, in base64, or the id of the row whose picture it is"
    )
    truth: str | None = Field(None, description="template of the true answer")
    truths: str | None = Field(None, description="path to several true answers")
    truth_as: Literal["text", "letter", "index"] = Field("text", description="what `truth` is, in choice questions")
    options: str | tuple[str, ...] = Field(
        (), description="path to the options, or their templates; the first is A, whichever of them are empty"
    )
    options_in_question: bool = Field(
        False, description="the options stand in the question, a line each or behind `Options:`"
    )
    options_optional: bool = Field(False, description="a record without options is no choice question")
    type: str = Field("", description="template of the kind of question; scores are given per kind")
    facts: dict[str, str] = Field(
        default_factory=dict, description="what scoring needs beside: name → template or path"
    )
    flags: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="facts that are 1 where one of these paths holds something, else 0"
    )
    unique: bool = Field(False, description="of records with one id, keep the first")
    hub: Hub | None = None


class CocoSource(Config):
    """Pictures with COCO annotations: captions to write, or questions generated about what is in them."""

    kind: Literal["coco_captions", "coco_pope", "coco_chair"]
    instances: tuple[str, ...] = Field((), description="annotation files with boxes, the first that is there is taken")
    captions: tuple[str, ...] = Field(
        (), description="annotation files with captions, the first that is there is taken"
    )
    images: tuple[str, ...] = Field(description="folders of pictures, the first that is there is taken")
    ids: str | None = Field(None, description="a file with the ids of the pictures that count, one a line")
    split: str | None = Field(None, description="of Karpathy's `dataset_*.json`: the split that counts")
    objects: int = Field(3, ge=1, description="POPE: things asked about per picture, as many again that are not there")
    pictures: int = Field(500, ge=1, description="POPE: at most this many pictures")
    seed: int = 0


class FolderSource(Config):
    """MME as released: a folder per subtask with pictures and, of the same name, a text file with two questions."""

    kind: Literal["mme_folders"] = "mme_folders"
    folder: str = "."


class AmberSource(Config):
    """AMBER as released: queries and annotations by id, association lists."""

    kind: Literal["amber"] = "amber"
    queries: str = "query/query_all.json"
    annotations: str = "annotations.json"
    relations: str = "relation.json"
    harmless: str = "safe_words.txt"
    images: str = "image"
    part: Literal["generative", "discriminative"] = "discriminative"


Source = Annotated[RecordsSource | CocoSource | FolderSource | AmberSource, Field(discriminator="kind")]


class Data(Config):
    """What to get, and where to put it."""

    folder: str = Field(description="the folder below the data folder")
    get: str = Field(description="what to download, and from where")
    put: tuple[str, ...] = Field(description="the files that must be there, below the folder")
    licence: str = ""


class Judge(Config):
    """How a judge model is asked about an answer, and how its words become a score."""

    prompt: str = Field(description="template with {question}, {truth}, {answer} and the facts' names")
    read: Literal["number", "rating", "safe", "pair", "correct"] = Field("number", description="what the verdict says")
    scale: float = Field(1.0, gt=0, description="the best score that the judge can give")
    model: str = Field("", description="the judge of the published figures")


class TaskFile(Config):
    """One benchmark."""

    name: FileStem
    title: str
    about: str = ""
    paper: str
    script: str = Field("", description="the official scoring script")
    data: Data
    source: Source
    prompt: str = Field("{question}", description="template with {question} and, for choices, {options}")
    prompts: dict[str, str] = Field(
        default_factory=dict,
        description="of kinds of questions that are asked otherwise; `without_options`: of those that have none",
    )
    metric: str = Field(
        description="how answers are scored: a file in `triptych.evaluate.metrics`, or `package.module:Class`"
    )
    rules: tuple[str, ...] = Field(min_length=1, description="how answers are read and scored; the first is ours")
    official: str | None = Field(None, description="which of the rules is the official one")
    mean_of: Literal["questions", "kinds"] = Field(
        "questions", description="`kinds`: the mean of the kinds' scores is a score, `mean_of_kinds`"
    )
    headline: str = Field(description="the score that counts")
    answer: Literal["generate", "likelihood", "either"] = "generate"
    box_unit: Literal["fraction", "thousandth", "pixel"] = "fraction"
    judge: Judge | None = None
    generation: GenerationSettings = GenerationSettings(max_new_tokens=16)

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, value: str) -> str:
        return check_name(value)

    @model_validator(mode="after")
    def _rules_are_there(self) -> TaskFile:
        if self.rules[0] != "triptych":
            raise ValueError(f"`rules`: the first is `triptych`, not `{self.rules[0]}`; others are reported beside it")
        if self.official is not None and self.official not in self.rules:
            raise ValueError(f"`official: {self.official}` is none of the rules {', '.join(self.rules)}")
        if self.metric == "judged" and self.judge is None:
            raise ValueError("`metric: judged` needs `judge`")
        return self

    def build_metric(self) -> Metric:
        """The metric, as this task uses it.

        Raises:
            RecipeError: It is one of your own, and there is no such class.
        """
        from triptych.evaluate.scoring.metric import Scoring

        descriptive = getattr(self.source, "part", "") != "discriminative"
        return build(self.metric, Scoring(self.box_unit, self.judge, self.mean_of == "kinds", descriptive))
