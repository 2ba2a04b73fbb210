"""Published towers at a tiny size, with every parameter random."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from parity.tiny import towers
from parity.tiny.weights import randomise
from triptych.encoders.architecture import TextArchitecture, VisionArchitecture
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.vit import VisionTower

KINDS = ("clip-b32", "eva01-clip-g14", "eva02-clip-b16", "siglip-b16")


def vision_shape(name: str, **options: Any) -> VisionArchitecture:
    return towers.vision_shape(name, **{"width": 16, "heads": 2, **options})


def text_shape(name: str, **options: Any) -> TextArchitecture:
    return towers.text_shape(name, **{"width": 16, "heads": 2, **options})


def vision_tower(name: str, seed: int = 0, **options: Any) -> VisionTower:
    tower = VisionTower(vision_shape(name, **options), 16).eval()
    randomise(tower, seed)
    return tower


def text_tower(name: str, seed: int = 0, **options: Any) -> TextTower:
    tower = TextTower(text_shape(name, **options), 16).eval()
    randomise(tower, seed)
    return tower


def pictures(count: int = 2, size: int = 24, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
