"""The probe's look at precision: whether the layers compute, and learn, in the one that the weights have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from triptych.language.capabilities import Capabilities
from triptych.language.checks import line, read, tokens


def precision(small: Any, capabilities: Capabilities, dtype: torch.dtype) -> Capabilities:
    """Refuse a class whose forward or backward pass does not work in `dtype`.

    Some classes of transformers make tensors in float32 on the way, which their next layer does not take.

    Args:
        small: A small model of the class in float32, made outside inference mode; it is converted.
        capabilities: What is known of it in float32.
        dtype: Precision of the weights.
    """
    small = small.to(dtype)
    for training in (False, True):
        small.train(training)
        try:
            torch.autograd.backward(read(small, capabilities, tokens(small)).float().sum())
        except Exception as error:
            kind = str(dtype).removeprefix("torch.")
            what = "learn" if training else "compute"
            refused = f"its layers do not {what} in {kind} ({line(error)}); set model.language.precision: float32"
            return replace(capabilities, refused=refused)
    return capabilities
