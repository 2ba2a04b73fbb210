"""Showing a record as it is: its messages and its media."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from triptych.console import make_console
from triptych.conversation import Conversation
from triptych.preview.picture import as_blocks


def show_record(conversation: Conversation, name: str, save: Path | None) -> None:
    """Print the messages of a record, and its pictures as blocks.

    Args:
        conversation: The record.
        name: Its dataset.
        save: Where its first picture goes.

    Raises:
        DataError: A picture cannot be read.
    """
    console = make_console()
    for number, medium in enumerate(conversation.media):
        picture = medium.open()
        if console.is_terminal:
            console.print(as_blocks(picture, min(64, console.width)))
        if save is not None and number == 0:
            picture.save(save)
        console.print(f"{escape(str(medium))}: {picture.width} × {picture.height} pixels", highlight=False)
    for message in conversation.messages:
        console.print(f"[bold]{escape(message.role)}[/] › {escape(message.text)}", highlight=False)
    console.print(escape(f"{name} {conversation.id}"), highlight=False)
