"""What people see in the terminal."""

from triptych.console import make_console as console

__all__ = ["console"]
