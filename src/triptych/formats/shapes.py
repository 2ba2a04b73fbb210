"""transformers' configurations of towers and the values of our `architecture`: one table, read in both directions.

their configuration ──► Shape.ours ──► values of an architecture
an architecture ──► Shape.odd: what they cannot have ──► Shape.theirs ──► values of their configuration
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from triptych.errors import RecipeError, WeightsError
from triptych.formats.format import Format

COMMON = {
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "layer_norm_eps": "norm_eps",
}
VISION = {**COMMON, "image_size": "image_size", "patch_size": "patch_size"}
TEXT = {**COMMON, "vocab_size": "vocabulary", "max_position_embeddings": "max_tokens"}
"""Their names to ours; beside them there are the width inside the feed-forward layers and the activation."""

ACTIVATIONS = {"gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh", "quick_gelu": "quick_gelu"}
"""Theirs to ours."""


def trunk(class_token: bool, patch_bias: bool, norm_pre: bool, attention_bias: str = "all") -> dict[str, Any]:
    """Values that a kind of image tower has without a choice, of its layers; what is behind them is not among them."""
    ours = {"class_token": class_token, "patch_bias": patch_bias, "norm_pre": norm_pre}
    return {**ours, "attention_bias": attention_bias, "sub_norm": "none", "rope": None}


@dataclass(frozen=True)
class Shape:
    """A kind of tower that transformers has.

    Args:
        model_types: Of its configurations; the first is written.
        fields: Their names to ours.
        fixed: Values of ours that the kind has without a choice.
        read: From their configuration to values of ours that are no field of theirs. Raises WeightsError where there are none.
        write: From an architecture and the end token's id to values of theirs that are no field of ours. Raises RecipeError.
        alone: Format of the tensors of such an image tower without the rest of its model.
        headless: What its configuration says besides where nothing is behind the layers.
    """

    model_types: tuple[str, ...]
    fields: Mapping[str, str]
    fixed: Mapping[str, Any]
    read: Callable[[Any], Mapping[str, Any]] = lambda config: {}  # noqa: ARG005 - of a hook
    write: Callable[[Any, int | None], Mapping[str, Any]] = lambda architecture, end: {}  # noqa: ARG005
    alone: Format | None = None
    headless: Mapping[str, Any] = field(default_factory=dict)

    def ours(self, config: Any) -> dict[str, Any]:
        """The values of an architecture, of a configuration of this kind.

        Raises:
            WeightsError: It has an option that ours do not.
        """
        if config.hidden_act not in ACTIVATIONS:
            raise WeightsError(f"activation {config.hidden_act!r} is not among {', '.join(ACTIVATIONS)}")
        values = {ours: getattr(config, theirs) for theirs, ours in self.fields.items()}
        values |= {name: _side(values[name]) for name in ("image_size", "patch_size") if name in values}
        values["mlp_ratio"] = config.intermediate_size / config.hidden_size
        return {**values, "activation": ACTIVATIONS[config.hidden_act], **self.fixed, **self.read(config)}

    def theirs(self, architecture: Any, end: int | None = None) -> dict[str, Any]:
        """The values of a configuration, of an architecture that is not `odd`; see `write`."""
        values = {theirs: getattr(architecture, ours) for theirs, ours in self.fields.items()}
        activation = next(theirs for theirs, ours in ACTIVATIONS.items() if ours == architecture.activation)
        more = {"intermediate_size": architecture.hidden, "hidden_act": activation}
        return {**values, **more, **self.write(architecture, end)}

    def odd(self, architecture: Any) -> list[str]:
        """The options of an architecture that this kind does not have."""
        odd = [name for name, value in self.fixed.items() if getattr(architecture, name) != value]
        return odd if architecture.activation in ACTIVATIONS.values() else [*odd, "activation"]


@dataclass(frozen=True)
class Dual:
    """A dual encoder that transformers has.

    Args:
        model_type: Of its configuration.
        name: Of the family.
        prefix: What its classes begin with.
        tensors: Format of its tensors.
        vision: Its image side.
        text: Its text side.
        spaces: Where its configuration has the number of channels that both sides share; the first is read.
    """

    model_type: str
    name: str
    prefix: str
    tensors: Format
    vision: Shape
    text: Shape
    spaces: tuple[str, ...]

    def embed_dim(self, config: Any) -> int:
        """The channels that both sides share."""
        for name in self.spaces[0].split("."):
            config = getattr(config, name)
        return int(config)

    def odd(self, model: Any) -> list[str]:
        """The options of a model's towers that it does not have."""
        sides = (("vision", self.vision.odd(model.vision)), ("text", self.text.odd(model.text)))
        return [f"{side}.{name}" for side, names in sides for name in names]

    def config(self, model: Any, end: int | None = None) -> Any:
        """The configuration that makes transformers build two towers.

        Args:
            model: Has the architectures `vision` and `text`, and `embed_dim`.
            end: Id of the end token, where texts are pooled at it.

        Raises:
            RecipeError: It has no such towers; the message says what is in the way.
        """
        from transformers import AutoConfig

        if model.text.vocabulary is None:
            raise RecipeError("text.architecture: its `vocabulary` is not known, and transformers needs its number")
        if odd := self.odd(model):
            raise RecipeError(
                f"transformers' {self.prefix}Model has no such towers: it knows no other {', '.join(odd)} than its own"
            )
        sides = {"vision_config": self.vision.theirs(model.vision), "text_config": self.text.theirs(model.text, end)}
        values: dict[str, Any] = {**sides}
        for place in self.spaces:
            side, _, name = place.rpartition(".")
            values.get(side, values)[name] = model.embed_dim
        return AutoConfig.for_model(self.model_type, **values)


def _side(value: Any) -> int:
    sides = {value} if isinstance(value, int) else set(value)
    if len(sides) != 1:
        raise WeightsError(
            f"the tower's pictures or patches are not square ({value}), and only square ones are supported"
        )
    return int(sides.pop())
