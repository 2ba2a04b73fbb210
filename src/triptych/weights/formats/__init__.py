"""Weights of other projects: recognised by the names in them, carried over in both directions. Importable without torch."""

from triptych.weights.formats.format import Format, Parts
from triptych.weights.formats.recognise import FORMATS, format_called, recognise

__all__ = ["FORMATS", "Format", "Parts", "format_called", "recognise"]
