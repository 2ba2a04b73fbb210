"""BLIP-2 and InstructBLIP (`…ForConditionalGeneration`) in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.adapters.qformer import EPSILON
from triptych.importing.parts import PLAIN, Parts, expect
from triptych.weights.formats.systems import BLIP2_ADAPTER, INSTRUCTBLIP_ADAPTER


def parts(model: Any, folder: Path, dtype: torch.dtype) -> Parts:
    """The parts of a loaded model.

    Raises:
        ImportFailed: It has something that ours do not have.
    """
    config = model.config
    instruction, qformer = config.model_type == "instructblip", config.qformer_config
    expect(
        config.use_decoder_only_language_model,
        f"a language model of type {config.text_config.model_type!r} with an encoder; causal ones (OPT, LLaMA) can",
    )
    expect(qformer.hidden_act == "gelu", f"a Q-Former with {qformer.hidden_act!r}")
    expect(qformer.layer_norm_eps == EPSILON, f"a Q-Former that adds {qformer.layer_norm_eps} to the variance")
    names = INSTRUCTBLIP_ADAPTER if instruction else BLIP2_ADAPTER
    theirs = {
        name: tensor.float()
        for name, tensor in model.state_dict().items()
        if name.startswith(("query_tokens", "qformer.", "language_projection."))
    }
    theirs["query_tokens"] = theirs["query_tokens"][0]
    adapter: dict[str, Any] = {
        "kind": "qformer",
        "queries": config.num_query_tokens,
        "layers": qformer.num_hidden_layers,
        "width": qformer.hidden_size,
        "heads": qformer.num_attention_heads,
        "intermediate": qformer.intermediate_size,
        "cross_every": qformer.cross_attention_frequency,
        "instruction": instruction,
        **PLAIN,
    }
    tokenizers: dict[str, Path] = {}
    if instruction:
        adapter |= {"text_tokens": qformer.max_position_embeddings, "vocabulary": qformer.vocab_size}
        if (folder / "qformer_tokenizer").is_dir():
            tokenizers["qformer_tokenizer"] = folder / "qformer_tokenizer"
            adapter["tokenizer"] = "file:parts/qformer_tokenizer"
    return Parts(
        system="InstructBLIP" if instruction else "BLIP-2",
        language=model.language_model.to(dtype),
        vision=model.vision_model,
        encoder={"layer": "output", "drop_cls": False},
        adapter=adapter,
        state={f"adapters.image.{name}": tensor for name, tensor in names.ours(theirs).items()},
        template="instructblip",
        tokenizers=tokenizers,
    )
