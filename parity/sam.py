"""The mask decoder held against transformers' SAM: tiny, random weights everywhere, carried over by name both ways."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image as Pillow
from torch import Tensor, nn

from parity.check import Check
from parity.compare import both_ways, compare
from triptych.conversation import Image
from triptych.decoders.config import MaskDecoderConfig
from triptych.decoders.masks import MaskDecoder
from triptych.encoders.config import SamConfig
from triptych.encoders.sam import SamEncoder
from triptych.formats.sam import NAMES as SAM

WIDTH, SIDE, PICTURES, PROMPTS = 32, 6, 2, 3


@torch.no_grad()
def sam_masks() -> Iterator[Check]:
    """Masks and expected IoUs of prompts that are one embedding each (LISA) and two (a box), and positions."""
    reference = tiny_sam()
    config = MaskDecoderConfig(layers=2, heads=4, feed_forward=48, reduction=2, more_masks=3)
    ours = MaskDecoder(config, WIDTH)
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(PICTURES, WIDTH, SIDE, SIDE, generator=generator)
    owner = torch.arange(PICTURES).repeat_interleave(PROMPTS)

    def outputs() -> Iterator[tuple[str, Tensor, Tensor]]:
        cells = reference.get_image_wide_positional_embeddings()
        yield "positions", ours.positions.grid(SIDE, SIDE), cells[0].flatten(1).T
        for length, what in ((1, "one embedding"), (2, "two embeddings")):
            prompts = torch.randn(PICTURES, PROMPTS, length, WIDTH, generator=generator)
            dense = reference.prompt_encoder.no_mask_embed.weight[..., None, None].expand(PICTURES, -1, SIDE, SIDE)
            for several in (False, True):
                masks, quality = reference.mask_decoder(
                    image_embeddings=features,
                    image_positional_embeddings=cells.expand(PICTURES, -1, -1, -1),
                    sparse_prompt_embeddings=prompts,
                    dense_prompt_embeddings=dense,
                    multimask_output=several,
                )
                mine, expected = ours.all_masks(features, prompts.flatten(0, 1), owner)
                kept = slice(1, None) if several else slice(0, 1)
                number = "three masks" if several else "one mask"
                yield f"{number} of {what}", mine[:, kept], masks.flatten(0, 1)
                yield f"expected IoU, {number} of {what}", expected[:, kept], quality.flatten(0, 1)

    yield from both_ways("mask decoder", "transformers.SamModel", ours, _Decoding(reference), SAM, outputs)


@torch.no_grad()
def sam_pictures() -> Iterator[Check]:
    """The image encoder with its preparation against transformers' model with its image processor (Pillow)."""
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    reference = tiny_sam()
    side = SIDE * 4
    processor = SamImageProcessorPil(
        size={"longest_edge": side}, pad_size={"height": side, "width": side}, mask_size={"longest_edge": side},
        mask_pad_size={"height": side, "width": side},
    )  # fmt: skip
    picture = Pillow.effect_noise((57, 38), 120).convert("RGB")
    theirs = processor(picture, return_tensors="pt")["pixel_values"]
    with TemporaryDirectory() as folder:
        reference.save_pretrained(folder)
        ours = SamEncoder.from_config(SamConfig(weights=f"file:{folder}", precision="float32"))
    pixels = ours.prepare(Image(picture))[None]
    inside = round(38 * side / 57)
    yield compare(
        "prepared pixels, but for padding",
        "transformers.SamImageProcessorPil",
        ours.normalise(pixels, torch.float32)[:, :, :inside],
        theirs[:, :, :inside],
    )
    expected = reference.vision_encoder(ours.normalise(pixels, torch.float32)).last_hidden_state
    yield compare("features", "transformers.SamModel", ours(pixels), expected.flatten(2).transpose(1, 2))


def tiny_sam(**vision: Any) -> Any:
    """A SAM of transformers with random weights and as few of them as will do.

    Args:
        vision: Fields of its vision configuration that differ.
    """
    from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    patch = 4
    sizes = {
        "hidden_size": 16,
        "output_channels": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE * patch,
        "patch_size": patch,
        "window_size": 2,
        "global_attn_indexes": [1],
        "num_pos_feats": WIDTH // 2,
        "mlp_dim": 24,
    } | vision
    prompts = SamPromptEncoderConfig(
        hidden_size=WIDTH, image_size=sizes["image_size"], patch_size=patch, mask_input_channels=4
    )
    masks = SamMaskDecoderConfig(
        hidden_size=WIDTH, mlp_dim=48, num_attention_heads=4, attention_downsample_rate=2, num_multimask_outputs=3
    )
    torch.manual_seed(0)
    return SamModel(
        SamConfig(vision_config=SamVisionConfig(**sizes), prompt_encoder_config=prompts, mask_decoder_config=masks)
    ).eval()


class _Decoding(nn.Module):
    """A SAM without the parts that a mask decoder has no counterpart of, which would be lost on the way back."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.shared_image_embedding = model.shared_image_embedding
        self.prompt_encoder = nn.Module()
        self.prompt_encoder.no_mask_embed = model.prompt_encoder.no_mask_embed
        self.mask_decoder = model.mask_decoder
