"""Which format a state dict is in, told by the names in it."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from triptych.errors import WeightsError
from triptych.weights.formats import eva, open_clip, transformers
from triptych.weights.formats.format import Format

FORMATS: tuple[Format, ...] = (
    transformers.CLIP,
    transformers.SIGLIP,
    transformers.CLIP_VISION_ALONE,
    transformers.CLIP_VISION_BARE,
    transformers.SIGLIP_VISION_ALONE,
    transformers.SIGLIP_VISION_BARE,
    transformers.BLIP2,
    transformers.BLIP2_BARE,
    open_clip.OPENAI,
    open_clip.CUSTOM_TEXT,
    open_clip.SIGLIP,
    eva.EVA01_CLIP,
    eva.EVA01_CLIP_FLAT,
    eva.EVA01_OPEN_CLIP,
    eva.EVA01_TOWER,
    eva.EVA02_CLIP,
    eva.EVA02_CLIP_FLAT,
    eva.EVA02_OPEN_CLIP,
    eva.EVA02_TOWER,
    eva.EVA02_TIMM,
)
"""All of them. Where the marks of two are there, the one with more marks is meant: a whole model has its tower's too."""


def recognise(names: Collection[str], where: str) -> Format:
    """The format of tensors with these names.

    Args:
        names: Of the tensors.
        where: They come from, for the message.

    Raises:
        WeightsError: They are in no known format; the message says what the nearest one lacks.
    """
    there = set(names)
    fitting = [known for known in FORMATS if there.issuperset(known.marks)]
    if fitting:
        return max(fitting, key=lambda known: len(known.marks))
    nearest = max(FORMATS, key=lambda known: len(there.intersection(known.marks)) / len(known.marks))
    lacking = [mark for mark in nearest.marks if mark not in there]
    near = "" if len(lacking) == len(nearest.marks) else f"; for {nearest.name} it lacks {', '.join(lacking)}"
    begins = ", ".join(sorted(there)[:3]) or "nothing"
    raise WeightsError(
        f"{where}: its {len(there)} tensors (the first are {begins}) are in no known format{near}\n"
        f"Known are {', '.join(known.name for known in FORMATS)}."
    )


def format_called(name: str) -> Format:
    """The format of a name.

    Raises:
        WeightsError: There is none; the message has the nearest.
    """
    found = {known.name: known for known in FORMATS}
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        raise WeightsError(f"no format is called {name!r}{f'; did you mean {near[0]}?' if near else ''}")
    return found[name]
