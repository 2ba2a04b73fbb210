"""`triptych export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.markup import escape
from rich.text import Text

from triptych.cli.options import OverwriteOption, RunArgument
from triptych.console import make_console
from triptych.tables import Column, Table

ORDER = 160


def export(
    run: RunArgument,
    format: Annotated[
        Optional[str],
        typer.Option(
            "--format",
            "-f",
            help="llava, blip2, instructblip, clip, siglip, hf-language, peft or gguf-adapter; without one, what this run "
            "fits into, and what is in the way elsewhere.",
        ),
    ] = None,
    output: Annotated[
        Optional[Path],
        typer.Option("--output", "-o", help="The folder that is written; exported/RUN-FORMAT by default."),
    ] = None,
    dtype: Annotated[
        Optional[str], typer.Option("--dtype", help="float32, bfloat16 or float16; what was trained in by default.")
    ] = None,
    shard: Annotated[str, typer.Option("--shard", help="Largest size of a file of weights.")] = "5GB",
    overwrite: OverwriteOption = False,
) -> None:
    """Write a trained run as a folder for transformers, peft or llama.cpp, with a model card.

    What is loaded from it computes the same logits (`triptych verify formats`). LoRA is merged, weights are safetensors.

    `triptych export runs/llava` shows which formats the run fits into.
    `triptych export runs/llava -f llava` writes LlavaForConditionalGeneration with its processor.
    `triptych export runs/clip-mini -f clip` writes CLIPModel with its processor.
    `triptych export runs/llava -f hf-language --dtype bfloat16` writes the language model alone, LoRA merged.
    `triptych export runs/llava -f gguf-adapter` writes LoRA alone: llama-cli --model BASE.gguf --lora adapter.gguf
    """
    if format is None:
        show_formats(run)
        return
    from triptych.interchange.exporting import export as write
    from triptych.progress import spinner

    folder = output or Path("exported") / f"{run.resolve().name}-{format}"
    with spinner(f"writing {format} …"):
        exported = write(run, format, folder, dtype, shard, overwrite)
    console, size = make_console(), sum(exported.files.values())
    console.print(
        f"written: [bold]{escape(str(exported.folder))}[/], {exported.format.what}, "
        f"{len(exported.files)} files, {size / 1e6:,.1f} MB\n",
        soft_wrap=True,
    )
    console.print(exported.loads, markup=False, highlight=False, soft_wrap=True)


def show_formats(run: Path) -> None:
    """Print which formats a run fits into, and what is in the way of the others."""
    from triptych.interchange.catalogue import FORMATS
    from triptych.interchange.finished import load

    loaded = load(run)
    table = Table([Column("--format", key=True), Column("this run", least=28), Column("what is written", least=28)])
    for format in FORMATS:
        reasons = format.misfits(loaded)
        fits = Text("\n".join(f"- {reason}" for reason in reasons)) if reasons else Text("fits", style="green")
        table.row(format.name, fits, format.what)
    make_console().print(table)
