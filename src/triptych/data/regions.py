"""What a conversation says is somewhere in its picture."""

from __future__ import annotations

from triptych.conversation import Conversation, Frame, Region
from triptych.sequence.plan import Refusal


def regions_of(conversation: Conversation) -> list[Region]:
    """Everything that a conversation says is somewhere, each thing with its name.

    Scenes bring all their things as `annotations["scene"]`; other data say it with expressions
    (`annotations["grounding"]`, `annotations["grounded_caption"]`), or by regions with names in the assistant's messages.

    Raises:
        Refusal: Nothing is said to be anywhere.
    """
    facts = conversation.annotations
    found: list[Region] = []
    if "scene" in facts:
        frame = Frame(*facts["scene"]["size"])
        found = [Region(tuple(thing["box"]), frame, thing["name"]) for thing in facts["scene"]["objects"]]
    else:
        expressions = [*facts.get("grounding", ()), *facts.get("grounded_caption", ())]
        found = [Region(region.box, region.frame, region.name or e.text) for e in expressions for region in e.regions]
        if not expressions:
            parts = [part for message in conversation.messages if message.role == "assistant" for part in message.parts]
            found = [part for part in parts if isinstance(part, Region) and part.name]
    found = [region for region in dict.fromkeys(found) if not region.is_degenerate]
    if not found:
        raise Refusal("no boxes", f"{conversation.id}: nothing in it has a name and a box")
    return found
