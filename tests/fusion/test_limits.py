"""The list of model types that prompts cannot go into is what transformers has."""

from __future__ import annotations

import pytest
import torch

from triptych.language.layers import attention_of, decoder_layers
from triptych.fusion.limits import FUSED


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(FUSED))
def test_these_have_no_keys_and_values_of_their_own(kind: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        try:
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, num_hidden_layers=2))
        except AttributeError as error:
            pytest.skip(f"this transformers cannot build a {kind} from its own defaults: {error}")
    assert any(attention_of(layer) is None for layer in decoder_layers(model))
