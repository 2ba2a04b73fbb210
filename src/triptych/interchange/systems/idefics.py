"""Idefics (`IdeficsForVisionText2Text`), the open Flamingo of the hub, which is read as a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych.formats import idefics
from triptych.interchange.errors import expect
from triptych.interchange.format import System
from triptych.interchange.language import causal
from triptych.interchange.parts import PLAIN, Parts, composed, identity, widened
from triptych.interchange.systems.kosmos2 import clip_tower
from triptych.weights.pretrained import load_tokenizer

EPSILON = 1e-6
"""Of our blocks' normalisations."""

SAME = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings", "rms_norm_eps",
    "rope_parameters", "bos_token_id", "eos_token_id",
)  # fmt: skip
"""Fields of its configuration that are those of a LLaMA."""


def parts(model: Any, folder: Path, dtype: torch.dtype) -> Parts:
    """The parts of a loaded model.

    Its blocks read media at the tower's width, ours at the language model's: features get zeros behind them, and keys and
    values ignore these.

    Raises:
        ImportFailed: It has something that ours do not have.
    """
    config, inner = model.config, model.model
    width, seen = config.hidden_size, config.vision_config.embed_dim
    expect(seen <= width, f"a tower of {seen} channels is wider than the language model of {width}")
    expect(config.alpha_type == "float", f"gates of type {config.alpha_type!r}")
    expect(not config.qk_layer_norms, "normalised queries and keys in gated layers (`qk_layer_norms`)")
    expect(config.hidden_act == "silu", f"feed-forward layers with {config.hidden_act!r}")
    expect(config.rms_norm_eps == EPSILON, f"normalisations that add {config.rms_norm_eps} to the variance")
    blocks = idefics.BLOCKS.ours({name: t.float() for name, t in inner.gated_cross_attn_layers.state_dict().items()})
    blocks = {name: widened(t, width) if name.split(".")[1] in {"key", "value"} else t for name, t in blocks.items()}
    adapter, weights = _adapter(inner, config, seen, width)
    embeddings = _table(inner.embed_tokens.weight, getattr(inner.embed_tokens, "additional_embedding", None))
    image = _image_token(folder)
    marker = embeddings[image] if image is not None else torch.zeros(width)
    return Parts(
        language=_language(model, embeddings, dtype),
        vision=clip_tower(inner.vision_model.state_dict(), config.vision_config),
        encoder={"layer": -1, "drop_cls": False},
        adapter=adapter,
        state={
            **{f"adapters.image.{name}": tensor.float() for name, tensor in weights.items()},
            **{f"fusion.blocks.{name}": tensor.to(dtype) for name, tensor in blocks.items()},
            "fusion.marker": marker.detach().clone()[None].to(dtype),
        },
        fusion={
            "kind": "cross_attend",
            "every": config.cross_layer_interval,
            "heads": config.num_attention_heads,
            "head_dim": width // config.num_attention_heads,
            "ff_mult": config.intermediate_size / width,
            "sees": "last",
            "norm": "rms",
            "feedforward": "swiglu",
            "normalise": False,
        },
        notes=() if image is not None else ("no `<image>` token in the tokenizer: the marker of a picture is zero",),
    )


def _adapter(inner: Any, config: Any, seen: int, width: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    same = seen == width
    project = {"projection.weight": identity(width, seen), "projection.bias": torch.zeros(width)}
    if not config.use_resampler:
        return {"kind": "linear", **PLAIN}, project
    shape = config.perceiver_config
    adapter = {
        "kind": "perceiver",
        "latents": shape.resampler_n_latents,
        "depth": shape.resampler_depth,
        "heads": shape.resampler_n_heads,
        "head_dim": shape.resampler_head_dim,
        "activation": "relu",
        "qk_norm": shape.qk_layer_norms_perceiver,
        "project": not same,
        **PLAIN,
    }
    return adapter, idefics.RESAMPLER.ours(inner.perceiver_resampler.state_dict()) | ({} if same else project)


def _language(model: Any, embeddings: Tensor, dtype: torch.dtype) -> Any:
    """A LLaMA whose table of words has the additional ones behind the others."""
    from transformers import LlamaConfig

    config = model.config
    shape = LlamaConfig(
        **{name: getattr(config, name) for name in SAME},
        vocab_size=len(embeddings),
        num_key_value_heads=config.num_attention_heads,
        tie_word_embeddings=False,
        pad_token_id=None,
    )
    state = {
        f"model.{name}": tensor
        for name, tensor in model.model.state_dict().items()
        if name.startswith(("layers.", "norm.")) and "rotary" not in name
    }
    head = _table(model.lm_head.weight, getattr(model.lm_head, "additional_fc", None))
    return causal(shape, {**state, "model.embed_tokens.weight": embeddings, "lm_head.weight": head}, dtype)


def _table(weight: Tensor, additional: Any) -> Tensor:
    return weight.detach() if additional is None else torch.cat([weight.detach(), additional.weight.detach()])


def _image_token(folder: Path) -> int | None:
    found = load_tokenizer(folder, str(folder)).get_vocab().get("<image>")
    return None if found is None else int(found)


SYSTEMS = (System("idefics", "Idefics", composed("IdeficsForVisionText2Text", parts)),)
