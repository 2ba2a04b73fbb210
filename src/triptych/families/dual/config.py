"""What a recipe says about a dual encoder, and the objectives that it learns by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from triptych.config import Config
from triptych.encoders.config import EncoderConfig, TextTransformerConfig, VisionTransformerConfig
from triptych.family import FamilyConfig, ObjectiveConfig, kind_name, weights_name
from triptych.language.config import LanguageConfig
from triptych.weights.embedded import SMOLLM2


class HeadConfig(Config):
    """What learns behind a frozen side: its pooled features, standardised, through a linear map or an MLP of one layer."""

    hidden: int | None = Field(None, ge=1, description="channels in the middle of an MLP; null is a linear map")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the features that each training step leaves out")


class FrozenImageConfig(Config):
    """Any encoder as the image side, frozen: each picture is encoded once, and a head learns from the features."""

    kind: Literal["frozen"] = "frozen"
    encoder: EncoderConfig = Field(description="an encoder as in `model.encoders.image` of a composed model")
    pool: Literal["mean", "attention"] = Field(
        "mean", description="over positions; `attention`: weights that are learned with the head"
    )
    head: HeadConfig = HeadConfig()


class FrozenTextConfig(Config):
    """A language model as the text side, frozen: the mean of its hidden states over a text, and a head that learns."""

    kind: Literal["frozen"] = "frozen"
    language: LanguageConfig = Field(description="a language model as in `model.language` of a composed model")
    layer: int = Field(
        0,
        ge=0,
        description="hidden states behind so many layers; 0 takes the token embeddings, and no layer is computed",
    )
    max_tokens: int = Field(64, ge=2, description="longer texts are cut")
    head: HeadConfig = HeadConfig()


def _said(tower: str) -> Callable[[Any], str]:
    """Which kind of side is meant: a tower where nothing is said."""

    def kind(value: Any) -> str:
        return str(value.get("kind", tower) if isinstance(value, dict) else getattr(value, "kind", tower))

    return kind


ImageSideConfig = Annotated[
    Annotated[VisionTransformerConfig, Tag("vit")] | Annotated[FrozenImageConfig, Tag("frozen")],
    Discriminator(_said("vit")),
]
"""A tower that learns, or an encoder that does not."""

TextSideConfig = Annotated[
    Annotated[TextTransformerConfig, Tag("transformer")] | Annotated[FrozenTextConfig, Tag("frozen")],
    Discriminator(_said("transformer")),
]
"""A tower that learns, or a language model that does not."""


class Contrastive(ObjectiveConfig):
    """Symmetric InfoNCE (van den Oord et al., 2018; CLIP): each picture against all texts of the step, and back.

    Negatives come from all processes. Loss per pair; ln(batch_size) where nothing is known.
    """

    implementation: ClassVar[str] = "triptych.families.dual.paired:ContrastiveObjective"

    kind: Literal["contrastive"] = "contrastive"
    chunk: int | None = Field(
        None,
        ge=1,
        description="pairs whose activations are held at one time; the gradient is that of the whole batch, for a second "
        "forward pass. null holds all",
    )


class Sigmoid(ObjectiveConfig):
    """SigLIP's loss (Zhai et al., 2023): every picture with every text is a match or none. Loss per pair."""

    implementation: ClassVar[str] = "triptych.families.dual.paired:SigmoidObjective"

    kind: Literal["sigmoid"] = "sigmoid"
    chunk: int | None = Field(None, ge=1, description="as that of `contrastive`")


class MaskedImage(ObjectiveConfig):
    """EVA's masked image modelling: where patches are masked, the tower predicts a teacher's features of them.

    One minus the cosine between `masked_head` of the tower's state and the teacher's feature, mean over masked patches.
    """

    implementation: ClassVar[str] = "triptych.families.dual.masked_image:MaskedImageObjective"
    reads_texts: ClassVar[bool] = False

    kind: Literal["masked_image"] = "masked_image"
    teacher: EncoderConfig = Field(
        description="an encoder with as many features per side as the tower has patches; `weights: run:…` for one "
        "trained here, `layer: output` for its last layer"
    )
    share: float = Field(0.4, gt=0, le=1, description="of the patches that are masked")


