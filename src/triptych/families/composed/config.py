"""What a recipe says about a composed model, and the objectives that it learns by."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from triptych.adapters.config import AdapterConfig, AnyAdapterConfig, ConnectorConfig, MLPConfig, QFormerConfig
from triptych.config import Config
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.encoders.config import EfficientNetConfig, EncoderConfig
from triptych.errors import RecipeError
from triptych.families.composed.objectives import NextToken, PhraseAlignment, Regions
from triptych.family import FamilyConfig, ObjectiveConfig, kind_name, weights_name
from triptych.fusion.config import CrossAttendConfig, FusionConfig, SpliceConfig
from triptych.grounding.config import RegionsConfig
from triptych.language.config import LanguageConfig
from triptych.registry import CUSTOM_TAG, CustomConfig, Slot, entry_point

MODALITY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""What a modality may be called: it becomes a part of the names of parameters."""

RESERVED_MODALITIES = {
    "text": "text needs no encoder",
    "regions": "the encoder that decoders of regions look at is `model.regions.encoder`",
}
"""Names that no modality has, and why."""


class _ByModality(Config):
    """A component of each modality: that of images, and any number of others by the modality's name."""

    model_config = ConfigDict(extra="allow")

    @property
    def others(self) -> dict[str, Any]:
        """Those of other modalities than images, by name."""
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="after")
    def _names_of_modalities(self) -> Self:
        for name in self.others:
            if not MODALITY.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a modality: letters, digits and _, a letter first")
            if name in RESERVED_MODALITIES:
                raise ValueError(f"{name!r} cannot be a modality's name: {RESERVED_MODALITIES[name]}")
        return self


