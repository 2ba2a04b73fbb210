"""What the planner says adapters cost, against counts by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from triptych.adapters import ConnectorConfig, PerceiverConfig, QFormerConfig, build
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import HuggingFaceConfig
from triptych.encoders.encoder import Encoder
from triptych.planner.activations import INSTRUCTION, adapter_bytes, adapter_flops

DIM, CELLS, WIDTH = 32, 16, 24


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    architecture = {"model_type": "clip_vision_model", "hidden_size": DIM, "num_hidden_layers": 1}
    architecture |= {"num_attention_heads": 2, "intermediate_size": 32, "image_size": 32, "patch_size": 8}
    with torch.device("meta"):
        made = build_encoder(HuggingFaceConfig(architecture=architecture, layer=-1, precision="float32"))
    return made.requires_grad_(False)


def adapter(config: Any, encoder: Encoder) -> torch.nn.Module:
    with torch.device("meta"):
        return build(config, DIM, encoder.grid, WIDTH, 1.0, None, lambda text: [0] * len(text.split()), 100)


def products(latents: int, depth: int, inner: int, ff: int) -> int:
    """Multiplications and additions of a Perceiver, forward."""
    seen = CELLS + latents
    attention = 2 * latents * DIM * inner * 2 + 2 * seen * DIM * inner * 2 + 2 * latents * seen * inner * 2
    return depth * (attention + 2 * latents * DIM * ff * 2) + 2 * latents * DIM * WIDTH


def test_flops_of_a_perceiver(encoder: Encoder) -> None:
    config = PerceiverConfig(latents=5, depth=2, heads=2, head_dim=8)
    frozen = adapter(config, encoder).requires_grad_(False)
    forward = products(5, 2, 16, 4 * DIM)
    assert adapter_flops(frozen, encoder) == pytest.approx(forward, rel=0.01)
    learning = adapter_flops(frozen.requires_grad_(True), encoder)
    assert 2.5 * forward < learning < 3.6 * forward


@pytest.mark.parametrize(
    "config",
    [
        QFormerConfig(queries=5, layers=2, width=16, heads=2, intermediate=24),
        PerceiverConfig(latents=5, depth=2, heads=2, head_dim=8),
        ConnectorConfig(latents=5, heads=2),
    ],
    ids=lambda config: config.kind,
)
def test_memory_grows_with_pictures(config: Any, encoder: Encoder) -> None:
    made = adapter(config, encoder)
    one, three = (adapter_bytes(made, encoder, pictures) for pictures in (1, 3))
    assert 2 * one < three < 3.3 * one
    assert adapter_flops(made, encoder) > 0


def test_an_instruction_costs(encoder: Encoder) -> None:
    sizes = {"queries": 5, "layers": 2, "width": 16, "heads": 2, "intermediate": 24}
    plain, reading = (adapter(QFormerConfig(instruction=flag, **sizes), encoder) for flag in (False, True))
    assert len(INSTRUCTION.split()) == 16
    assert adapter_flops(reading, encoder) > 1.5 * adapter_flops(plain, encoder)
    assert adapter_bytes(reading, encoder, 2) > adapter_bytes(plain, encoder, 2)
