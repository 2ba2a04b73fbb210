"""SAM's weights in the hub's format become our mask decoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from parity.sam import WIDTH, tiny_sam
from triptych.decoders.config import MaskDecoderConfig
from triptych.decoders.masks import MaskDecoder
from triptych.errors import WeightsError
from triptych.formats import sam

SHAPE = MaskDecoderConfig(layers=2, heads=4, feed_forward=48, reduction=2, more_masks=3)


def test_a_saved_sam_decodes_as_it_did(tmp_path: Path) -> None:
    reference = tiny_sam()
    reference.save_pretrained(tmp_path)
    decoder = MaskDecoder(SHAPE, WIDTH)
    sam.load(decoder, f"file:{tmp_path}")
    features, prompt = torch.randn(1, WIDTH, 6, 6), torch.randn(1, 1, 1, WIDTH)
    with torch.no_grad():
        expected, _ = reference.mask_decoder(
            image_embeddings=features,
            image_positional_embeddings=reference.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=prompt,
            dense_prompt_embeddings=reference.prompt_encoder.no_mask_embed.weight[..., None, None].expand(-1, -1, 6, 6),
            multimask_output=False,
        )
        found, _ = decoder(features, prompt[0, 0], torch.tensor([0]))
    torch.testing.assert_close(found, expected[0, 0], rtol=0, atol=1e-5)


def test_another_shape_is_said(tmp_path: Path) -> None:
    tiny_sam().save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="of this shape"):
        sam.load(MaskDecoder(SHAPE.model_copy(update={"more_masks": 1}), WIDTH), f"file:{tmp_path}")
