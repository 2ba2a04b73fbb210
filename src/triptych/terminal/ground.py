"""Pointing from the terminal: expressions in, regions as JSON and a drawn picture out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from triptych.api import Model, load
from triptych.conversation import Image, Region
from triptych.errors import DataError, RecipeError
from triptych.grounding.build import build_grounder
from triptych.grounding.draw import draw_regions
from triptych.grounding.grounding import Describer, Grounding
from triptych.grounding.serial import grounding_values
from triptych.terminal.picture import as_blocks

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""What a drawing can be saved as."""


def ground(run: Path, image: Path, expressions: Sequence[str], output: Path | None) -> None:
    """Find expressions in a picture: JSON to the standard output, boxes in the picture's own pixels.

    Args:
        run: The folder of a run whose model points.
        image: The picture.
        expressions: What to find; none asks for a grounded caption.
        output: Where to save the picture with everything found drawn on it.

    Raises:
        RecipeError: The model does not point, or describes nothing.
        DataError: The picture cannot be read, or the drawing cannot be saved.
    """
    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise DataError(f"--output {output}: expected a file of one of the kinds {', '.join(SUFFIXES)}")
    console = Console(stderr=True)
    picture = Image(image)
    pixels = picture.open()
    with console.status(f"loading {run}"):
        model = load(run)
    asked, found = point(model, picture, expressions)
    answers = [
        {"expression": text, **grounding_values(each)} if expressions else grounding_values(each)
        for text, each in zip(asked, found, strict=True)
    ]
    told = {"image": str(image), "size": list(pixels.size), "found": answers}
    sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    drawn = draw_regions(pixels, named(asked, found))
    if output is not None:
        save(drawn, output)
        console.print(f"drawn: {output}", highlight=False)
    if console.is_terminal:
        console.print(as_blocks(drawn, min(80, console.width)))


def point(model: Model, picture: Image, expressions: Sequence[str]) -> tuple[Sequence[str], list[Grounding]]:
    """What was asked, and what a model found: expressions, or a grounded caption where there is none.

    Raises:
        RecipeError: The model does not point, or describes nothing.
    """
    grounder = build_grounder(model)
    if expressions:
        return expressions, grounder.ground_many([(picture, text) for text in expressions])
    if not isinstance(grounder, Describer):
        raise RecipeError(f"{model.recipe.name} describes no pictures with regions; say what to look for")
    return [""], grounder.describe_many([picture])


def named(asked: Sequence[str], found: Sequence[Grounding]) -> list[Region]:
    """Everything found, named by what was asked for; in a caption, by its phrases."""
    return [
        replace(region, name=text or region.name)
        for text, each in zip(asked, found, strict=True)
        for region in each.regions
    ]


def save(drawn: object, path: Path) -> None:
    """Write a drawing, whole or not at all.

    Raises:
        DataError: It cannot be written.
    """
    import io

    from triptych.files import write_atomically

    buffer = io.BytesIO()
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(path.suffix.lower(), "PNG")
    drawn.save(buffer, kind)  # type: ignore[attr-defined]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
