"""Hidden states of any level and spread come out alike, and nothing depends on how a step was cut."""

from __future__ import annotations

import torch
from torch import Tensor

from triptych.decoders.standardise import PRIOR, Standardise


def states(count: int, seed: int) -> Tensor:
    """A few channels far larger than the rest, and nearly the same for every state."""
    drawn = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return drawn * torch.tensor([0.1, 1.0, 3.0, 0.5, 1.0, 2.0]) + torch.tensor([32.0, 0.0, -8.0, 0.0, 0.3, 5.0])


def test_states_come_out_with_mean_zero_and_deviation_one() -> None:
    standardise = Standardise(6).train()
    for step in range(200):
        standardise(states(400, step))
        standardise.after_step()
    out = standardise.eval()(states(4000, 1000))
    assert out.mean(dim=0).abs().max() < 0.1
    torch.testing.assert_close(out.std(dim=0)[1:], torch.ones(5), rtol=0.1, atol=0)
    assert 0.4 < out.std(dim=0)[0] < 1  # what hardly varies is not blown up: a step counts some states of deviation 1


def test_one_step_is_the_mean_and_the_variance_with_a_prior() -> None:
    standardise, seen = Standardise(6).train(), states(50, 0)
    standardise(seen)
    standardise.after_step()
    torch.testing.assert_close(standardise.mean, seen.mean(dim=0))
    expected = (seen.var(dim=0, unbiased=False) * 50 + PRIOR) / (50 + PRIOR)
    torch.testing.assert_close(standardise.variance, expected, rtol=1e-3, atol=1e-4)


def test_a_step_in_parts_learns_and_computes_the_same() -> None:
    whole, parts = Standardise(6).train(), Standardise(6).train()
    for step in range(3):
        seen = states(30, step)
        together = whole(seen)
        apart = torch.cat([parts(part) for part in (seen[:7], seen[7:8], seen[8:])])
        torch.testing.assert_close(apart, together, rtol=1e-3, atol=1e-3)
        whole.after_step()
        parts.after_step()
    torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(parts.variance, whole.variance, rtol=1e-3, atol=1e-3)


def test_nothing_is_learned_in_use_or_from_a_step_without_states() -> None:
    standardise = Standardise(6).train()
    standardise(states(20, 0))
    standardise.after_step()
    before = {name: buffer.clone() for name, buffer in standardise.named_buffers()}
    standardise.eval()(states(20, 1))
    standardise.after_step()
    standardise.train().after_step()
    assert {name: buffer.tolist() for name, buffer in standardise.named_buffers()} == {
        name: buffer.tolist() for name, buffer in before.items()
    }


def test_ranks_learn_from_all_states(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """What two ranks see apart is what one sees together."""
    from triptych.decoders import standardise as module

    seen = states(40, 0)
    alone, first, second = (Standardise(6).train() for _ in range(3))
    alone(seen)
    alone.after_step()
    first(seen[:25])
    second(seen[25:])
    both = first.seen + second.seen
    monkeypatch.setattr(module, "sum_over_ranks", lambda tensors: [tensor.copy_(both) for tensor in tensors])
    first.after_step()
    second.after_step()
    torch.testing.assert_close(first.mean, alone.mean)
    torch.testing.assert_close(second.variance, alone.variance, rtol=1e-3, atol=1e-3)


def test_statistics_are_saved_and_sums_are_not() -> None:
    assert set(Standardise(6).state_dict()) == {"mean", "variance", "steps"}
