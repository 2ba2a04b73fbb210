"""Layer-wise decay of the learning rate (Clark et al., 2020; as in BEiT and EVA): lower layers learn slower."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LAYER = re.compile(r"(?:^|\.)(?:blocks|layers|h)\.(\d+)\.")

_FRONT = frozenset(
    "patches positions class_token mask_token norm_pre words embed_tokens embeddings patch_embed wte wpe".split()  # noqa: SIM905
)
"""What stands in front of the first layer, by the names of its modules and parameters."""


def layer_factors(names: Iterable[str], decay: float) -> dict[str, float]:
    """What the rate of each parameter of a part is multiplied with.

    Of L layers, layer i (from 0) has decay^(L - i), what stands in front of them decay^(L + 1), all behind them 1.
    """
    names = list(names)
    found = {name: _LAYER.search(name) for name in names}
    layers = 1 + max((int(match.group(1)) for match in found.values() if match), default=-1)
    factors = {}
    for name, match in found.items():
        if match:
            factors[name] = decay ** (layers - int(match.group(1)))
        else:
            factors[name] = decay ** (layers + 1) if _FRONT & set(name.split(".")) else 1.0
    return factors
