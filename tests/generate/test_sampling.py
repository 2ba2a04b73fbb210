"""Choosing a token: what top-k and the nucleus leave, and how often each is drawn."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.generate.config import GenerationSettings
from triptych.generate.sampling import choose

logit_rows = st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=12)


def draws(logits: list[float], count: int = 300, **changes: float) -> list[int]:
    chosen = GenerationSettings(**({"temperature": 1.0} | changes))
    rows = torch.tensor(logits).expand(count, -1)
    return choose(rows, chosen, [torch.Generator().manual_seed(i) for i in range(count)]).tolist()


@given(logit_rows)
def test_greedy_takes_the_most_likely(logits: list[float]) -> None:
    assert logits[draws(logits, 1, temperature=0)[0]] == max(logits)


@settings(max_examples=50, deadline=None)
@given(logit_rows, st.integers(1, 12))
def test_top_k_leaves_the_k_most_likely(logits: list[float], k: int) -> None:
    allowed = sorted(logits, reverse=True)[:k]
    assert all(logits[token] >= min(allowed) for token in draws(logits, 100, top_k=k))


@settings(max_examples=50, deadline=None)
@given(logit_rows, st.floats(0.05, 0.99))
def test_the_nucleus_is_the_smallest_set_that_holds_its_share(logits: list[float], share: float) -> None:
    """By the definition: a token is out when those strictly before it hold the share already."""
    probabilities = torch.tensor(logits, dtype=torch.float64).softmax(-1)
    for token in set(draws(logits, 100, top_p=share)):
        more_likely = float(probabilities[probabilities > probabilities[token]].sum())
        assert more_likely < share + 1e-6


def test_a_tiny_nucleus_is_greedy() -> None:
    assert set(draws([0.0, 3.0, 1.0], top_p=1e-6)) == {1}


def test_draws_follow_the_probabilities() -> None:
    logits = [0.0, 1.0, 2.0]
    found = torch.bincount(torch.tensor(draws(logits, 4000)), minlength=3) / 4000
    torch.testing.assert_close(found, torch.tensor(logits).softmax(-1), atol=0.03, rtol=0)
    cold = torch.bincount(torch.tensor(draws(logits, 4000, temperature=0.5)), minlength=3) / 4000
    torch.testing.assert_close(cold, (torch.tensor(logits) / 0.5).softmax(-1), atol=0.03, rtol=0)


def test_bfloat16_logits_are_sampled_in_float32() -> None:
    rows = torch.zeros(2, 5, dtype=torch.bfloat16)
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    assert choose(rows, GenerationSettings(temperature=1.0, top_p=0.9, top_k=3), generators).shape == (2,)
