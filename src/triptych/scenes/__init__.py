"""The embedded dataset: pictures composed of glyphs, with exact captions, questions, boxes, masks and relations.

    things.csv ─► things ─► compose ── Scene ──► questions ─► dataset ── Conversation
                            (places, counts)     captions
                   glyphs ─► Scene.draw(), Scene.mask(i)

Everything is a pure function of the settings and an index: no files, no global state, any order, any process.
"""

from triptych.scenes.captions import caption, name_caption
from triptych.scenes.compose import PLACES, VERSION, Object, Scene, Settings, compose
from triptych.scenes.config import KINDS, ScenesConfig, Split
from triptych.scenes.dataset import Scenes
from triptych.scenes.glyphs import Glyphs
from triptych.scenes.pairs import Cast, held_out
from triptych.scenes.questions import Question, ask
from triptych.scenes.things import Thing, all_things, select

__all__ = [
    "KINDS",
    "PLACES",
    "VERSION",
    "Cast",
    "Glyphs",
    "Object",
    "Question",
    "Scene",
    "Scenes",
    "ScenesConfig",
    "Settings",
    "Split",
    "Thing",
    "all_things",
    "ask",
    "caption",
    "compose",
    "held_out",
    "name_caption",
    "select",
]
