"""Exporting: is it finished, does it fit, write it whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triptych.files import written_folder
from triptych.interchange.card import card
from triptych.interchange.catalogue import FORMATS, format_called
from triptych.interchange.errors import ExportError
from triptych.interchange.finished import Finished, load
from triptych.interchange.format import Format
from triptych.weights.quiet import silent

SHARD = "5GB"
"""Size of a file of weights where nothing else is said."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        folder: Where.
        format: In which format.
        files: Names and sizes in bytes.
        loads: Python that loads it.
    """

    folder: Path
    format: Format
    files: dict[str, int]
    loads: str


def export(
    run: Path,
    format: str,
    output: Path,
    dtype: str | None = None,
    shard: str = SHARD,
    overwrite: bool = False,
) -> Exported:
    """Write a finished run as a folder that another library loads.

    Args:
        run: The run's folder.
        format: A name out of `FORMATS`.
        output: The folder that is written; it appears when it is complete.
        dtype: `float32`, `bfloat16` or `float16`; None takes what the language model or the towers were trained in.
        shard: Weights are cut into files of at most this size.
        overwrite: Whether a folder that is there may be replaced.

    Raises:
        UnknownFormat: There is no such format.
        ExportError: The run does not fit (the message says what, and which formats would), transformers would read
            conversations otherwise, or the folder is there.
        WeightsError: The run is not finished.
    """
    wanted = format_called(format)
    if output.exists() and not overwrite:
        raise ExportError(f"{output}: is there already; choose another --output, or replace it with --overwrite")
    loaded = load(run, dtype)
    if reasons := wanted.misfits(loaded):
        raise ExportError(_refusal(loaded, wanted, reasons))
    with written_folder(output) as folder, silent():
        loads = wanted.write(loaded, folder, shard)
        if (difference := wanted.differs(loaded, folder)) is not None:
            raise ExportError(
                f"{run}: transformers would read other tokens than the run did, of {difference}; "
                "choose another model.language.chat_template"
            )
        (folder / "README.md").write_text(card(loaded, wanted, loads, output.name), encoding="utf-8")
        files = {
            str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()
        }
    return Exported(output, wanted, files, loads.replace("FOLDER", repr(str(output))))


def _refusal(run: Finished, wanted: Format, reasons: list[str]) -> str:
    fitting = [other for other in FORMATS if other != wanted and not other.misfits(run)]
    lines = [f"{run.path}: does not fit into the format {wanted.name!r} ({wanted.what}):"]
    lines += [f"  {reason}" for reason in reasons]
    lines += (
        ["It would fit into: " + "; ".join(f"{other.name} ({other.what})" for other in fitting)]
        if fitting
        else ["None of the other formats can hold it, either."]
    )
    return "\n".join(lines)
