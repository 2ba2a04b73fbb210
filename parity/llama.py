"""LLaMA against transformers: what the language model computes here, packed, cached and with its own derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from parity.check import Check
from parity.compare import compare, largest_difference
from parity.tiny.systems import LLAMA
from triptych.kernels.fast import accelerate
from triptych.language.backbone import LanguageModel
from triptych.language.cache import roomy_cache
from triptych.weights.names import NameMap

REFERENCE = "transformers.LlamaForCausalLM"

NAMES = NameMap({"model": "model.model", "lm_head": "model.lm_head"})
"""Its names to those of `LanguageModel`."""

LENGTHS = (11, 5, 8)
"""Of the documents that are packed into one row."""


def llama() -> Iterator[Check]:
    """Logits, packed rows, cached generation and gradients."""
    theirs, ours = reference(1), language_model(reference(2))
    carry(theirs, ours, NAMES)
    documents = [torch.randint(0, config().vocab_size, (length,)) for length in LENGTHS]
    with torch.inference_mode():
        apart = [theirs(ids[None]).logits[0] for ids in documents]
        alone = [logits(ours, ids[None])[0] for ids in documents]
        packed = torch.split(logits(ours, *pack(documents))[0], list(LENGTHS))
    yield compare("LLaMA: logits, weights carried over from the reference", REFERENCE, alone, apart)
    yield compare("LLaMA: logits of documents packed in one row", REFERENCE, packed, apart)
    yield from _generation(ours, theirs, documents)
    yield Check(
        "LLaMA: gradients of the loss, relative to each weight's largest",
        REFERENCE,
        _gradients(ours, theirs, documents),
    )

    own = language_model(reference(3))
    back = reference(4)
    back.load_state_dict(NAMES.theirs(dict(own.named_parameters())))
    with torch.inference_mode():
        mine, expected = logits(own, documents[0][None]), back(documents[0][None]).logits
    yield compare("LLaMA: logits, weights carried over to the reference", REFERENCE, mine, expected)


def config() -> Any:
    """A tiny LLaMA: two query heads for each key head."""
    from transformers import LlamaConfig

    sizes = {"vocab_size": 96, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3}
    return LlamaConfig(**{**LLAMA, **sizes, "max_position_embeddings": 64}, attn_implementation="eager")


def reference(seed: int) -> Any:
    """The reference with every parameter random, the norms' too."""
    from transformers import LlamaForCausalLM

    return randomise(LlamaForCausalLM(config()).eval(), seed)


def language_model(model: Any) -> LanguageModel:
    """A transformers model as Triptych runs it; the checks bring their own ids, so it has no tokenizer."""
    model.config.use_cache = False
    accelerate(model)
    nothing: Any = None
    return LanguageModel(model, nothing, nothing).eval()


def randomise(module: nn.Module, seed: int) -> Any:
    """Every parameter drawn anew: matrices at the scale of their inputs, gains around one, biases around zero."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter.shape[1:].numel() ** -0.5)
            else:
                parameter.normal_(0, 0.1).add_(name.endswith("weight"))
    return module


def carry(theirs: nn.Module, ours: nn.Module, names: NameMap) -> None:
    """Give all of our parameters the values of theirs; a KeyError names one that has no counterpart."""
    state = names.ours(dict(theirs.named_parameters()))
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            parameter.copy_(state[name])


def pack(documents: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Documents in one row `[1, L]`: ids, positions, numbers of the documents."""
    positions = torch.cat([torch.arange(len(ids)) for ids in documents])
    numbers = torch.cat([torch.full_like(ids, i) for i, ids in enumerate(documents)])
    return torch.cat(documents)[None], positions[None], numbers[None]


def logits(
    ours: LanguageModel, ids: Tensor, positions: Tensor | None = None, documents: Tensor | None = None
) -> Tensor:
    """Logits `[R, L, V]` by Triptych's path: embeddings in, hidden states out, logits of them."""
    places = torch.arange(ids.shape[1]).expand_as(ids) if positions is None else positions
    numbers = torch.zeros_like(ids) if documents is None else documents
    return ours.logits(ours(ours.embed(ids), places, numbers))


@torch.inference_mode()
def _generation(ours: LanguageModel, theirs: Any, documents: list[Tensor], steps: int = 12) -> Iterator[Check]:
    """Greedy decoding of prompts of different lengths at once, padded on the left, against the reference one by one."""
    length = max(map(len, documents))
    ids = torch.stack([functional.pad(document, (length - len(document), 0)) for document in documents])
    mask = torch.stack(
        [functional.pad(torch.ones_like(document), (length - len(document), 0)) for document in documents]
    )
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    cache = roomy_cache(ours.config)
    chosen, scores = [], []
    for _ in range(steps):
        score = ours.logits(ours(ours.embed(ids), positions, mask=mask, cache=cache)[:, -1])
        ids = score.argmax(dim=-1, keepdim=True)
        chosen.append(ids)
        scores.append(score)
        positions = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    mine = torch.cat(chosen, dim=1)
    wrong, apart = 0, 0.0
    for row, document in enumerate(documents):
        generated = theirs.generate(
            document[None],
            attention_mask=torch.ones_like(document)[None],
            max_new_tokens=steps,
            do_sample=False,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_logits=True,
        )
        wrong += int((generated.sequences[0, len(document) :] != mine[row]).sum())
        apart = max(
            apart, largest_difference([score[row] for score in scores], [score[0] for score in generated.logits])
        )
    yield Check("LLaMA: tokens of cached generation that differ", f"{REFERENCE}.generate", float(wrong), bound=0.0)
    yield Check("LLaMA: logits of cached generation", f"{REFERENCE}.generate", apart)


def _gradients(ours: LanguageModel, theirs: Any, documents: list[Tensor]) -> float:
    """Largest difference of gradients, each relative to the largest entry of that weight's gradient."""
    ids, positions, numbers = pack(documents)
    targets = [functional.pad(document[1:], (0, 1), value=-100) for document in documents]
    loss = functional.cross_entropy(logits(ours, ids, positions, numbers)[0], torch.cat(targets), reduction="sum")
    loss.backward()  # type: ignore[no-untyped-call]
    for document, target in zip(documents, targets, strict=True):
        functional.cross_entropy(theirs(document[None]).logits[0], target, reduction="sum").backward()  # type: ignore[no-untyped-call]
    expected = NAMES.ours({name: parameter.grad for name, parameter in theirs.named_parameters()})
    return max(
        largest_difference(parameter.grad, expected[name]) / float(expected[name].abs().max())
        for name, parameter in ours.named_parameters()
        if parameter.grad is not None
    )
