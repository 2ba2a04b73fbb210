"""Formats of foreign checkpoints, a file for each system: names of tensors and fields of configurations, both ways.

Pure functions of names, configurations and tensors, which know no model of ours. Importable without torch.
"""

from triptych.formats.format import Format, Parts
from triptych.formats.recognise import DUALS, FORMATS, VISION, config_of, recognise, values_of
from triptych.formats.shapes import Dual, Shape

__all__ = [
    "DUALS",
    "FORMATS",
    "VISION",
    "Dual",
    "Format",
    "Parts",
    "Shape",
    "config_of",
    "recognise",
    "values_of",
]
