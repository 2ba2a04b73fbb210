"""Language models of runs as models of transformers, LoRA merged; their tokenizers; and models made of weights at hand."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from triptych.interchange.finished import Finished
from triptych.language import kosmos
from triptych.language.backbone import LanguageModel
from triptych.language.hub_templates import for_transformers
from triptych.language.template import ChatTemplate


def causal(config: Any, state: dict[str, Tensor], dtype: torch.dtype) -> Any:
    """The causal language model of a configuration with these weights; see `filled`."""

    def build() -> Any:
        if config.model_type == kosmos.MODEL_TYPE:  # not among those that transformers builds by itself
            from transformers.models.kosmos2.modeling_kosmos2 import Kosmos2TextForCausalLM

            return Kosmos2TextForCausalLM(config)
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_config(config)

    return filled(build, state, dtype)


def filled(build: Callable[[], Any], state: dict[str, Tensor], dtype: torch.dtype) -> Any:
    """A transformers model with these weights in a precision. Tied weights stay one tensor.

    Raises:
        RuntimeError: A weight is missing, or there are others.
    """
    with torch.device("meta"):
        model = build()
    cast: dict[int, Tensor] = {}
    ready = {name: cast.setdefault(tensor.data_ptr(), tensor.to(dtype).contiguous()) for name, tensor in state.items()}
    missing, unexpected = model.load_state_dict(ready, strict=False, assign=True)
    model.tie_weights()
    name = type(model).__name__
    places = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    if lacking := [key for key in missing if places[key].is_meta]:
        raise RuntimeError(f"{name}: {len(lacking)} weights are missing, among them {', '.join(lacking[:5])}")
    if unexpected:
        raise RuntimeError(f"{name}: has no place for {len(unexpected)} weights, such as {', '.join(unexpected[:5])}")
    model.config.dtype = dtype
    return model.eval()


def merged_state(language: LanguageModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """All weights of the language model by the names of its own class.

    Args:
        language: The model.
        dtype: Of what is written. LoRA's update is added in float32 and rounded to it once: rounded to the precision of the
            weights, which may be less, small updates would be lost.
    """
    state = {
        name.replace(".base_layer.", "."): tensor.detach()
        for name, tensor in language.model.state_dict().items()
        if not _is_lora(name)
    }
    for name, module in lora_layers(language):
        weight = state[f"{name}.weight"]
        a, b = (layers["default"].weight.detach().float() for layers in (module.lora_A, module.lora_B))
        update = module.scaling["default"] * (b @ a)
        update = update.t() if module.fan_in_fan_out else update  # GPT-2's layers are kept transposed
        state[f"{name}.weight"] = (weight.float() + update).to(dtype)
    return state


def lora_layers(language: LanguageModel) -> Iterator[tuple[str, Any]]:
    """The layers with LoRA, by name."""
    for name, module in language.model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "fan_in_fan_out"):
            yield name, module


def _is_lora(name: str) -> bool:
    return any(step.startswith("lora_") for step in name.split("."))


def plain_config(language: LanguageModel) -> Any:
    """The transformers configuration as it is without Triptych."""
    values = language.config.to_dict()
    values.pop("quantization_config", None)
    return type(language.config)(**{**values, "use_cache": True})


def exported_tokenizer(template: ChatTemplate, image_token: str | None = None) -> Any:
    """A copy of a template's tokenizer that writes conversations as it does, whether they come as text or as parts.

    Args:
        template: With its tokenizer.
        image_token: Is added to it as a special token where it has none, and stands where pictures do. Processors add
            special tokens to what they read, so such a tokenizer adds none: all of them come from the template.
    """
    tokenizer = copy.deepcopy(template.tokenizer)
    if image_token is not None:
        add_token(tokenizer, image_token)
        adds_nothing(tokenizer)
    tokenizer.chat_template = for_transformers(
        template.template, template.system_prompt, image_token or "<image>", template.drops_spaces
    )
    return tokenizer


IMAGE_TOKENS = ("<image>", "<|image|>", "<|picture|>")
"""Names for the token that stands where a picture does."""


def image_token_for(template: ChatTemplate) -> str:
    """The first of `IMAGE_TOKENS` that the template does not write itself, as Kosmos-2's writes `<image>`."""
    return next(name for name in IMAGE_TOKENS if not template.writes(name) or name == IMAGE_TOKENS[-1])


