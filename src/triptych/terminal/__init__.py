"""What people see in the terminal."""

from rich.console import Console


def console() -> Console:
    """Where tables go: standard output."""
    return Console()