class Encoders(_ByModality):
    """The encoder of each modality. Those of other modalities than images are classes, which say what they take."""

    image: EncoderConfig | None = EfficientNetConfig()
    __pydantic_extra__: dict[str, Annotated[CustomConfig, Slot("encoder")] | None] = Field(init=False)

    @model_validator(mode="before")
    @classmethod
    def _others_are_classes(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for name, value in values.items():
            if name in cls.model_fields or value is None:
                continue
            kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
            if isinstance(kind, str) and (":" in kind or entry_point("encoder", kind) is not None):
                continue
            near = difflib.get_close_matches(str(name), cls.model_fields, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"{name!r} has no encoder that comes with Triptych{hint} (with Triptych: {', '.join(cls.model_fields)}); an "
                f"encoder of another modality is a class: `kind: {CUSTOM_TAG}`"
            )
        return values


class Adapters(_ByModality):
    """The adapter of each modality."""

    image: AdapterConfig | None = MLPConfig()
    __pydantic_extra__: dict[str, AdapterConfig | None] = Field(init=False)


class ModelConfig(FamilyConfig):
    """The three panels: encoders, adapters, language model; and how the first two meet the third."""

    implementation: ClassVar[str] = "triptych.families.composed.family:ComposedFamily"
    objectives: ClassVar[tuple[type[ObjectiveConfig], ...]] = (NextToken, PhraseAlignment, Regions)
    usual: ClassVar[bool] = True

    kind: Literal["composed"] = Field("composed", exclude=True)  # left out where recipes are written: there is no need
    language: LanguageConfig
    encoders: Encoders = Encoders()
    adapters: Adapters = Adapters()
    fusion: FusionConfig = Field(SpliceConfig(), description="how media meet the language model; a kind alone will do")
    regions: RegionsConfig | None = Field(
        None, description="how regions are written and read; null: the model neither points nor is pointed at anything"
    )
    start: str | None = Field(
        None,
        exclude_if=lambda value: value is None,  # runs from before there was such a choice keep their fingerprints
        description="run:FOLDER of the same model, trained or imported, whose weights training starts from",
    )

    @model_validator(mode="after")
    def _panels_meet(self) -> ModelConfig:
        for modality in dict.fromkeys(["image", *self.encoders.others, *self.adapters.others]):
            encoder, adapter = getattr(self.encoders, modality, None), getattr(self.adapters, modality, None)
            if (encoder is None) != (adapter is None):
                has, lacks = ("encoders", "adapters") if adapter is None else ("adapters", "encoders")
                raise ValueError(f"`{has}.{modality}` is set but `{lacks}.{modality}` is null: set both or neither")
        if isinstance(self.fusion, CrossAttendConfig) and not self.modalities:
            raise ValueError(
                "`fusion.kind` is cross_attend, but there is no encoder whose features could be attended to"
            )
        return self

    @property
    def media(self) -> dict[str, tuple[EncoderConfig, AnyAdapterConfig]]:
        """Encoder and adapter of each modality that the model takes in."""
        both = {
            name: (getattr(self.encoders, name), getattr(self.adapters, name))
            for name in ("image", *self.encoders.others)
        }
        return {name: pair for name, pair in both.items() if pair[0] is not None}

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model takes in."""
        return list(self.media)

    @property
    def declares(self) -> dict[str, str]:
        """See `FamilyConfig.declares`."""
        return {modality: encoder.kind for modality, encoder in self.encoders.others.items() if encoder is not None}

    @property
    def parts(self) -> list[str]:
        """Every name that a stage may train."""
        parts = ["language", "language.layers", "language.norms", "language.biases", "language.embeddings"]
        parts += ["adapters", "encoders"] if self.modalities else []
        parts += [f"{panel}.{modality}" for panel in ("adapters", "encoders") for modality in self.modalities]
        parts += [
            f"adapters.{modality}.projection"
            for modality, (_, adapter) in self.media.items()
            if isinstance(adapter, QFormerConfig | ConnectorConfig)
        ]
        parts += self.fusion.parts + (["language.regions"] if self.regions is not None else [])
        parts += ["regions"] if isinstance(self.regions, EmbeddingRegionsConfig) else []
        return parts + (["language.lora"] if self.language.lora is not None else [])

    def lacking(self, part: str) -> str:
        """What a model needs to have a part that this one has not; nothing where no model has it."""
        match part.split("."):
            case ["fusion", *_] if isinstance(self.fusion, SpliceConfig):
                return "; `fusion: splice` has no parameters: train `adapters`, or take `cross_attend` or `prompt`"
            case ["regions", *_]:
                return "; set `model.regions.kind: embedding` to have it"
            case ["language", "regions"]:
                return "; set `model.regions` to have it"
            case ["language", "lora"]:
                return "; set `model.language.lora` to have it"
            case ["adapters" | "encoders", *_] if not self.modalities:
                return "; set `model.encoders.image` and `model.adapters.image` to have it"
            case _:
                return ""

    def mistakes(self, recipe: Any) -> Iterator[str]:
        """See `FamilyConfig.mistakes`."""
        from triptych.families.composed.mistakes import mistakes

        return mistakes(recipe)

    def tokenizer_source(self) -> LanguageConfig:
        """See `FamilyConfig.tokenizer_source`."""
        return self.language

    def encoder_of(self, part: str) -> EncoderConfig | None:
        """See `FamilyConfig.encoder_of`."""
        panel, _, modality = part.partition(".")
        found: EncoderConfig | None = getattr(self.encoders, modality, None) if panel == "encoders" else None
        return found

    @property
    def can(self) -> frozenset[str]:
        """See `FamilyConfig.can`."""
        points = {"grounds"} if self.regions is not None else set()
        return frozenset({"answers"} | points | ({"pools"} if self.modalities else set()))

    @classmethod
    def shown(cls, model: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See `FamilyConfig.shown`."""
        encoders, adapters = model.get("encoders") or {}, model.get("adapters") or {}
        pieces = []
        for modality, encoder in encoders.items():
            if isinstance(encoder, Mapping):
                name = weights_name(encoder.get("weights")) or kind_name(encoder.get("kind"))
                pieces.append(("encoder", name, f"encoders.{modality}"))
            adapter = adapters.get(modality)
            if isinstance(adapter, Mapping):
                pieces.append(("adapter", kind_name(adapter.get("kind")), f"adapters.{modality}"))
        fusion = (model.get("fusion") or {}).get("kind", "splice")
        if fusion != "splice":  # which has no parameters: adapted vectors take the places of tokens
            pieces.append(("fusion", kind_name(fusion), "fusion"))
        language = model.get("language") or {}
        name = weights_name(language.get("weights")) or kind_name(
            (language.get("architecture") or {}).get("model_type")
        )
        return [*pieces, ("language model", name, "language")]

    @property
    def sources(self) -> list[str]:
        """See `FamilyConfig.sources`."""
        weights = (getattr(part, "weights", None) for part in (self.language, self.encoders.image))
        return [uri for uri in (*weights, self.language.tokenizer) if uri is not None]

    @property
    def written_precision(self) -> Literal["float32", "bfloat16"]:
        """See `FamilyConfig.written_precision`."""
        return self.language.precision


CONFIG = ModelConfig


def composed(recipe: Any) -> ModelConfig:
    """The configuration of a recipe's composed model.

    Raises:
        RecipeError: The model is of another kind.
    """
    if not isinstance(recipe.model, ModelConfig):
        raise RecipeError(f"{recipe.name}: this works with composed models, not yet with `kind: {recipe.model.kind}`")
    return recipe.model
