"""The language model's LoRA as a GGUF adapter for llama.cpp (`--lora adapter.gguf`).

Names, metadata and the order of rows are those of llama.cpp's `convert_lora_to_gguf.py`: `blk.0.attn_q.weight.lora_a`
[rank, in] and `.lora_b` [out, rank]; alpha beside them. In its LLaMA the two halves of each head of queries and keys are
interleaved, so the rows of their B are too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from triptych.families.composed.config import ModelConfig
from triptych.formats.gguf import ARCHITECTURES
from triptych.formats.rotary_order import heads_of, interleave
from triptych.interchange.finished import Finished
from triptych.interchange.format import Format
from triptych.interchange.systems import peft

FILE = "adapter.gguf"


def misfits(run: Finished) -> Iterator[str]:
    """What of a run this file cannot hold."""
    yield from peft.misfits(run)
    if run.language is not None and (kind := run.language.config.model_type) not in ARCHITECTURES:
        yield f"model.language: {kind!r} is not among {', '.join(ARCHITECTURES)}, whose names for llama.cpp are known here"


def write(run: Finished, folder: Path, shard: str) -> str:  # noqa: ARG001 - an adapter is small
    """Write `adapter.gguf`, in float32 or float16."""
    import gguf

    model = run.recipe.model
    assert isinstance(model, ModelConfig) and model.language.lora is not None and run.language is not None
    config = run.language.config
    architecture, interleaved = ARCHITECTURES[config.model_type]
    arch = gguf.MODEL_ARCH[architecture]
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    writer = gguf.GGUFWriter(folder / FILE, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, model.language.lora.alpha)
    writer.add_string(gguf.Keys.General.NAME, run.recipe.name)
    dtype = torch.float32 if run.dtype == torch.float32 else torch.float16  # numpy has no bfloat16
    for name, (a, b) in peft.weights(run).items():
        theirs = names.get_name(f"{name}.weight", try_suffixes=(".weight",))
        if theirs is None:
            raise KeyError(f"gguf has no name for {name}")
        if interleaved and (heads := heads_of(name, config.to_dict())):
            b = interleave(b, heads)
        for part, tensor in (("lora_a", a), ("lora_b", b)):
            writer.add_tensor(f"{theirs}.{part}", tensor.to(dtype).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return f"import gguf\n\nreader = gguf.GGUFReader(FOLDER + '/{FILE}')  # llama-cli --model BASE.gguf --lora {FILE}"


FORMATS = (Format("gguf-adapter", "the language model's LoRA alone, for llama.cpp", misfits, write, library="gguf"),)
