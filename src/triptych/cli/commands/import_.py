"""`triptych import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.markup import escape

from triptych.cli.options import OverwriteOption
from triptych.console import make_console

ORDER = 170


def import_(
    folder: Annotated[str, typer.Argument(help="A model's folder, or its URI (hf:ORG/NAME).", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The run's folder that is written.")],
    precision: Annotated[
        Optional[str], typer.Option("--precision", help="float32 or bfloat16; that of the weights by default.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Make a run of a LLaVA, BLIP-2, InstructBLIP, Kosmos-2, Idefics, CLIP or SigLIP in the hub's format.

    `triptych import models/llava-1.5-7b-hf -o runs/llava-1.5` makes a run to ask, evaluate and train on:
    `triptych ask runs/llava-1.5 "What is this?" --image picture.png`
    `triptych import models/clip-vit-base-patch32 -o runs/clip-b32` makes one that compares pictures with texts:
    `triptych match runs/clip-b32 --image picture.png "a cat" "a dog"`

    To train it further, a recipe says `extends: RUN/recipe.yaml`, `base: RUN` and `model: {start: "run:."}`.

    Parts need no import. A recipe names them where they are (`weights: file:FOLDER`): language models of the hub, GGUF files,
    LLaMA's `consolidated` shards; towers of CLIP, SigLIP, DINOv2, EVA-CLIP, of OpenAI, open_clip or timm.
    """
    from triptych.interchange.importing import import_model
    from triptych.progress import spinner

    with spinner(f"reading {folder} …"):
        imported = import_model(folder, output, precision, overwrite)
    console, run = make_console(), imported.run
    console.print(f"written: [bold]{escape(str(run))}[/], a {imported.system} as a run")
    for note in imported.notes:
        console.print(f"  {note}", markup=False, highlight=False)
    example = f'triptych ask {run} "What is this?" --image picture.png'
    further = f"extends: {run}/recipe.yaml  and  model: {{start: run:{run}}}"
    if imported.dual:
        example = f'triptych match {run} --image picture.png "a cat" "a dog"'
        further = f"model: {{kind: dual, vision: {{kind: vit, weights: run:{run}}}, …}}"
        further += f"\na recipe that looks with it:  encoders: {{image: {{kind: vit, weights: run:{run}}}}}"
    text = f"\n{example}\na recipe that trains it further:  {further}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)
