"""BLIP-2's first stage."""

from __future__ import annotations

from triptych.families.pairs import PairFamily
from triptych.families.qformer.build import build_blip2
from triptych.families.qformer.inspect import inspect_qformer
from triptych.families.qformer.loaded import Matcher
from triptych.families.qformer.model import Blip2
from triptych.families.qformer.plan import plan_blip2
from triptych.families.qformer.shape import build_blip2_shape


class QFormerFamily(PairFamily[Blip2]):
    """See `Family`."""

    loaded = Matcher
    build = staticmethod(build_blip2)
    shape = staticmethod(build_blip2_shape)
    plan = staticmethod(plan_blip2)
    inspect = staticmethod(inspect_qformer)
