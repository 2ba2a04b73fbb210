"""Kosmos-2 as transformers has it: names of tensors."""

from __future__ import annotations

from triptych.formats.format import attention
from triptych.weights.names import NameMap

ADAPTER = NameMap({"dense": "projection", "latent_query": "latents", **attention("x_attn.", "")})
"""`Kosmos2ImageToTextProjection` to the connector."""
