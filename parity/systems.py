"""Which checks verify which system."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from parity.check import Check
from triptych.errors import TriptychError

LLAMA = "parity.llama:llama"
LINEAR = "parity.llava:llava_linear"
LLAVA = "parity.llava:llava"
QFORMER = "parity.adapters:qformer"
INSTRUCTBLIP_QFORMER = "parity.adapters:instructblip_qformer"
PERCEIVER = "parity.adapters:perceiver"
CONNECTOR = "parity.adapters:connector"
CROSS_ATTENTION = "parity.fusions:gated_cross_attention"
PROMPTS = "parity.fusions:adaption_prompt"
KOSMOS = "parity.kosmos:kosmos2_logits"
GROUNDED = (
    "parity.kosmos_grounding:kosmos2_generation",
    "parity.kosmos_grounding:kosmos2_grid",
)
COORDINATES = "parity.shikra:coordinates"
DETECTORS = (
    "parity.detectors:grounding_dino",
    "parity.detectors:owlvit",
    "parity.detectors:owlv2",
)

SYSTEMS: dict[str, tuple[str, ...]] = {
    "llama": (LLAMA,),
    "llava": (LINEAR, LLAVA),
    "llava-v1.5": (LLAVA,),
    "minigpt4": (QFORMER, LINEAR, LLAMA),
    "minigpt4-v2": (LINEAR, LLAMA),
    "llama-adapter": (PROMPTS, LLAMA),
    "llama-adapter-v2": (PROMPTS, LLAMA),
    "blip-2": (QFORMER, "parity.blip2:retrieval", "parity.blip2:conditional_generation"),
    "flamingo": (PERCEIVER, CROSS_ATTENTION, LLAMA),
    "kosmos-1": (CONNECTOR, KOSMOS),
    "instructblip": (INSTRUCTBLIP_QFORMER, LLAMA),
    "kosmos-2": (CONNECTOR, KOSMOS, *GROUNDED),
    "shikra": (COORDINATES, LINEAR, LLAVA),
    "llava-plus": (LINEAR, LLAVA, *DETECTORS),
    "sam": ("parity.sam:sam_masks", "parity.sam:sam_pictures"),
    "lisa": ("parity.sam:sam_masks", "parity.sam:sam_pictures", LINEAR, LLAMA),
    "clip": ("parity.clip:clip",),
    "eva-clip": ("parity.eva:eva01", "parity.eva:eva01_plain", "parity.eva:eva02"),
    "siglip": ("parity.clip:siglip",),
    "formats": (
        "parity.formats.towers:towers",
        "parity.formats.imports:imported",
        "parity.formats.languages:consolidated",
        "parity.formats.languages:gguf",
        "parity.formats.exports:exported",
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
    parts = [path.partition(":") for path in SYSTEMS[system]]
    return [(function, getattr(importlib.import_module(module), function)) for module, _, function in parts]
