"""Scenes with referring expressions: what is meant by "the dog above the cup", as exact boxes and masks.

Scene ──► expressions ── Expression(text, regions, kind) ──► dataset ── Conversation with Region parts
          (name, place, relation, order, all, none)           + grounded captions, regions in questions
"""

from triptych.scenes.referring.config import REFERRING_KINDS, ReferringConfig
from triptych.scenes.referring.dataset import Referring

__all__ = ["REFERRING_KINDS", "Referring", "ReferringConfig"]
