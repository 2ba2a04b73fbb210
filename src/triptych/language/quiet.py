"""See `triptych.weights.quiet`."""

from triptych.weights.quiet import quiet, silent

__all__ = ["quiet", "silent"]
