"""Conversations, their parts, and regions: the types that every other floor speaks in."""

from triptych.conversation.conversation import (
    Conversation,
    Message,
    Part,
    Role,
    assistant,
    document,
    system,
    user,
)
from triptych.conversation.image import Image
from triptych.conversation.mask import Mask
from triptych.conversation.medium import Limits, Medium
from triptych.conversation.region import NORMALISED, THOUSANDTHS, Frame, Region

__all__ = [
    "NORMALISED",
    "THOUSANDTHS",
    "Conversation",
    "Frame",
    "Image",
    "Limits",
    "Mask",
    "Medium",
    "Message",
    "Part",
    "Region",
    "Role",
    "assistant",
    "document",
    "system",
    "user",
]
