"""`triptych ground`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from triptych.cli.options import RunArgument
from triptych.console import make_console
from triptych.errors import DataError, RecipeError

if TYPE_CHECKING:
    from triptych.conversation import Image
    from triptych.grounding.grounding import Grounder, Grounding

ORDER = 50

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""What a drawing can be saved as."""

UNTAUGHT = (
    "the caption has no regions. A model gives grounded captions if it was trained on some: data of `kind: referring` with a "
    "share of `caption` in `kinds`, or of `kind: flickr30k_entities` with `style: captions`"
)
"""Printed for a caption that points at nothing."""


def ground(
    run: RunArgument,
    expressions: Annotated[
        Optional[list[str]],
        typer.Argument(help="What to find, such as 'the red apple'; without any, a caption with regions."),
    ] = None,
    image: Annotated[Optional[Path], typer.Option("--image", "-i", help="The picture.", show_default=False)] = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Save the picture with what was found drawn on it.")
    ] = None,
) -> None:
    """Point at things in a picture: regions as JSON, in the picture's own pixels, and a drawing."""
    if image is None:
        raise typer.BadParameter("say which picture: --image picture.png")
    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise DataError(f"--output {output}: expected a file of one of the kinds {', '.join(SUFFIXES)}")
    from triptych.api import load
    from triptych.conversation import Image
    from triptych.grounding.draw import draw_regions
    from triptych.grounding.grounding import encodable
    from triptych.grounding.serial import grounding_values
    from triptych.preview.picture import as_blocks, save
    from triptych.progress import spinner

    console = make_console(stderr=True)
    texts = [encodable(text) for text in expressions or ()]
    picture = Image(image)
    pixels = picture.open()
    with spinner(f"loading {run}", console):
        grounder: Grounder = load(run).require("grounds", str(run)).grounder()
    groundings = point(grounder, picture, texts, str(run))
    values = [grounding_values(grounding) for grounding in groundings]
    if texts:
        values = [{"expression": text, **value} for text, value in zip(texts, values, strict=True)]
    answer = {"image": encodable(str(image)), "size": list(pixels.size), "found": values}
    sys.stdout.write(as_json(answer) + "\n")
    if not texts and not groundings[0].regions:
        console.print(UNTAUGHT, highlight=False)
    names = texts or [""]  # regions of a caption are named by its phrases
    regions = [
        replace(region, name=name or region.name)
        for name, grounding in zip(names, groundings, strict=True)
        for region in grounding.regions
    ]
    drawn = draw_regions(pixels, regions)
    if output is not None:
        save(drawn, output)
        console.print(f"drawn: {output}", highlight=False, markup=False)
    if console.is_terminal:
        console.print(as_blocks(drawn, min(80, console.width)))


def point(grounder: Grounder, picture: Image, expressions: Sequence[str], run: str) -> list[Grounding]:
    """A grounding for each expression; the one of a caption where there is none.

    Raises:
        RecipeError: The model describes nothing.
    """
    from triptych.grounding.grounding import Describer

    if expressions:
        return grounder.ground_many([(picture, text) for text in expressions])
    if not isinstance(grounder, Describer):
        raise RecipeError(f"{run} describes no pictures with regions; say what to look for")
    return grounder.describe_many([picture])


def as_json(values: object) -> str:
    """JSON to be read by people, too: indented, but a list of numbers (a box, a size) on one line."""
    text = json.dumps(values, indent=2, ensure_ascii=False)
    # No string spans lines, so a bracket at the end of one opens a list.
    return re.sub(r"\[\n[^\[\]{}\"]*\]", lambda numbers: f"[{' '.join(numbers[0][1:-1].split())}]", text)
