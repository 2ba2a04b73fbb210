"""Whole multimodal models in the hub's format as runs of Triptych, to ask, evaluate and train on."""

from triptych.importing.parts import ImportFailed
from triptych.importing.run import Imported, import_model

__all__ = ["ImportFailed", "Imported", "import_model"]
