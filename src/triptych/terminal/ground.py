"""Pointing from the terminal: expressions in, regions as JSON and a drawn picture out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from triptych.api import load
from triptych.console import make_console
from triptych.conversation import Image, Region
from triptych.errors import DataError, RecipeError
from triptych.grounding.draw import draw_regions
from triptych.grounding.grounding import Describer, Grounder, Grounding, encodable
from triptych.grounding.serial import grounding_values
from triptych.preview.picture import as_blocks
from triptych.progress import spinner

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""What a drawing can be saved as."""

UNTAUGHT = (
    "the caption has no regions. A model gives grounded captions if it was trained on some: data of `kind: referring` with a "
    "share of `caption` in `kinds`, or of `kind: flickr30k_entities` with `style: captions`"
)
"""Said of a caption that points at nothing."""


def ground(run: Path, image: Path, expressions: Sequence[str], output: Path | None) -> None:
    """Find expressions in a picture: JSON to the standard output, boxes in the picture's own pixels.

    Args:
        run: The folder of a run whose model points.
        image: The picture.
        expressions: What to find; none asks for a grounded caption.
        output: Where to save the picture with everything found drawn on it.

    Raises:
        RecipeError: The model does not point, or describes nothing.
        DataError: The picture cannot be read.
        FolderError: The drawing cannot be saved.
    """
    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise DataError(f"--output {output}: expected a file of one of the kinds {', '.join(SUFFIXES)}")
    console = make_console(stderr=True)
    expressions = [encodable(text) for text in expressions]
    picture = Image(image)
    pixels = picture.open()
    with spinner(f"loading {run}", console):
        grounder = load_grounder(run)
    asked, found = point(grounder, picture, expressions, str(run))
    answers = [
        {"expression": text, **grounding_values(each)} if expressions else grounding_values(each)
        for text, each in zip(asked, found, strict=True)
    ]
    told = {"image": encodable(str(image)), "size": list(pixels.size), "found": answers}
    sys.stdout.write(as_json(told) + "\n")
    if not expressions and not found[0].regions:
        console.print(UNTAUGHT, highlight=False)
    drawn = draw_regions(pixels, named(asked, found))
    if output is not None:
        save(drawn, output)
        console.print(f"drawn: {output}", highlight=False, markup=False)
    if console.is_terminal:
        console.print(as_blocks(drawn, min(80, console.width)))


def load_grounder(run: Path) -> Grounder:
    """Who points in a run: a model in whichever way it was taught, or a detector.

    Raises:
        WeightsError: The folder is no finished run, or its weights cannot be found.
        RecipeError: The model does not point.
    """
    grounder: Grounder = load(run).require("grounds", str(run)).grounder()
    return grounder


def point(
    grounder: Grounder, picture: Image, expressions: Sequence[str], name: str
) -> tuple[Sequence[str], list[Grounding]]:
    """What was asked, and what was found: expressions, or a grounded caption where there is none.

    Raises:
        RecipeError: It describes nothing.
    """
    if expressions:
        return expressions, grounder.ground_many([(picture, text) for text in expressions])
    if not isinstance(grounder, Describer):
        raise RecipeError(f"{name} describes no pictures with regions; say what to look for")
    return [""], grounder.describe_many([picture])


def named(asked: Sequence[str], found: Sequence[Grounding]) -> list[Region]:
    """Everything found, named by what was asked for; in a caption, by its phrases."""
    return [
        replace(region, name=text or region.name)
        for text, each in zip(asked, found, strict=True)
        for region in each.regions
    ]


def as_json(values: object) -> str:
    """JSON to be read by people, too: indented, but a list of numbers (a box, a size) on one line."""
    text = json.dumps(values, indent=2, ensure_ascii=False)
    # No string spans lines, so a bracket at the end of one opens a list.
    return re.sub(r"\[\n[^\[\]{}\"]*\]", lambda numbers: f"[{' '.join(numbers[0][1:-1].split())}]", text)


def save(drawn: object, path: Path) -> None:
    """Write a drawing, whole or not at all.

    Raises:
        FolderError: It cannot be written.
    """
    import io

    from triptych.files import write_atomically

    buffer = io.BytesIO()
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(path.suffix.lower(), "PNG")
    drawn.save(buffer, kind)  # type: ignore[attr-defined]
    write_atomically(path, buffer.getvalue())
