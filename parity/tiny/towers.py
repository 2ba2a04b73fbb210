"""Towers of published models at tiny sizes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.encoders.architecture import TextArchitecture, VisionArchitecture
from triptych.encoders.published import PUBLISHED, Published
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.vit import VisionTower


def vision_shape(name: str, **options: Any) -> VisionArchitecture:
    """A published image tower at a tiny size, on a grid of 3 × 3 that is not that of pretraining."""
    tiny = {"image_size": 24, "patch_size": 8, "width": 48, "layers": 3, "heads": 4}
    return VisionArchitecture(**{**PUBLISHED[name].vision.model_dump(), **tiny, **options})


def text_shape(name: str, **options: Any) -> TextArchitecture:
    """A published text tower at a tiny size."""
    tiny = {"vocabulary": 30, "max_tokens": 8, "width": 24, "layers": 2, "heads": 3}
    return TextArchitecture(**{**PUBLISHED[name].text.model_dump(), **tiny, **options})


class Vision(nn.Module):
    """A tower by the names that formats know."""

    def __init__(self, architecture: VisionArchitecture, embed_dim: int) -> None:
        super().__init__()
        self.vision = VisionTower(architecture, embed_dim)


class Towers(nn.Module):
    """Both towers and the temperature, by the names that formats know."""

    def __init__(self, model: Published) -> None:
        super().__init__()
        self.vision = VisionTower(model.vision, model.embed_dim)
        self.text = TextTower(model.text, model.embed_dim)
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.logit_bias = nn.Parameter(torch.zeros(())) if model.vision.pooling == "attention" else None

    def features(self, pixels: Tensor, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Of pictures and of texts, `[N, E]`, of length one."""
        pictures, texts = self.vision.encode(pixels), self.text(ids, lengths)
        return functional.normalize(pictures, dim=-1), functional.normalize(texts, dim=-1)

    def logits(self, pictures: Tensor, texts: Tensor) -> Tensor:
        """By picture and text `[N, N]`."""
        out = self.logit_scale.exp() * pictures @ texts.t()
        return out if self.logit_bias is None else out + self.logit_bias
