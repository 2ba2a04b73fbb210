"""Between transformers' configurations of dual encoders and our architectures, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triptych.encoders.architecture import Activation, Pixels, TextArchitecture, VisionArchitecture
from triptych.encoders.published import Published
from triptych.errors import RecipeError, WeightsError

if TYPE_CHECKING:
    from transformers import CLIPConfig, SiglipConfig

ACTIVATIONS: dict[str, Activation] = {"gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh", "quick_gelu": "quick_gelu"}
"""Theirs to ours."""

VISION = ("clip_vision_model", "siglip_vision_model", "blip_2_vision_model", "instructblip_vision_model")
TEXT = ("clip_text_model", "siglip_text_model")
"""Model types of the towers that ours can be."""

CLIP_WORDS = 49408
"""Size of CLIP's own vocabulary."""

LEGACY_END = 2
"""An `eos_token_id` of old CLIP configurations, with which transformers pools at the highest id."""


def vision_of(config: Any, pixels: Pixels | None = None) -> VisionArchitecture:
    """The architecture of a vision tower's configuration, or of that inside a whole model's.

    Args:
        config: Of CLIP, SigLIP or BLIP-2 (EVA-01).
        pixels: How pixels are normalised; None takes what the family is published with.

    Raises:
        WeightsError: It is of another family, or has an option that ours do not.
    """
    tower = getattr(config, "vision_config", config)
    _known(tower.model_type, VISION, "vision")
    shape: dict[str, Any] = {
        "image_size": _side(tower.image_size),
        "patch_size": _side(tower.patch_size),
        **_common(tower),
    }
    match tower.model_type:
        case "clip_vision_model":
            return VisionArchitecture(**shape, pixels=pixels or "clip")
        case "siglip_vision_model":
            if not getattr(tower, "vision_use_head", True):  # older versions of transformers do not name it
                raise WeightsError("a SigLIP tower without its head (`vision_use_head: false`) has no pooling")
            return VisionArchitecture(
                **shape,
                class_token=False,
                patch_bias=True,
                norm_pre=False,
                pooling="attention",
                projection="none",
                pixels=pixels or "half",
            )
        case _:
            return VisionArchitecture(
                **shape,
                patch_bias=True,
                norm_pre=False,
                attention_bias="query_value" if tower.qkv_bias else "none",
                projection="none",
                pixels=pixels or "clip",
            )


def text_of(config: Any) -> TextArchitecture:
    """The architecture of a text tower's configuration, or of that inside a whole model's.

    Raises:
        WeightsError: It is of another family, or has an option that ours do not.
    """
    tower = getattr(config, "text_config", config)
    _known(tower.model_type, TEXT, "text")
    shape = {"vocabulary": tower.vocab_size, "max_tokens": tower.max_position_embeddings, **_common(tower)}
    match tower.model_type:
        case "clip_text_model":
            return TextArchitecture(**shape, pooling="highest" if tower.eos_token_id == LEGACY_END else "end")
        case _:
            return TextArchitecture(
                **shape, attention="bidirectional", pooling="last", projection="bias", pad=tower.pad_token_id
            )


def dual_of(config: CLIPConfig | SiglipConfig, pixels: Pixels | None = None) -> Published:
    """The two towers of a whole model's configuration, and the space that they share.

    Raises:
        WeightsError: It is of another family, or has an option that ours do not.
    """
    text = text_of(config)
    embed_dim = config.projection_dim if config.model_type == "clip" else config.text_config.projection_size
    return Published(vision_of(config, pixels), text, int(embed_dim))


