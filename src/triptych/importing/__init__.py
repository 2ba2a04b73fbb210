"""Whole multimodal models in the hub's format as runs of Triptych, to ask, evaluate and train on."""

from triptych.importing.run import Imported, ImportFailed, import_model

__all__ = ["ImportFailed", "Imported", "import_model"]
