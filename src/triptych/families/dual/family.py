"""Dual encoders: CLIP, EVA-CLIP, SigLIP."""

from __future__ import annotations

from triptych.families.dual.build import build_dual
from triptych.families.dual.inspect import inspect_dual
from triptych.families.dual.loaded import Dual
from triptych.families.dual.model import DualEncoder
from triptych.families.dual.plan import plan_dual
from triptych.families.dual.shape import build_dual_shape
from triptych.families.pairs import PairFamily


class DualFamily(PairFamily[DualEncoder]):
    """See `Family`."""

    loaded = Dual
    build = staticmethod(build_dual)
    shape = staticmethod(build_dual_shape)
    plan = staticmethod(plan_dual)
    inspect = staticmethod(inspect_dual)
