"""Showing a record as a pair of a picture and a text, and the pairs of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.markup import escape
from rich.text import Text

from triptych.console import make_console
from triptych.data.pairs import picture_of, texts_of
from triptych.data.reading import read_record
from triptych.data.sources import build as build_source
from triptych.encoders.preparation import ImagePreparation
from triptych.errors import TriptychError
from triptych.preview.picture import as_blocks
from triptych.recipe import Recipe
from triptych.sequence.pairs import Words
from triptych.sequence.plan import Refusal
from triptych.tables import Column, Table

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

    from triptych.conversation import Conversation, Image


def show_pair(
    recipe: Recipe,
    conversation: Conversation,
    name: str,
    save: Path | None,
    words: Words,
    preparation: object,
    sees: str,
    judged: str = "",
) -> None:
    """Print the tokens of each text of a record, the picture as the image side gets it, and the pairs of the first batch.

    Args:
        recipe: Of the model.
        conversation: The record.
        name: Its dataset.
        save: Where the picture goes, as the image side gets it.
        words: Texts → ids.
        preparation: Of pictures.
        sees: What the image side cuts the picture into.
        judged: What the objective adds to the pairs of a batch.

    Raises:
        DataError: The picture cannot be read.
    """
    console = make_console()
    try:
        picture, texts = picture_of(conversation), texts_of(conversation)
    except Refusal as refusal:
        console.print(f"[red]refused[/] ({escape(refusal.reason)}): {escape(refusal.detail)}")
        return
    square = square_of(preparation, picture)
    if console.is_terminal:
        console.print(as_blocks(square, min(64, console.width)))
    if save is not None:
        square.save(save)
    console.print(_texts(texts, words))
    console.print(
        f"{escape(f'{name} {conversation.id}')}: the picture as {square.width} × {square.height} pixels ({fit_of(preparation)}), "
        f"{sees}" + (f"; each draw takes one of {len(texts)} texts" if len(texts) > 1 else ""),
        highlight=False,
    )
    if recipe.stages:
        stage = recipe.stages[-1]
        pairs = stage.batch_size
        console.print(
            f"a batch of the stage {escape(repr(stage.name))}: {pairs:,} pairs, {pairs * (pairs - 1):,} that do not belong "
            f"together{judged}",
            highlight=False,
        )
        console.print(_batch(recipe))


def square_of(preparation: Any, picture: Image) -> PILImage:
    """A picture as an encoder gets it. Raises DataError where it cannot be read."""
    from PIL import Image as Pillow

    return Pillow.fromarray(np.asarray(preparation(picture).permute(1, 2, 0)))


def fit_of(preparation: object) -> str:
    """How a picture becomes square, in words."""
    return f"fit: {preparation.fit}" if isinstance(preparation, ImagePreparation) else "made by its own preparation"


def _texts(texts: list[str], words: Words) -> Table:
    """Every token of every text as it is read; the end token in yellow, what is cut off in red."""
    table = Table([Column("text", key=True), Column("tokens", number=True), Column("ids")], "texts")
    for text in texts:
        ids = words.ids(text)
        pieces = [words.tokenizer.decode([token]).replace("\n", "⏎") for token in ids]
        shown = Text("│".join(pieces[:-1]) + "│")
        shown.append(pieces[-1], style="yellow")
        whole = len(type(words)(words.tokenizer, 1 << 30).ids(text))
        if whole > len(ids):
            shown.append(f" {whole - len(ids)} tokens cut off (max_tokens {words.max_tokens})", style="red")
        table.row(shown, str(len(ids)), " ".join(map(str, ids)))
    return table


def _batch(recipe: Recipe) -> Table:
    """The first pairs of the last stage's first batch, in the order in which they are drawn."""
    from triptych.data.mixture import Mixture
    from triptych.data.pairs import drawn

    stage, base = recipe.stages[-1], Path(recipe.base)
    sources = {name: build_source(recipe.data[name], base) for name in stage.mixture}
    mixture = Mixture({name: len(source) for name, source in sources.items()}, stage.mixture, recipe.seed)
    pairs = stage.batch_size
    table = Table([Column("", number=True, key=True), Column("record", key=True), Column("text")])
    shown = min(8, pairs)
    for number in range(shown):
        name, index = mixture.draw(number)
        try:
            conversation = read_record(sources[name], index)
            record, text = conversation.id or str(index), drawn(texts_of(conversation), conversation.id, number)
        except (TriptychError, Refusal) as error:
            record, text = str(index), f"refused: {error}"
        table.row(str(number), f"{name} {record}", text)
    if pairs > shown:
        table.row("…")
    return table
