"""The language model's LoRA as a folder for peft."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from triptych.families.composed.config import ModelConfig
from triptych.interchange.finished import Finished
from triptych.interchange.format import Format
from triptych.interchange.language import exported_tokenizer, lora_layers
from triptych.interchange.misfits import misfits_of_language

PREFIX = "base_model.model."
"""What peft puts in front of the names of the model that it wraps."""


def misfits(run: Finished) -> Iterator[str]:
    """What of a run an adapter alone cannot hold."""
    language = list(misfits_of_language(run))
    yield from language
    model = run.recipe.model
    if language or not isinstance(model, ModelConfig):
        return
    if model.language.lora is None:
        yield "model.language.lora: null; the run has no LoRA"
        return
    trained = [name for name in run.learnt if name.startswith("language.") and "lora_" not in name]
    if trained:
        yield (
            f"stages: they trained {len(trained)} tensors of the language model itself, too, which an adapter beside the "
            "pretrained weights does not have"
        )


def weights(run: Finished) -> dict[str, tuple[Tensor, Tensor]]:
    """A `[rank, in]` and B `[out, rank]` of every layer, by the layer's name in the language model."""
    assert run.language is not None
    return {
        name: (module.lora_A["default"].weight.detach(), module.lora_B["default"].weight.detach())
        for name, module in lora_layers(run.language)
    }


def write(run: Finished, folder: Path, shard: str) -> str:  # noqa: ARG001 - an adapter is small
    """Write `adapter_config.json` and `adapter_model.safetensors`."""
    from peft import LoraConfig

    model = run.recipe.model
    assert isinstance(model, ModelConfig) and model.language.lora is not None and run.language is not None
    lora, found = model.language.lora, weights(run)
    base = base_name(model)
    LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=sorted({name.rpartition(".")[2] for name in found}),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
        inference_mode=True,
    ).save_pretrained(str(folder))
    state: dict[str, Tensor] = {}
    for name, (a, b) in found.items():
        state[f"{PREFIX}{name}.lora_A.weight"] = a.to(run.dtype).contiguous()
        state[f"{PREFIX}{name}.lora_B.weight"] = b.to(run.dtype).contiguous()
    save_file(state, folder / "adapter_model.safetensors", {"format": "pt"})
    exported_tokenizer(run.language.template).save_pretrained(folder)
    where = f"'the folder with it', gguf_file={base!r}" if base.endswith(".gguf") else repr(base)
    return (
        "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
        f"base = AutoModelForCausalLM.from_pretrained({where})\nmodel = PeftModel.from_pretrained(base, FOLDER)"
    )


def base_name(model: ModelConfig) -> str:
    """What the adapter belongs to: a repository of the hub, or the last name of a URI."""
    uri: Any = model.language.weights or model.language.architecture["model_type"]  # type: ignore[index]
    scheme, _, rest = str(uri).partition("#")[0].partition(":")
    return rest if scheme == "hf" else Path(rest or scheme).name


FORMATS = (
    Format("peft", "the language model's LoRA alone, for peft", misfits, write, task="text-generation", library="peft"),
)
