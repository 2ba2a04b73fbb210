"""Which checks verify which system."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from triptych.errors import TriptychError
from triptych.verify.check import Check

LLAMA = "triptych.verify.llama:llama"
LINEAR = "triptych.verify.llava:llava_linear"
LLAVA = "triptych.verify.llava:llava"
QFORMER = "triptych.verify.adapters:qformer"
INSTRUCTBLIP_QFORMER = "triptych.verify.adapters:instructblip_qformer"
PERCEIVER = "triptych.verify.adapters:perceiver"
CONNECTOR = "triptych.verify.adapters:connector"
CROSS_ATTENTION = "triptych.verify.fusions:gated_cross_attention"
PROMPTS = "triptych.verify.fusions:adaption_prompt"
KOSMOS = "triptych.verify.kosmos:kosmos2_logits"
GROUNDED = (
    "triptych.verify.kosmos_grounding:kosmos2_generation",
    "triptych.verify.kosmos_grounding:kosmos2_grid",
)
COORDINATES = "triptych.verify.shikra:coordinates"
DETECTORS = (
    "triptych.verify.detectors:grounding_dino",
    "triptych.verify.detectors:owlvit",
    "triptych.verify.detectors:owlv2",
)

SYSTEMS: dict[str, tuple[str, ...]] = {
    "llama": (LLAMA,),
    "llava": (LINEAR, LLAVA),
    "llava-v1.5": (LLAVA,),
    "minigpt4": (QFORMER, LINEAR, LLAMA),
    "minigpt4-v2": (LINEAR, LLAMA),
    "llama-adapter": (PROMPTS, LLAMA),
    "llama-adapter-v2": (PROMPTS, LLAMA),
    "blip-2": (QFORMER, "triptych.verify.blip2:retrieval", "triptych.verify.blip2:conditional_generation"),
    "flamingo": (PERCEIVER, CROSS_ATTENTION, LLAMA),
    "kosmos-1": (CONNECTOR, KOSMOS),
    "instructblip": (INSTRUCTBLIP_QFORMER, LLAMA),
    "kosmos-2": (CONNECTOR, KOSMOS, *GROUNDED),
    "shikra": (COORDINATES, LINEAR, LLAVA),
    "llava-plus": (LINEAR, LLAVA, *DETECTORS),
    "sam": ("triptych.verify.sam:sam_masks", "triptych.verify.sam:sam_pictures"),
    "lisa": ("triptych.verify.sam:sam_masks", "triptych.verify.sam:sam_pictures", LINEAR, LLAMA),
    "clip": ("triptych.verify.clip:clip",),
    "eva-clip": ("triptych.verify.eva:eva01", "triptych.verify.eva:eva01_plain", "triptych.verify.eva:eva02"),
    "siglip": ("triptych.verify.clip:siglip",),
    "formats": (
        "triptych.verify.formats.towers:towers",
        "triptych.verify.formats.imports:imported",
        "triptych.verify.formats.languages:consolidated",
        "triptych.verify.formats.languages:gguf",
        "triptych.verify.formats.exports:exported",
    ),
}
"""System → `module:function` of its checks, imported when they run."""

COMPONENTS = ("sam", "formats")
"""Those of them that have no preset: a part of other systems, and what checkpoints come in and go out in."""


class UnknownSystem(TriptychError):
    """There is no system of that name."""


def system_of(name: str) -> str:
    """The system behind the name of a system or of one of its presets (`llava-mini`, `llama-13b`).

    Raises:
        UnknownSystem: There is none; the message has the nearest one and all names.
    """
    base = name.removesuffix("-mini")
    base = "llama" if base in {"llama-7b", "llama-13b", "llama-33b", "llama-65b"} else base
    base = "blip-2" if base in {"blip2", "blip2-opt-2.7b"} else base
    if base not in SYSTEMS:
        from triptych.recipe.messages import unknown_name

        raise UnknownSystem(f"system {unknown_name(name, [*SYSTEMS, 'all'])}")
    return base


def checks(system: str) -> list[tuple[str, Callable[[], Iterator[Check]]]]:
    """The named checks of a system. What cannot be imported is an error: a check is never left out silently."""
    found = []
    for path in SYSTEMS[system]:
        module, _, function = path.partition(":")
        found.append((function, getattr(importlib.import_module(module), function)))
    return found