def config_of(model: Published, end: int | None = None) -> CLIPConfig | SiglipConfig:
    """The configuration that makes transformers build these towers: `CLIPModel`'s or `SiglipModel`'s.

    Args:
        model: The two towers.
        end: Id of the end token, where texts are pooled at it.

    Raises:
        RecipeError: Neither of the two has such towers; the message says what is in the way.
    """
    from transformers import CLIPConfig, SiglipConfig

    vision, text = model.vision, model.text
    if text.vocabulary is None:
        raise RecipeError("text.architecture: its `vocabulary` is not known, and transformers needs its number")
    siglip = vision.pooling == "attention"
    fixed = _SIGLIP if siglip else _CLIP
    odd = [f"{side}.{name}" for (side, name), value in fixed.items() if getattr(getattr(model, side), name) != value]
    odd += [f"{side}.activation" for side in ("vision", "text") if getattr(model, side).activation == "swiglu"]
    if odd:
        kind = "SiglipModel" if siglip else "CLIPModel"
        raise RecipeError(f"transformers' {kind} has no such towers: it knows no other {', '.join(odd)} than its own")
    pictures = {**theirs_of(vision), "image_size": vision.image_size, "patch_size": vision.patch_size}
    words = {**theirs_of(text), "vocab_size": text.vocabulary, "max_position_embeddings": text.max_tokens}
    if siglip:
        return SiglipConfig(
            vision_config=pictures,
            text_config={**words, "pad_token_id": text.pad, "projection_size": model.embed_dim},
        )
    if text.pooling == "end" and (end is None or end == LEGACY_END):
        raise RecipeError(
            f"the end token's id is {end}, and transformers pools elsewhere then; it has to be any other than {LEGACY_END}"
        )
    ends = LEGACY_END if text.pooling == "highest" else end
    begins = {} if text.vocabulary == CLIP_WORDS else {"bos_token_id": None}  # theirs is that of CLIP's own vocabulary
    words = {**words, **begins, "eos_token_id": ends, "projection_dim": model.embed_dim}
    return CLIPConfig(
        vision_config={**pictures, "projection_dim": model.embed_dim}, text_config=words, projection_dim=model.embed_dim
    )


_CLIP = {
    ("vision", "class_token"): True,
    ("vision", "patch_bias"): False,
    ("vision", "norm_pre"): True,
    ("vision", "attention_bias"): "all",
    ("vision", "sub_norm"): "none",
    ("vision", "rope"): None,
    ("vision", "mask_token"): False,
    ("vision", "projection"): "plain",
    ("text", "attention"): "causal",
    ("text", "projection"): "plain",
}
_SIGLIP = {
    ("vision", "class_token"): False,
    ("vision", "patch_bias"): True,
    ("vision", "norm_pre"): False,
    ("vision", "attention_bias"): "all",
    ("vision", "sub_norm"): "none",
    ("vision", "rope"): None,
    ("vision", "mask_token"): False,
    ("vision", "projection"): "none",
    ("text", "attention"): "bidirectional",
    ("text", "pooling"): "last",
    ("text", "projection"): "bias",
}
"""What transformers' models have without a choice."""


def _known(model_type: str, types: tuple[str, ...], side: str) -> None:
    if model_type not in types:
        raise WeightsError(f"model type {model_type!r} is no {side} tower of ours; known are {', '.join(types)}")


def _common(tower: Any) -> dict[str, Any]:
    if tower.hidden_act not in ACTIVATIONS:
        raise WeightsError(f"activation {tower.hidden_act!r} is not among {', '.join(ACTIVATIONS)}")
    return {
        "width": tower.hidden_size,
        "layers": tower.num_hidden_layers,
        "heads": tower.num_attention_heads,
        "mlp_ratio": tower.intermediate_size / tower.hidden_size,
        "activation": ACTIVATIONS[tower.hidden_act],
        "norm_eps": tower.layer_norm_eps,
    }


def theirs_of(architecture: VisionArchitecture | TextArchitecture) -> dict[str, Any]:
    """What transformers' configurations of all families say of a tower, by their names."""
    back = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
    return {
        "hidden_size": architecture.width,
        "num_hidden_layers": architecture.layers,
        "num_attention_heads": architecture.heads,
        "intermediate_size": architecture.hidden,
        "hidden_act": back[architecture.activation],
        "layer_norm_eps": architecture.norm_eps,
    }


def _side(value: Any) -> int:
    sides = {value} if isinstance(value, int) else set(value)
    if len(sides) != 1:
        raise WeightsError(
            f"the tower's pictures or patches are not square ({value}), and only square ones are supported"
        )
    return int(sides.pop())
