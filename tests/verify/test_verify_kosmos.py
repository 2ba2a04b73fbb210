"""Kosmos-2 agrees with transformers, and the comparison notices when it does not."""

from __future__ import annotations

import pytest
import torch

from parity import kosmos


def test_logits_agree_in_both_directions_and_packed() -> None:
    checks = list(kosmos.kosmos2_logits())
    assert len(checks) == 3
    for check in checks:
        assert check.equal, f"{check.what}: {check.difference}"


@pytest.mark.parametrize("name", ["image_to_text_projection.latent_query", "vision_model.model.post_layernorm.bias"])
def test_one_changed_tensor_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load = kosmos.load

    def changed(model: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
        (ours,) = kosmos.KOSMOS2.ours({name: torch.zeros(1)})
        load(model, state | {ours: state[ours] + 0.1})  # type: ignore[arg-type]

    monkeypatch.setattr(kosmos, "load", changed)
    assert not next(kosmos.kosmos2_logits()).equal
