"""Small language models of several architectures, and models composed with them, gates open or shut."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tiny_world import World, tokenizer
from triptych.adapters.build import build as build_adapter
from triptych.adapters.config import MLPConfig
from triptych.encoders.build import build as build_encoder
from triptych.fusion.build import build as build_fusion
from triptych.fusion.config import (
    CrossAttendConfig,
    EarlyConfig,
    FusionConfig,
    PromptConfig,
    SpliceConfig,
    TuningConfig,
)
from triptych.kernels.fast import accelerate
from triptych.language.backbone import LanguageModel
from triptych.language.template import ChatTemplate
from triptych.model.composed import MultimodalModel
from triptych.sequence.config import SequenceConfig

SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
SHAPE |= {"num_key_value_heads": 2, "initializer_range": 0.2, "max_position_embeddings": 512}
KINDS: dict[str, dict[str, Any]] = {
    "llama": SHAPE,
    "qwen2": SHAPE,
    "qwen3": SHAPE | {"head_dim": 8},
    "mistral": SHAPE | {"sliding_window": 9},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "opt": {"hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "dropout": 0.0,
            "word_embed_proj_dim": 32, "max_position_embeddings": 512, "init_std": 0.2},
}  # fmt: skip
"""Model type → its configuration."""

FUSIONS: dict[str, FusionConfig] = {
    "splice": SpliceConfig(),
    "cross_attend": CrossAttendConfig(every=2, heads=2, head_dim=8),
    "cross_attend, all": CrossAttendConfig(
        every=1, first=1, heads=2, head_dim=8, sees="all", norm="rms", feedforward="swiglu", normalise=False
    ),
    "prompt": PromptConfig(length=3, layers=2),
    "prompt, early": PromptConfig(length=3, layers=2, gate="layer", early=EarlyConfig(), tuning=TuningConfig()),
}
"""Every fusion, with every option used once."""


def language(kind: str = "llama", dtype: torch.dtype = torch.float32) -> LanguageModel:
    """A language model of three layers."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer()),
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        **KINDS[kind],
    )
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    model.config.use_cache = False
    accelerate(model)
    return LanguageModel(model, tokenizer(), ChatTemplate(tokenizer()))


def composed(
    world: World, fusion: FusionConfig, kind: str = "llama", dtype: torch.dtype = torch.float32, shut: bool = False
) -> MultimodalModel:
    """A model with one fusion; its gates are open and everything is random unless it is `shut`."""
    middle = language(kind, dtype)
    recipe = world.recipe()
    encoder = build_encoder(recipe.model.encoders.image, world.folder)  # type: ignore[arg-type]
    encoder.requires_grad_(False).eval()
    adapter = build_adapter(
        MLPConfig(pool=2, reduction="average", output_scale=None), encoder.dim, encoder.grid, middle.dim, 1.0
    )
    made = build_fusion(fusion, middle, 0.2)
    if not shut:
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return MultimodalModel(middle, {"image": encoder}, {"image": adapter}, SequenceConfig(max_tokens=160), made).eval()
