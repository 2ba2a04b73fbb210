"""Which number type an encoder computes in."""

from __future__ import annotations

import torch

from triptych.encoders.config import Precision


def resolve(precision: Precision) -> torch.dtype:
    """The type that a config's `precision` means on this machine."""
    match precision:
        case "float32":
            return torch.float32
        case "bfloat16":
            return torch.bfloat16
        case "auto":
            return torch.bfloat16 if fast_bfloat16() else torch.float32


def fast_bfloat16() -> bool:
    """Whether bfloat16 is faster than float32 here: a GPU that has it, else a CPU with instructions for it.

    A CPU without them computes convolutions in bfloat16 many times slower than in float32.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # public only from some versions on
    return bool(supported is not None and supported())
