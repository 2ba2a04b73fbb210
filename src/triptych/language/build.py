"""Building the language model that a recipe names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.errors import RecipeError, WeightsError, one_line
from triptych.formats import llama
from triptych.formats.gguf import convert_gguf
from triptych.language.backbone import LanguageModel
from triptych.language.config import LanguageConfig, LoRAConfig
from triptych.language.probe import prepare
from triptych.language.template import ChatTemplate
from triptych.language.text_part import is_part, text_config, text_part
from triptych.weights import cache_folder, fetch, pretrained
from triptych.weights.pretrained import load_config, load_pretrained

WHOLE = "A language model is loaded whole or not at all: is the download complete, and of this kind of model?"
"""What helps where tensors are missing or left over."""


def build(config: LanguageConfig, base: Path | None = None) -> LanguageModel:
    """The language model of a recipe: weights loaded in its precision, LoRA inserted (silent until trained).

    Raises:
        WeightsError: The weights or the tokenizer cannot be found or read.
        RecipeError: The architecture or LoRA's targets do not exist.
    """
    from transformers import AutoModelForCausalLM

    from triptych.language import kosmos

    dtype = getattr(torch, config.precision)
    tokenizer = load_tokenizer(config, base)
    if config.weights is not None:
        folder = _folder(config.weights, base)
        where = f"weights {config.weights}"
        options: dict[str, Any] = {}
        if is_part(folder):
            part = text_part(load_config(folder, where))
            options = {"config": part.config, "key_mapping": part.renaming, "may_have": part.others}
        kind = kosmos.KosmosDecoder if kosmos.is_there(folder) else AutoModelForCausalLM
        model = load_pretrained(kind, folder, where, dtype=dtype, hint=WHOLE, **options)
    else:
        model = random_model(architecture(config), dtype)
    model.config.use_cache = False
    capabilities = prepare(model)
    if config.lora is not None:
        model = insert_lora(model, config.lora)
    model.requires_grad_(False).eval()
    return LanguageModel(model, tokenizer, ChatTemplate(tokenizer, config.chat_template, config.system), capabilities)


def random_model(config: Any, dtype: torch.dtype) -> Any:
    """A causal language model of a transformers configuration, with random weights.

    Raises:
        RecipeError: The configuration is of something else.
    """
    from transformers import AutoModelForCausalLM

    from triptych.language import kosmos

    if config.model_type == kosmos.MODEL_TYPE:  # not among those that transformers builds by itself
        return kosmos.build(config, dtype)
    try:
        return AutoModelForCausalLM.from_config(config, dtype=dtype)
    except ValueError as error:
        raise RecipeError(
            f"model.language.architecture: {config.model_type!r} is no causal language model of transformers"
        ) from error
    except Exception as error:  # whatever a class raises of sizes that do not fit
        raise RecipeError(
            f"model.language.architecture: transformers builds no {config.model_type!r} of these values ({one_line(error)})"
        ) from error


def architecture(config: LanguageConfig) -> Any:
    """The transformers configuration of random weights.

    Raises:
        RecipeError: The model type is not one of transformers'.
    """
    from transformers import AutoConfig

    values = dict(config.architecture or {})
    kind = values.pop("model_type", None)
    if kind is None:
        raise RecipeError("model.language.architecture: give `model_type`, for example llama")
    try:
        whole = AutoConfig.for_model(kind, **values)
    except Exception as error:  # by its checks of types, too, which raise errors of their own
        raise RecipeError(f"model.language.architecture: {one_line(error)}") from error
    return text_config(whole)


def tokenizer_at(uri: str, base: Path | None = None) -> Any:
    """The tokenizer that `model.tokenizer` names, for models without a language model.

    Raises:
        WeightsError: There is none.
    """
    try:
        return load_tokenizer(LanguageConfig(weights=uri), base)
    except WeightsError as error:
        raise WeightsError(f"model.tokenizer: {error}") from error


def load_tokenizer(config: LanguageConfig, base: Path | None = None) -> Any:
    """The tokenizer of a language model, without its weights.

    Raises:
        WeightsError: There is none beside the weights.
    """
    uri = config.tokenizer or config.weights
    assert uri is not None  # the configuration makes sure of it
    folder = _folder(uri, base)
    if not folder.is_dir():
        raise WeightsError(f"weights {uri}: {folder} is a file; expected a folder in the hub's format, or a .gguf file")
    return pretrained.load_tokenizer(
        folder, f"weights {uri}: no tokenizer there that can be read; name one in model.language.tokenizer"
    )


def _folder(uri: str, base: Path | None) -> Path:
    """The folder in the hub's format; what has another layout is converted once."""
    path = fetch(uri, base=base)
    # A conversion builds a model, which draws random numbers: what is drawn later must not depend on the cache.
    with torch.random.fork_rng(devices=[]):
        if llama.is_there(path):
            return llama.convert(path, cache_folder())
        return convert_gguf(path, cache_folder()) if path.suffix == ".gguf" else path


def insert_lora(model: Any, config: LoRAConfig) -> Any:
    """The model with low-rank adapters inserted, silent until they are trained.

    Raises:
        RecipeError: peft is not installed, or no layer has one of the targets' names.
    """
    try:
        from peft import LoraConfig as PeftConfig
        from peft import inject_adapter_in_model
    except ImportError:
        raise RecipeError("model.language.lora needs peft: pip install 'triptych[lora]'") from None
    lora = PeftConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=_linear_layers(model) if config.targets == "all-linear" else config.targets,
    )
    try:
        return inject_adapter_in_model(lora, model)
    except ValueError as error:
        raise RecipeError(f"model.language.lora.targets: {error}") from error


def _linear_layers(model: Any) -> list[str]:
    """The names of all linear layers but the head; GPT-2's are transformers' `Conv1D`.

    Raises:
        RecipeError: There is none that low-rank adapters fit.
    """
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    names = {
        name.split(".")[-1]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    }
    if not names:
        raise RecipeError(f"model.language.lora: {type(model).__name__} has no linear layers that LoRA could adapt")
    return sorted(names)