class DualConfig(FamilyConfig):
    """Two towers with one space: CLIP, EVA-CLIP and SigLIP by their architectures and the stages' objectives."""

    implementation: ClassVar[str] = "triptych.families.dual.family:DualFamily"
    objectives: ClassVar[tuple[type[ObjectiveConfig], ...]] = (Contrastive, Sigmoid, MaskedImage)

    kind: Literal["dual"] = "dual"
    vision: ImageSideConfig = Field(
        description="the image side: a `vit` (whose `layer` and `drop_cls` play no part), or any encoder, `frozen`"
    )
    text: TextSideConfig = Field(description="the text side: a `transformer`, or a language model, `frozen`")
    embed_dim: int | None = Field(
        None, ge=1, description="channels of the space that both share; null takes that of the weights"
    )
    tokenizer: str = Field(SMOLLM2, description="URI of the tokenizer; it needs an end token")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="precision of the towers; master copies and losses are in float32 always"
    )
    scale: float = Field(
        1 / 0.07, gt=0, description="what cosines are multiplied with, at the start; it is learned (SigLIP: 10)"
    )
    largest_scale: float = Field(100.0, gt=0, description="the scale is held below this after each step")
    bias: float | None = Field(
        None, description="what is added then, at the start; learned (SigLIP: -10). null has none"
    )
    masked_features: int | None = Field(
        None, ge=1, description="channels of the teacher's features that `masked_image` predicts; null has no such head"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> DualConfig:
        tower = None if isinstance(self.vision, FrozenImageConfig) else self.vision
        if tower is not None and tower.precision != "auto":
            raise ValueError("`vision.precision` is for encoders; both towers compute in `precision`, beside `vision`")
        if self.embed_dim is None and not self.origins:
            raise ValueError("`embed_dim`: say how many channels the shared space has; there are no weights to tell it")
        if self.masked_features is not None:
            if tower is None:
                raise ValueError("`masked_features` are for a tower that learns (`vision.kind: vit`)")
            if tower.architecture is not None and not tower.architecture.mask_token:
                raise ValueError("`masked_features` needs `mask_token: true` in `vision.architecture`")
        if isinstance(self.text, FrozenTextConfig) and self.tokenizer != SMOLLM2:
            raise ValueError("`tokenizer`: a frozen text side reads with its language model's; leave it out")
        return self

    @property
    def origins(self) -> list[str]:
        """The URIs of the towers' weights, each once."""
        sides = (
            side for side in (self.vision, self.text) if not isinstance(side, FrozenImageConfig | FrozenTextConfig)
        )
        return list(dict.fromkeys(side.weights for side in sides if side.weights is not None))

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model takes in."""
        return ["image"]

    @property
    def parts(self) -> list[str]:
        """Every name that a stage may train."""
        sides = {"vision": self.vision, "text": self.text}
        frozen = {name for name, side in sides.items() if side.kind == "frozen"}
        parts = [f"{name}.head" if name in frozen else name for name in sides]
        parts += [] if frozen == set(sides) else ["projections"]
        return [*parts, "logit_scale"] + (["masked_head"] if self.masked_features else [])

    def lacking(self, part: str) -> str:
        """What a model needs to have a part that this one has not; nothing where no model has it."""
        if part == "masked_head":
            return "; set `model.masked_features` to have it"
        if part in {"vision", "text"}:
            return f"; what stands behind `model.{part}` is frozen: train `{part}.head`"
        if part in {"vision.head", "text.head"}:
            side = part.split(".")[0]
            return f"; `model.{side}` is a tower that learns as a whole: train `{side}`"
        return "; a model of `kind: dual` has no language model" if part.split(".")[0] == "language" else ""

    def mistakes(self, recipe: Any) -> Iterator[str]:
        """See `FamilyConfig.mistakes`."""
        for i, stage in enumerate(recipe.stages):
            match stage.objective:
                case Contrastive():
                    if self.bias is not None and "logit_scale" in stage.train:
                        yield "model.bias: `contrastive` has no use for a bias, which changes nothing in it; leave it out"
                case Sigmoid():
                    if self.bias is None:
                        yield (
                            f"stages.{i}.objective: `sigmoid` needs a bias, or every pair of the batch counts as a match at "
                            "first; set `model.bias: -10` and `model.scale: 10`"
                        )
                case MaskedImage():
                    if self.masked_features is None:
                        yield (
                            f"stages.{i}.objective: `masked_image` needs a head; set `model.masked_features` to the number of "
                            "channels of the teacher's features"
                        )
                    for j, part in enumerate(stage.train):
                        if part not in {"vision", "masked_head"}:
                            yield f"stages.{i}.train.{j}: {part!r} learns nothing from `masked_image`"
                case _:
                    yield (
                        f"stages.{i}.objective: a model of `kind: dual` has no language model to learn by "
                        f"`{stage.objective.kind}`; take `objective: {{kind: contrastive}}`, `sigmoid` or `masked_image`"
                    )

    def tokenizer_source(self) -> LanguageConfig:
        """See `FamilyConfig.tokenizer_source`."""
        return self.text.language if isinstance(self.text, FrozenTextConfig) else LanguageConfig(weights=self.tokenizer)

    @property
    def can(self) -> frozenset[str]:
        """See `FamilyConfig.can`."""
        return frozenset({"embeds", "pools", "matches"})

    @classmethod
    def shown(cls, model: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See `FamilyConfig.shown`."""
        pieces = []
        for part, role in (("vision", "image side"), ("text", "text side")):
            side = model.get(part) or {}
            shape = side.get("architecture") or {}
            layers = f"{shape['layers']} layers of {shape['width']}" if "layers" in shape and "width" in shape else ""
            pieces.append((role, weights_name(side.get("weights")) or layers or kind_name(side.get("kind")), part))
        return pieces

    @property
    def sources(self) -> list[str]:
        """See `FamilyConfig.sources`."""
        weights = (getattr(side, "weights", None) for side in (self.vision, self.text))
        return [uri for uri in (*weights, self.tokenizer) if uri is not None]

    @property
    def written_precision(self) -> Literal["float32", "bfloat16"]:
        """See `FamilyConfig.written_precision`."""
        return self.precision


CONFIG = DualConfig
