"""`triptych evaluate`."""

from triptych.cli.commands.evaluate.command import ORDER, evaluate

__all__ = ["ORDER", "evaluate"]
