"""What any kind of answer concludes: after its think blocks, in its marks, or announced at the end of an explanation."""

from __future__ import annotations

from collections.abc import Callable

from triptych.evaluate.parsers.cues import statements, taken_back
from triptych.evaluate.parsers.marked import marked, without_style
from triptych.evaluate.parsers.thinking import spoken

Parse = Callable[[str], str | None]


def conclude(text: str, parse: Parse) -> str | None:
    """An answer read by `parse`: what is marked, else the whole, else what is announced ("…, so the answer is 5.").

    Marks or announcements that differ, or of which one cannot be read, make it unparsed.
    """
    said = spoken(text)
    if said is None:
        return None
    boxes = {parse(content) for content in marked(said)}
    if boxes:
        return boxes.pop() if len(boxes) == 1 else None
    whole = parse(said)
    if whole is not None:
        return whole
    said = without_style(said)
    announced, end = set(), 0
    for statement in statements(said):
        announced.add(parse(statement.sentence))
        end = statement.start + len(statement.sentence)
    return announced.pop() if len(announced) == 1 and not taken_back(said[end:]) else None


def final_text(text: str) -> str:
    """An answer without its think blocks, or what is marked in it; empty where it ends inside of a think block.

    An answer without either is returned as it is, to the last space.
    """
    said = spoken(text)
    if said is None:
        return ""
    boxes = set(marked(said))
    if len(boxes) == 1:
        return boxes.pop()
    return text if said == text else said.strip()
