"""What a recipe says about models that are not composed: dual encoders, detectors. Importable without torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from triptych.adapters.config import QFormerConfig
from triptych.config import Config
from triptych.encoders.config import EfficientNetConfig, EncoderConfig, TextTransformerConfig, VisionTransformerConfig
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


class DualConfig(Config):
    """Two towers with one space: CLIP, EVA-CLIP and SigLIP by their architectures and the stages' objectives."""

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


class Blip2Config(Config):
    """BLIP-2's first stage: a Q-Former that reads pictures and texts, in front of any encoder, which stays frozen."""

    kind: Literal["blip2"] = "blip2"
    encoder: EncoderConfig = Field(description="an encoder as in `model.encoders.image` of a composed model")
    qformer: QFormerConfig = Field(
        QFormerConfig(text_tokens=512),
        description="an adapter as in `model.adapters.image`, which can start from it later; `text_tokens` are its places "
        "for text, `vocabulary` counts [DEC], behind which texts are written",
    )
    embed_dim: int = Field(256, ge=1, description="channels of the space that pictures and texts share")
    tokenizer: str = Field(SMOLLM2, description="URI of the tokenizer (BLIP-2: that of BERT)")
    max_tokens: int = Field(32, ge=3, description="longer texts are cut")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the Q-Former; master copies and losses are in float32 always"
    )
    scale: float = Field(1 / 0.07, gt=0, description="what cosines are multiplied with, at the start; it is learned")
    largest_scale: float = Field(100.0, gt=0, description="the scale is held below this after each step")

    @model_validator(mode="after")
    def _goes_together(self) -> Blip2Config:
        if self.max_tokens > self.qformer.text_tokens:
            raise ValueError(
                f"`max_tokens: {self.max_tokens}` are more than the places `qformer.text_tokens: {self.qformer.text_tokens}`"
            )
        if self.qformer.instruction or self.qformer.tokenizer is not None:
            raise ValueError(
                "`qformer.instruction` and its `tokenizer` are for adapters of a language model; leave them out"
            )
        return self

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model takes in."""
        return ["image"]

    @property
    def parts(self) -> list[str]:
        """Every name that a stage may train."""
        return ["qformer", "heads", "logit_scale"]

    def lacking(self, part: str) -> str:
        """What a model needs to have a part that this one has not; nothing where no model has it."""
        if part == "encoder":
            return "; the encoder of a model of `kind: blip2` stays frozen"
        return "; a model of `kind: blip2` has no language model" if part.split(".")[0] == "language" else ""


class WordEmbeddingsConfig(Config):
    """Phrases by the frozen input embeddings of a language model: the mean over their tokens."""

    kind: Literal["embeddings"] = "embeddings"
    weights: str = Field(SMOLLM2, description="URI of the language model whose embeddings and tokenizer are taken")


class DetectorModelConfig(Config):
    """An open-vocabulary detector in the manner of OWL-ViT: each cell of a picture has an embedding, which is held against
    those of phrases, a box, and how likely it is to be an object at all."""

    kind: Literal["detector"] = "detector"
    vision: EncoderConfig = Field(EfficientNetConfig(), description="the image side, without class token")
    text: Annotated[WordEmbeddingsConfig | TextTransformerConfig, Field(discriminator="kind")] = Field(
        WordEmbeddingsConfig(), description="the text side: `embeddings`, or `transformer`, as that of a dual encoder"
    )
    tokenizer: str = Field(SMOLLM2, description="URI of the tokenizer of a `transformer`; it needs an end token")
    width: int = Field(192, ge=8, description="channels between features and heads")
    blocks: int = Field(2, ge=0, description="residual blocks of two 3 × 3 convolutions in front of the heads")
    embed_dim: int = Field(128, ge=4, description="channels of the space that cells and phrases share")
    fineness: Literal[1, 2, 4] = Field(
        1,
        description="cells per position of the features, along each side: more than 1 needs an encoder with finer levels",
    )

    @model_validator(mode="after")
    def _cells_only(self) -> DetectorModelConfig:
        if getattr(self.vision, "drop_cls", True) is False:
            raise ValueError(
                "`vision.drop_cls: false` puts a token in front of the cells, which has no place; leave it out"
            )
        if isinstance(self.vision, EfficientNetConfig) and self.fineness > 1 and self.vision.features != "pyramid":
            raise ValueError(f"`fineness: {self.fineness}` needs `vision.features: pyramid`")
        return self

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model takes in."""
        return ["image"]

    @property
    def parts(self) -> list[str]:
        """Every name that a stage may train."""
        return ["vision", "text", "heads"]

    def lacking(self, part: str) -> str:
        """What a model needs to have a part that this one has not; nothing where no model has it."""
        return "; a model of `kind: detector` has no language model" if part.split(".")[0] == "language" else ""
