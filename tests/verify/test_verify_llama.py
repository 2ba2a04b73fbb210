"""LLaMA and LLaVA compute what transformers computes; and the comparison notices when they do not."""

from __future__ import annotations

import pytest
import torch

from parity import llama, llava
from parity.compare import largest_difference


def test_llama_equals_its_reference() -> None:
    found = list(llama.llama())
    assert all(check.equal for check in found), found
    assert {"LLaMA: logits of documents packed in one row", "LLaMA: tokens of cached generation that differ"} <= {
        c.what for c in found
    }


def test_llava_equals_its_reference() -> None:
    found = [*llava.llava(), *llava.llava_linear()]
    assert all(check.equal for check in found), found


def test_a_changed_weight_is_noticed() -> None:
    theirs, ours = llama.reference(1), llama.language_model(llama.reference(2))
    llama.carry(theirs, ours, llama.NAMES)
    ids = torch.arange(8)[None]
    with torch.inference_mode():
        expected = theirs(ids).logits
        ours.model.model.layers[1].mlp.up_proj.weight[0, 0] += 0.1
        assert largest_difference([llama.logits(ours, ids)], [expected]) > 1e-4


def test_documents_that_saw_each_other_would_be_noticed() -> None:
    ours = llama.language_model(llama.reference(1))
    documents = [torch.arange(5), torch.arange(20, 29)]
    ids, positions, numbers = llama.pack(documents)
    with torch.inference_mode():
        packed = llama.logits(ours, ids, positions, numbers)
        merged = llama.logits(ours, ids, positions, torch.zeros_like(numbers))
    assert largest_difference([packed], [merged]) > 1e-2


def test_a_parameter_without_a_counterpart_is_an_error() -> None:
    from triptych.errors import WeightsError

    with pytest.raises(WeightsError, match="no counterpart"):
        llama.NAMES.ours({"vision.weight": torch.zeros(1)})
