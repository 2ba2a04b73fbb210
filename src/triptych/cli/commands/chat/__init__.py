"""`triptych chat`."""

from triptych.cli.commands.chat.command import ORDER, chat

__all__ = ["ORDER", "chat"]
