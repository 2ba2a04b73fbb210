"""From conversations to rows of embeddings: plan, pack, splice."""

from triptych.sequence.pack import Batch, Document, Placement, pack
from triptych.sequence.plan import IGNORE, Layout, Refusal, Span, plan
from triptych.sequence.splice import splice

__all__ = ["IGNORE", "Batch", "Document", "Layout", "Placement", "Refusal", "Span", "pack", "plan", "splice"]
