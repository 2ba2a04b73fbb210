"""Tiny systems of transformers with random weights, and the folders that they come in."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from parity.tiny.weights import randomise
from parity.tiny.words import tokenizer

IMAGE = len(tokenizer())
"""The id that stands for pictures: behind the words."""

NO_ENDS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}

SIZES = {"hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2}
TOWER = {**SIZES, "image_size": 32, "patch_size": 8}
QFORMER = {
    "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40, "encoder_hidden_size": 16,
}  # fmt: skip
LLAMA = {
    "model_type": "llama", "vocab_size": IMAGE + 1, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": False,
    **NO_ENDS,
}  # fmt: skip
OPT = {
    "model_type": "opt", "vocab_size": IMAGE + 1, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 128, "word_embed_proj_dim": 32, "pad_token_id": 0,
    "dropout": 0.0, "bos_token_id": 7, "eos_token_id": 8,
}  # fmt: skip


def llava(**options: Any) -> Any:
    """With CLIP's tower, unless something else is said."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    vision = {"model_type": "clip_vision_model", **TOWER}
    values = {"vision_config": vision, "text_config": LLAMA, "image_token_index": IMAGE, "tie_word_embeddings": False}
    return LlavaForConditionalGeneration(LlavaConfig(**{**values, **options}))


def siglip_llava() -> Any:
    """All of SigLIP's positions, an inner layer, a projector without an activation."""
    return llava(
        vision_config={"model_type": "siglip_vision_model", **TOWER},
        vision_feature_select_strategy="full",
        projector_hidden_act="linear",
        vision_feature_layer=1,
    )


def blip2(text: dict[str, Any] = OPT) -> Any:
    """With OPT, unless another language model is given."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    config = Blip2Config(
        vision_config=TOWER, qformer_config=QFORMER, text_config=text, num_query_tokens=4, image_token_index=IMAGE
    )
    return Blip2ForConditionalGeneration(config)


def instructblip() -> Any:
    """With LLaMA."""
    from transformers import InstructBlipConfig, InstructBlipForConditionalGeneration

    qformer = {**QFORMER, "vocab_size": IMAGE, "max_position_embeddings": 20}
    config = InstructBlipConfig(
        vision_config=TOWER, qformer_config=qformer, text_config=LLAMA, num_query_tokens=4, image_token_index=IMAGE
    )
    return InstructBlipForConditionalGeneration(config)


def kosmos2(vocabulary: int = IMAGE + 1, positions: int = 128, **vision: int) -> Any:
    """Kosmos-2, five positions per picture; `vision` are sizes of its tower that differ."""
    from transformers import Kosmos2Config, Kosmos2ForConditionalGeneration

    text = {"vocab_size": vocabulary, "embed_dim": 32, "layers": 2, "ffn_dim": 48, "attention_heads": 4}
    text["max_position_embeddings"] = positions
    return Kosmos2ForConditionalGeneration(
        Kosmos2Config(text_config=text, vision_config=TOWER | vision, latent_query_num=5)
    )


def seeing_all(reference: Any) -> Any:
    """The same model, whose connector attends to all of a picture, as published.

    Older versions of transformers (5.17) mask what comes later: the connector's attention has the decoder's `is_causal`.
    """
    reference.image_to_text_projection.x_attn.is_causal = False
    return reference


def idefics(resampler: bool) -> Any:
    """With a resampler, or without."""
    from transformers import IdeficsConfig, IdeficsForVisionText2Text

    config = IdeficsConfig(
        vocab_size=IMAGE, additional_vocab_size=2, hidden_size=32, intermediate_size=48, num_hidden_layers=4,
        num_attention_heads=4, cross_layer_interval=2, use_resampler=resampler, alpha_initializer="ones", **NO_ENDS,
        vision_config={"embed_dim": 16, "image_size": 32, "patch_size": 8, "num_hidden_layers": 2,
                       "num_attention_heads": 2, "intermediate_size": 40},
        perceiver_config={"use_resampler": resampler, "resampler_n_latents": 5, "resampler_depth": 2,
                          "resampler_n_heads": 3, "resampler_head_dim": 8},
    )  # fmt: skip
    return IdeficsForVisionText2Text(config)


SYSTEMS: dict[str, Callable[[], Any]] = {
    "LLaVA": llava,
    "LLaVA, words tied": lambda: llava(text_config={**LLAMA, "tie_word_embeddings": True}, tie_word_embeddings=True),
    "LLaVA, SigLIP": siglip_llava,
    "BLIP-2": blip2,
    "BLIP-2, LLaMA": lambda: blip2(LLAMA),
    "InstructBLIP": instructblip,
    "Kosmos-2": kosmos2,
    "Idefics": lambda: idefics(False),
    "Idefics, resampler": lambda: idefics(True),
}
"""What `triptych import` takes, in the variants that are read differently."""


def saved(name: str, folder: Path) -> Any:
    """A folder as the hub has it; returns the model as transformers loads it from there."""
    torch.manual_seed(0)
    model = SYSTEMS[name]().eval()
    randomise(model, 1)
    model.tie_weights()
    model.save_pretrained(folder)
    # Kosmos counts positions past what has its padding's id, which is that of `<|im_start|>` here.
    tokens = tokenizer(template=None) if name == "Kosmos-2" else tokenizer()
    if name.startswith("Idefics"):
        tokens = copy.deepcopy(tokens)
        tokens.add_special_tokens({"additional_special_tokens": ["<image>"]}, replace_extra_special_tokens=False)
    tokens.save_pretrained(folder)
    if name == "InstructBLIP":
        tokenizer().save_pretrained(folder / "qformer_tokenizer")
    loaded = type(model).from_pretrained(folder).eval()
    return seeing_all(loaded) if name == "Kosmos-2" else loaded
