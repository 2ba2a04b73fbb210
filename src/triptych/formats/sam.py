"""SAM's weights in the hub's format: names, and where they are read from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triptych.formats.format import attention
from triptych.weights import fetch
from triptych.weights.accounting import fill, places_of
from triptych.weights.names import NameMap
from triptych.weights.tensor_files import read_tensors

if TYPE_CHECKING:
    from torch import nn


def _mlp(theirs: str, ours: str) -> dict[str, str]:
    """Three linear layers; both with a number in their names where there are several such networks."""
    return {
        f"{theirs}.proj_in": f"{ours}.layers.0",
        f"{theirs}.layers.0": f"{ours}.layers.1",
        f"{theirs}.proj_out": f"{ours}.layers.2",
    }


_BLOCK, _OURS = "mask_decoder.transformer.layers.{}", "transformer.layers.{}"

NAMES = NameMap(
    {
        "shared_image_embedding.positional_embedding": "positions.directions",
        "prompt_encoder.no_mask_embed.weight": "no_mask",
        "mask_decoder.iou_token.weight": "quality_token",
        "mask_decoder.mask_tokens.weight": "mask_tokens",
        **attention(f"{_BLOCK}.self_attn.", f"{_OURS}.self_attention."),
        **attention(f"{_BLOCK}.cross_attn_token_to_image.", f"{_OURS}.to_picture."),
        **attention(f"{_BLOCK}.cross_attn_image_to_token.", f"{_OURS}.from_picture."),
        **{f"{_BLOCK}.layer_norm{i}": f"{_OURS}.norm{i}" for i in range(1, 5)},
        f"{_BLOCK}.mlp.lin1": f"{_OURS}.up",
        f"{_BLOCK}.mlp.lin2": f"{_OURS}.down",
        **attention("mask_decoder.transformer.final_attn_token_to_image.", "transformer.last_look."),
        "mask_decoder.transformer.layer_norm_final_attn": "transformer.norm",
        "mask_decoder.upscale_conv1": "upscaling.first",
        "mask_decoder.upscale_layer_norm": "upscaling.norm",
        "mask_decoder.upscale_conv2": "upscaling.second",
        **_mlp("mask_decoder.output_hypernetworks_mlps.{}", "mask_heads.{}"),
        **_mlp("mask_decoder.iou_prediction_head", "quality_head"),
    },
    ignored=(
        "vision_encoder",
        "prompt_encoder.shared_embedding",  # the same as shared_image_embedding
        "prompt_encoder.point_embed",
        "prompt_encoder.not_a_point_embed",
        "prompt_encoder.mask_embed",
    ),
)
"""`transformers.SamModel` to `MaskDecoder`: its mask decoder, positions, and what stands for "no mask given"."""

READ = ("shared_image_embedding.", "prompt_encoder.no_mask_embed.", "mask_decoder.")
"""Beginnings of the names that a mask decoder is made of."""


def load(decoder: nn.Module, uri: str, base: Path | None = None) -> None:
    """Put the weights of a SAM in place.

    Args:
        decoder: A `MaskDecoder`, which is changed.
        uri: `hf:ORG/NAME` or `file:FOLDER`.
        base: The folder that relative paths start from.

    Raises:
        WeightsError: They cannot be had, or are no SAM's of this shape.
    """
    state = read_tensors(fetch(uri, base=base), f"weights {uri}", lambda name: name.startswith(READ))
    where = f"weights {uri}: not the mask decoder of a SAM of this shape"
    fill(places_of(decoder), NAMES.ours(state), where)
