"""What a recipe says about fusion. Importable without torch; each kind names its implementation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from triptych.config import Config
from triptych.registry import Slot, kind_alone


class FusionOptions(Config):
    """What every fusion says. `implementation` names a class that takes the configuration, the language model and the
    standard deviation of its token embeddings."""

    kind: str

    @property
    def parts(self) -> list[str]:
        """Every part of the fusion that a stage may train."""
        return []

    def positions(self, adapted: int) -> int:
        """How many positions of the sequence a medium of `adapted` adapted positions takes: all of them, unless it says other."""
        return adapted

    def mistake(self, layers: int, name: str = "the language model") -> str | None:  # noqa: ARG002 - for subclasses
        """Why the fusion does not go with so many layers, with what would: `field: reason`; None where it does.

        Args:
            layers: Of the language model.
            name: Of the language model.
        """
        return None


class SpliceConfig(FusionOptions):
    """Adapted features take the place of tokens (LLaVA, MiniGPT-4, BLIP-2, Kosmos-1)."""

    implementation: ClassVar[str] = "triptych.fusion.fusion:Splice"

    kind: Literal["splice"] = "splice"


class CrossAttendConfig(FusionOptions):
    """Gated cross-attention blocks in front of every k-th layer (Flamingo; Alayrac et al., 2022); silent at the start.

    A medium takes one position of the sequence, a learned marker; its features are read by the blocks.
    """

    implementation: ClassVar[str] = "triptych.fusion.cross_attend:CrossAttend"

    kind: Literal["cross_attend"] = "cross_attend"
    every: int = Field(4, ge=1, description="a block stands in front of every so-many-th layer")
    first: int = Field(0, ge=0, description="number of the layer that has the first block in front of it")
    heads: int = Field(8, ge=1)
    head_dim: int = Field(64, ge=1)
    ff_mult: float = Field(4.0, gt=0, description="width of a block's feed-forward layer over the language model's")
    sees: Literal["last", "all"] = Field(
        "last", description="which media a token sees: the last one before it (Flamingo), or all before it (Idefics)"
    )
    norm: Literal["layer", "rms"] = Field("layer", description="layer (Flamingo) or rms (Idefics)")
    feedforward: Literal["gelu", "swiglu"] = Field("gelu", description="gelu (Flamingo) or swiglu (Idefics)")
    normalise: bool = Field(
        True, description="a norm on the features, so that every adapter's output reaches the blocks at one scale"
    )

    @property
    def parts(self) -> list[str]:
        """Every part of the fusion that a stage may train."""
        return ["fusion", "fusion.blocks", "fusion.marker", *(["fusion.media_norm"] if self.normalise else [])]

    def positions(self, adapted: int) -> int:  # noqa: ARG002 - whatever it has
        """How many positions of the sequence a medium takes: one, the marker."""
        return 1

    def mistake(self, layers: int, name: str = "the language model") -> str | None:
        """See `FusionOptions.mistake`."""
        if self.first >= layers:
            return f"model.fusion.first: {self.first}, but the layers of {name} go from 0 to {layers - 1}"
        return None


class TuningConfig(Config):
    """y = s · (W x + b) for every linear layer of the decoder, s = 1 and b = 0 at the start (LLaMA-Adapter V2)."""

    bias: bool = True
    scale: bool = True

    @model_validator(mode="after")
    def _tunes_something(self) -> TuningConfig:
        if not (self.bias or self.scale):
            raise ValueError("neither `bias` nor `scale` is tuned: set one, or `tuning: null`")
        return self


class EarlyConfig(Config):
    """Early fusion (LLaMA-Adapter V2): media are keys of gated attention in the first layers, not parts of the prompts."""

    layers: int = Field(1, ge=1, description="how many layers, from the first, see the media")


class PromptConfig(FusionOptions):
    """Learned prompts in the top layers' attention, gated from zero (LLaMA-Adapter; Zhang et al., 2023).

    A medium takes no position of the sequence: the mean of its adapted features is added to all prompts of its
    document (equations 9 and 10 of the paper), or, with `early`, the first layers attend to its features.
    """

    implementation: ClassVar[str] = "triptych.fusion.prompt:Prompt"

    kind: Literal["prompt"] = "prompt"
    length: int = Field(10, ge=1, description="prompts per layer")
    layers: int = Field(30, ge=1, description="how many layers, from the last, have prompts")
    std: float | Literal["embeddings"] = Field(
        1.0,
        description="spread of the prompts at the start: 1 as published; `embeddings` takes the token embeddings' own",
    )
    gate: Literal["head", "layer"] = Field("head", description="one gate per head, or one per layer")
    start: Literal["zero", "random", "one"] = Field(
        "zero",
        description="of the gates: zero leaves the language model as it was; `one` lets the random prompts through from the "
        "first step, as the paper's ablation does; `random` draws the gates",
    )
    tuning: TuningConfig | None = Field(None, description="a bias and a scale per linear layer (V2)")
    early: EarlyConfig | None = Field(None, description="media in the first layers, static prompts in the last (V2)")

    @model_validator(mode="after")
    def _spread_is_positive(self) -> PromptConfig:
        if self.std != "embeddings" and self.std <= 0:
            raise ValueError("`std` must be positive: prompts that are all zero stay equal to each other")
        return self

    @property
    def parts(self) -> list[str]:
        """Every part of the fusion that a stage may train."""
        parts = ["fusion", "fusion.prompts", "fusion.gates"]
        return parts + [f"fusion.{name}" for name in ("early", "tuning") if getattr(self, name) is not None]

    def positions(self, adapted: int) -> int:  # noqa: ARG002 - whatever it has
        """How many positions of the sequence a medium takes: none."""
        return 0

    def mistake(self, layers: int, name: str = "the language model") -> str | None:
        """See `FusionOptions.mistake`."""
        if self.layers > layers:
            return f"model.fusion.layers: prompts in {self.layers} layers, but {name} has {layers}; set it to {layers} or less"
        if self.early is not None and self.early.layers + self.layers > layers:
            return (
                f"model.fusion.early.layers: media in the first {self.early.layers} and prompts in the last {self.layers} "
                f"layers overlap, for {name} has {layers}; lower one of them"
            )
        return None


FusionConfig: TypeAlias = Annotated[
    FusionOptions,
    Slot("fusion", configs=lambda: [SpliceConfig, CrossAttendConfig, PromptConfig]),
    BeforeValidator(kind_alone),
]
"""One of the kinds of fusion, told apart by `kind`; a kind alone will do."""
