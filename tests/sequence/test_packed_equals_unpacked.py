"""Packing never leaks: in one row or each alone, documents have the same hidden states, loss and gradients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from tiny_world import tokenizer
from triptych.families.composed.next_token import cross_entropy
from triptych.kernels.fast import NAME, accelerate
from triptych.language.backbone import LanguageModel
from triptych.language.template import ChatTemplate
from triptych.sequence.pack import Batch, pack
from triptych.sequence.plan import Layout

SHAPE = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
SHAPE |= {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2}
KINDS = {
    "llama, accelerated": ("llama", {}, True),
    "llama, transformers' own": ("llama", {}, False),
    "qwen2, accelerated": ("qwen2", {}, True),
    "mistral with a window": ("mistral", {"sliding_window": 6}, True),
    "gemma2 with windows and caps": ("gemma2", {"sliding_window": 6, "head_dim": 8}, True),
    "qwen3, accelerated": ("qwen3", {"head_dim": 8}, True),
    "gpt2 with learned positions": ("gpt2", {}, True),
}


@pytest.fixture(params=KINDS, scope="module")
def language(request: pytest.FixtureRequest) -> Iterator[LanguageModel]:
    kind, changes, fast = KINDS[request.param]
    shape = SHAPE if kind != "gpt2" else {"vocab_size": 60, "n_embd": 32, "n_layer": 2, "n_head": 4}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **shape, **changes)
    for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
        setattr(config, name, 0.0)
    model = AutoModelForCausalLM.from_config(config).eval()
    if fast:
        accelerate(model)
        windowed = "window" in request.param
        assert (model.config._attn_implementation == NAME) == (not windowed)
    yield LanguageModel(model, tokenizer(), ChatTemplate(tokenizer()))


def layouts(lengths: list[int]) -> list[Layout]:
    generator = torch.Generator().manual_seed(sum(lengths))
    made = []
    for number, length in enumerate(lengths):
        ids = tuple(torch.randint(1, 60, (length,), generator=generator).tolist())
        labels = tuple(-100 if i % 3 == number % 3 else token for i, token in enumerate(ids))
        made.append(Layout(ids, labels, (), id=str(number)))
    return made


def hidden(language: LanguageModel, batch: Batch) -> Tensor:
    return language(language.embed(batch.ids), batch.positions, batch.documents)


def loss(language: LanguageModel, batch: Batch) -> Tensor:
    supervised = batch.targets != -100
    return cross_entropy(language, hidden(language, batch)[supervised], batch.targets[supervised])


@pytest.mark.parametrize("lengths", [[9, 8, 7], [3, 1, 1, 1, 2, 12, 11], [17, 5, 20, 4, 1], [24]])
def test_loss_and_gradients(language: LanguageModel, lengths: list[int]) -> None:
    made = layouts(lengths)
    language.zero_grad()
    packed = loss(language, pack(made, 24))
    packed.backward()
    found = {name: p.grad.clone() for name, p in language.named_parameters() if p.grad is not None}
    language.zero_grad()
    alone = torch.zeros(())
    for layout in made:
        one = loss(language, pack([layout], 24))
        one.backward()
        alone += one.detach()
    torch.testing.assert_close(packed.detach(), alone, atol=1e-5, rtol=1e-5)
    for name, parameter in language.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(
                found[name], parameter.grad, atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
            )


def test_a_changed_token_changes_nothing_in_other_documents(language: LanguageModel) -> None:
    made = layouts([8, 7, 6, 3])
    for grad in (True, False):  # the accelerated path differs in training and in inference
        with torch.set_grad_enabled(grad):
            batch = pack(made, 24)
            before = hidden(language, batch)
            for number in range(len(made)):
                mine = batch.documents == number
                row, column = (int(x) for x in mine.nonzero()[0])
                ids = batch.ids.clone()
                ids[row, column] = (ids[row, column] + 1) % 60
                after = hidden(language, Batch(**{**vars(batch), "ids": ids}))
                assert torch.equal(after[~mine], before[~mine])
                assert not torch.allclose(after[mine], before[mine])


def test_logits_are_the_models_own(language: LanguageModel) -> None:
    """Also where a model scales or caps them."""
    ids = torch.randint(1, 60, (2, 9))
    with torch.no_grad():
        expected = language.model(ids, use_cache=False).logits
        found = language.logits(language(language.embed(ids), torch.arange(9).expand(2, 9)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
