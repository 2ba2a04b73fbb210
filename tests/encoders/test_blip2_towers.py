"""The towers of BLIP-2 and InstructBLIP, read out of the whole model's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from triptych.encoders.build import build
from triptych.encoders.config import HuggingFaceConfig

TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
QFORMER = {**TOWER, "encoder_hidden_size": 16}
TEXT = {"model_type": "opt", "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "ffn_dim": 32}
TEXT |= {"num_attention_heads": 2, "word_embed_proj_dim": 16}


@pytest.mark.parametrize("name", ["Blip2", "InstructBlip"])
def test_features_are_those_of_the_whole_model(name: str, tmp_path: Path) -> None:
    vision = {**TOWER, "image_size": 32, "patch_size": 8}
    config = getattr(transformers, f"{name}Config")(vision_config=vision, qformer_config=QFORMER, text_config=TEXT)
    whole: Any = getattr(transformers, f"{name}ForConditionalGeneration")(config).eval()
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.normal_(0, 0.1)
    whole.save_pretrained(tmp_path)
    ours: Any = build(
        HuggingFaceConfig(weights=f"file:{tmp_path}", layer="output", drop_cls=False, precision="float32")
    )
    pixels = torch.randint(0, 256, (1, 3, 32, 32)).to(torch.uint8)
    tower = whole.vision_model if hasattr(whole, "vision_model") else whole.model.vision_model
    with torch.inference_mode():
        theirs = tower(ours.normalise(pixels, torch.float32)).last_hidden_state
        assert theirs.shape == (1, 17, 16)
        assert torch.allclose(ours(pixels), theirs, atol=1e-6)
