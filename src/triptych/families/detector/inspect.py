"""Showing what a detector learns from one record: its boxes in the square, the cells that show them; and from a batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from triptych.console import make_console
from triptych.data.loader import Draws, Event
from triptych.data.mixture import Mixture
from triptych.data.pairs import picture_of
from triptych.data.regions import regions_of
from triptych.data.sources import build as build_source
from triptych.families.detector.config import DetectionLoss, DetectorModelConfig
from triptych.families.detector.data import boxes_of, in_square
from triptych.families.detector.objective import assign
from triptych.families.detector.phrases import EmbeddedPhrases, bare
from triptych.families.detector.shape import build_detector_shape
from triptych.grounding.draw import draw_regions
from triptych.language.build import load_tokenizer
from triptych.preview.pairs import fit_of, square_of
from triptych.preview.picture import as_blocks
from triptych.recipe import Recipe
from triptych.sequence.plan import Refusal
from triptych.tables import Column, Table
from triptych.training.config import StageConfig

if TYPE_CHECKING:
    from triptych.conversation import Conversation, Image, Region
    from triptych.families.detector.model import OpenVocabularyDetector

PHRASES = 12
"""Phrases of a batch that are listed."""


@dataclass(frozen=True)
class Shown:
    """What the cells of a picture should say.

    Args:
        regions: In the pixels of the square.
        cells: Of each, how many cells show it.
        ignored: Cells that lie in a box and show none.
        all: Cells of the picture.
    """

    regions: list[Region]
    cells: list[int]
    ignored: int
    all: int


def inspect_boxes(recipe: Recipe, conversation: Conversation, name: str, save: Path | None) -> None:
    """Print the phrases and boxes of a record as training sees them, and what the first batch of the last stage holds.

    Args:
        recipe: Of a detector; its weights are not read.
        conversation: The record.
        name: Its dataset.
        save: Where the picture goes, as the encoder gets it, with its boxes drawn.

    Raises:
        DataError: The picture cannot be read.
    """
    console = make_console()
    assert isinstance(recipe.model, DetectorModelConfig)
    tokenizer = load_tokenizer(recipe.model.tokenizer_source(), Path(recipe.base))
    model = build_detector_shape(recipe, tokenizer=tokenizer)
    try:
        picture = picture_of(conversation)
        shown = shown_of(model, picture, regions_of(conversation))
    except Refusal as refusal:
        console.print(f"[red]refused[/] ({escape(refusal.reason)}): {escape(refusal.detail)}")
        return
    square = square_of(model.vision.preparation, picture)
    if console.is_terminal:
        outlined = draw_regions(square, shown.regions, labels=[""] * len(shown.regions))
        console.print(as_blocks(outlined, min(64, console.width)))
    if save is not None:
        draw_regions(square, shown.regions).save(save)
    console.print(_boxes(model, shown))
    rows, columns = (side * model.heads.cells.fineness for side in model.heads.cells.grid)
    silent = shown.all - sum(shown.cells) - shown.ignored
    console.print(
        f"{escape(f'{name} {conversation.id}')}: the picture as {square.width} × {square.height} pixels "
        f"({fit_of(model.vision.preparation)}), {rows} × {columns} cells of {square.width / columns:.3g} pixels: "
        f"{sum(shown.cells)} show something, {shown.ignored} lie in a box that they do not show and are ignored, "
        f"{silent} should predict nothing",
        highlight=False,
    )
    if recipe.stages:
        _print_batch(console, recipe, recipe.stages[-1], model)


def shown_of(model: OpenVocabularyDetector, picture: Image, regions: list[Region]) -> Shown:
    """What training asks of a picture's cells."""
    rows, columns = (side * model.heads.cells.fineness for side in model.heads.cells.grid)
    moved = in_square(picture, regions, model.vision.preparation)
    found = assign(boxes_of(moved), rows, columns)
    cells = [int((found.box == number).sum()) for number in range(len(moved))]
    near = int((found.ignored.any(dim=1) & (found.box < 0)).sum())
    return Shown(moved, cells, near, rows * columns)


def _boxes(model: OpenVocabularyDetector, shown: Shown) -> Table:
    """Every box with its phrase, token by token as the text side reads it."""
    numbers = (Column(head, number=True) for head in ("left", "top", "right", "bottom", "cells"))
    table = Table([Column("phrase", key=True), Column("read as"), *numbers], "boxes")
    for region, cells in zip(shown.regions, shown.cells, strict=True):
        corners = [f"{value:.1f}" for value in region.box]
        table.row(region.name, _read(model, region.name), *corners, str(cells))
    return table


def _read(model: OpenVocabularyDetector, phrase: str) -> Text:
    """A phrase's tokens."""
    side = model.text
    if isinstance(side, EmbeddedPhrases):
        tokenizer, ids = side.tokenizer, side.ids(phrase)
    else:
        words = side.words
        tokenizer, ids = words.tokenizer, words.ids(bare(phrase))  # type: ignore[union-attr, operator]
    return Text("│".join(tokenizer.decode([token]) for token in ids))  # type: ignore[union-attr]


def _print_batch(console: Console, recipe: Recipe, stage: StageConfig, model: OpenVocabularyDetector) -> None:
    """The first batch of a stage: how many boxes, and of each phrase in how many pictures and cells."""
    base = Path(recipe.base)
    sources = {name: build_source(recipe.data[name], base) for name in stage.mixture}
    mixture = Mixture({name: len(source) for name, source in sources.items()}, stage.mixture, recipe.seed)
    refused: list[Event] = []
    rows = [
        shown
        for _, _, shown in Draws(sources, mixture, stage.batch_size).read(
            0, refused, lambda _, found: shown_of(model, picture_of(found), regions_of(found))
        )
    ]
    boxes, pictures, cells = Counter[str](), Counter[str](), Counter[str]()
    for shown in rows:
        pictures.update({region.name for region in shown.regions})
        for region, count in zip(shown.regions, shown.cells, strict=True):
            boxes[region.name] += 1
            cells[region.name] += count
    generic = stage.objective.generic if isinstance(stage.objective, DetectionLoss) else None
    console.print(
        f"a batch of the stage {escape(repr(stage.name))}: {len(rows):,} pictures"
        + (f" ({len(refused):,} refused)" if refused else "")
        + f", {sum(boxes.values()):,} boxes of {len(boxes):,} phrases; every cell is asked all of them"
        + (f", and every box answers to {escape(repr(generic))}, too" if generic is not None else ""),
        highlight=False,
    )
    numbers = (Column(head, number=True) for head in ("pictures", "boxes", "cells that show it", "of all cells"))
    table = Table([Column("phrase", key=True), *numbers])
    every = sum(shown.all for shown in rows)
    for phrase, count in sorted(boxes.items(), key=lambda item: (-item[1], item[0]))[:PHRASES]:
        share = f"{cells[phrase] / every:.2%}"
        table.row(phrase, str(pictures[phrase]), str(count), str(cells[phrase]), share)
    if len(boxes) > PHRASES:
        table.row(f"… {len(boxes) - PHRASES} more")
    console.print(table)