def adds_nothing(tokenizer: Any) -> None:
    """Have a tokenizer put no special tokens around what it encodes."""
    from tokenizers.processors import TemplateProcessing

    if tokenizer("a")["input_ids"] == tokenizer("a", add_special_tokens=False)["input_ids"]:
        return
    for name in ("add_bos_token", "add_eos_token"):
        if hasattr(tokenizer, name):
            setattr(tokenizer, name, False)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])


def between(tokenizer: Any, begin: str | None, end: str | None, length: int) -> Any:
    """The tokenizer, which from now on puts two tokens around a text (None is nothing) and cuts it at a length.

    It fills up at the right, and writes no conversations.
    """
    from tokenizers.processors import TemplateProcessing

    special = {token: int(tokenizer.convert_tokens_to_ids(token)) for token in (begin, end) if token is not None}
    single = " ".join(filter(None, (begin, "$A", end)))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=list(special.items()))
    tokenizer.model_max_length = length
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    tokenizer.chat_template = None
    return tokenizer


def add_token(tokenizer: Any, token: str) -> int:
    """The id of a special token, which is added where there is none."""
    if token not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"additional_special_tokens": [token]}, replace_extra_special_tokens=False)
    return int(tokenizer.convert_tokens_to_ids(token))


def save_generation(folder: Path, tokenizer: Any, template: ChatTemplate, never: tuple[int, ...] = ()) -> None:
    """`generation_config.json`: what ends an answer, and which tokens are never generated.

    Args:
        folder: Where it is written.
        tokenizer: Whose end of text ends an answer, too.
        template: What ends its turns does.
        never: Ids that stand for media.
    """
    from transformers import GenerationConfig

    ends = {template.end[-1], *([] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)])}
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    GenerationConfig(
        eos_token_id=sorted(ends),
        pad_token_id=int(pad),
        bos_token_id=tokenizer.bos_token_id,
        suppress_tokens=list(never) or None,
        do_sample=False,
    ).save_pretrained(folder)


def save_system(
    run: Finished,
    folder: Path,
    shard: str,
    config: Any,
    name: str,
    state: dict[str, Tensor],
    processor: Any,
    image: int,
) -> None:
    """Write a system of tower, adapter and language model with its processor.

    Args:
        run: Where it comes from.
        folder: Where it is written.
        shard: Size of a file of weights.
        config: Its configuration.
        name: Of its class in transformers.
        state: Its weights.
        processor: With its tokenizer.
        image: The id that stands for pictures, and is never generated.
    """
    import transformers

    assert run.language is not None
    filled(lambda: getattr(transformers, name)(config), state, run.dtype).save_pretrained(folder, max_shard_size=shard)
    processor.save_pretrained(folder)
    save_generation(folder, processor.tokenizer, run.language.template, (image,))


def language_with_room(language: LanguageModel, token: int, dtype: torch.dtype) -> tuple[Any, dict[str, Tensor]]:
    """Configuration and weights of the language model with a row for a token that only stands for media.

    A new row is zero: nothing reads it, and `generation_config.json` says that it is never generated.
    """
    config, state = plain_config(language), merged_state(language, dtype)
    rows = language.embedding.num_embeddings
    if token >= rows:
        tables = {id(language.embedding.weight), *(id(p) for p in language.model.get_output_embeddings().parameters())}
        names = [
            name.replace(".base_layer.", ".")
            for name, parameter in language.model.named_parameters(remove_duplicate=False)
            if id(parameter) in tables
        ]
        room: dict[int, Tensor] = {}
        for name in names:
            old = state[name]
            state[name] = room.setdefault(old.data_ptr(), nn.functional.pad(old, (0, 0, 0, token + 1 - rows)))
        config.vocab_size = token + 1
    return config, state
