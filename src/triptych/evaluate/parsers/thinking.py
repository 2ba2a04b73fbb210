"""What a model says when it has finished thinking: think blocks taken out of an answer.

<think>It may be A. But no.</think>\\n\\nB   →   B
It may be A. But no.</think>B               →   B        (the prompt had opened the block)
<think>It may be A. But                     →   nothing  (cut off inside of the block)
"""

from __future__ import annotations

BLOCKS = (
    ("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>"), ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"), ("<reason>", "</reason>"), ("<seed:think>", "</seed:think>"), ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"), ("<|begin_of_thought|>", "<|end_of_thought|>"), ("<|channel>thought", "<channel|>"),
)  # fmt: skip
"""What opens and closes a block, in lower case: Qwen, DeepSeek, GLM; Seed; Magistral; Kimi; OpenThinker; Gemma."""

_FINAL = ("<|channel|>final<|message|>", "assistantfinal")
_CHANNELS = ("<|channel|>analysis", "<|channel|>commentary")
_SPECIAL = ("<|return|>", "<|end|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "</s>", "<s>", "<|endoftext|>")


def spoken(text: str) -> str | None:
    """The answer without its think blocks, in its own case; `None` where the last block is not closed."""
    lower = _lower(text)
    for mark in _FINAL:  # gpt-oss: everything before its last channel is thought
        if mark in lower and (mark.startswith("<") or lower.lstrip().startswith("analysis")):
            place = lower.rfind(mark) + len(mark)
            return _without_special(text[place:])
    if any(channel in lower for channel in _CHANNELS):
        return None
    for opening, closing in BLOCKS:
        if opening not in lower and closing not in lower:
            continue
        rest = _without(text, lower, opening, closing)
        if rest is None:
            return None
        text, lower = rest, _lower(rest)
    return _without_special(text)


def _without(text: str, lower: str, opening: str, closing: str) -> str | None:
    kept: list[str] = []
    at = 0
    while (start := lower.find(opening, at)) >= 0:
        end = lower.find(closing, start)
        if end < 0:
            return None
        kept.append(text[at:start])
        at = end + len(closing)
    rest = "".join((*kept, text[at:]))
    place = _lower(rest).rfind(closing)  # of a block that the prompt opened
    return rest if place < 0 else rest[place + len(closing) :]


def _without_special(text: str) -> str:
    for end in _SPECIAL:
        text = text.replace(end, " ")
    return text


def _lower(text: str) -> str:
    """Lower case of the same length: some letters have longer lower cases."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
