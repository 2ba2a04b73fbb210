"""A trained run as a folder that other libraries load: transformers, peft, llama.cpp. Importable without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triptych.export.formats import FORMATS, Format, UnknownFormat, format_called

if TYPE_CHECKING:
    from triptych.export.run import Exported, ExportError, export

__all__ = ["FORMATS", "ExportError", "Exported", "Format", "UnknownFormat", "export", "format_called"]


def __getattr__(name: str) -> Any:
    if name in {"ExportError", "Exported", "export"}:
        from triptych.export import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
