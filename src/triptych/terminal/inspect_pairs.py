"""Showing what a dual encoder, or BLIP-2's first stage, makes of one record, and what a batch of its stage holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape
from rich.text import Text

from triptych.console import make_console
from triptych.data.pairs import picture_of, texts_of
from triptych.data.reading import read_record
from triptych.data.sources import build as build_source
from triptych.encoders.preparation import ImagePreparation
from triptych.errors import TriptychError
from triptych.language.build import load_tokenizer
from triptych.model.config import Blip2Config
from triptych.planner.shapes import build_blip2_shape, build_dual_shape
from triptych.planner.tokens import tokenizer_config
from triptych.recipe import Recipe
from triptych.sequence.pairs import Words
from triptych.sequence.plan import Refusal
from triptych.tables import Column, Table
from triptych.terminal.picture import as_blocks
from triptych.training.config import Blip2Losses, StageConfig

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

    from triptych.conversation import Conversation, Image
    from triptych.model.blip2 import Blip2
    from triptych.model.dual import DualEncoder


def inspect_pair(recipe: Recipe, conversation: Conversation, name: str, save: Path | None) -> None:
    """Print the tokens of each text of a record, the picture as the image side gets it, and the pairs of the first batch.

    Args:
        recipe: Of a model of `kind: dual` or `blip2`; its weights are not read.
        conversation: The record.
        name: Its dataset.
        save: Where the picture goes, as the image side gets it.

    Raises:
        DataError: The picture cannot be read.
    """
    console = make_console()
    tokenizer = load_tokenizer(tokenizer_config(recipe), Path(recipe.base))
    model: DualEncoder | Blip2
    if isinstance(recipe.model, Blip2Config):
        model = build_blip2_shape(recipe, tokenizer=tokenizer)
        preparation = model.encoder.preparation
    else:
        model = build_dual_shape(recipe, tokenizer=tokenizer)
        preparation = model.preparation
    words = model.words
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
        f"{_sees(model)}" + (f"; each draw takes one of {len(texts)} texts" if len(texts) > 1 else ""),
        highlight=False,
    )
    if recipe.stages:
        stage = recipe.stages[-1]
        pairs = stage.batch_size
        console.print(
            f"a batch of the stage {escape(repr(stage.name))}: {pairs:,} pairs, {pairs * (pairs - 1):,} that do not belong together"
            + _judged(stage),
            highlight=False,
        )
        console.print(_batch(recipe))


def square_of(preparation: ImagePreparation, picture: Image) -> PILImage:
    """A picture as an encoder gets it. Raises DataError where it cannot be read."""
    from PIL import Image as Pillow

    return Pillow.fromarray(np.asarray(preparation(picture).permute(1, 2, 0)))


def fit_of(preparation: object) -> str:
    """How a picture becomes square, in words."""
    return f"fit: {preparation.fit}" if isinstance(preparation, ImagePreparation) else "made by its own preparation"


def _judged(stage: StageConfig) -> str:
    """What matching adds to the pairs of a batch."""
    if not isinstance(stage.objective, Blip2Losses) or not stage.objective.weights.get("itm", 1.0):
        return ""
    return (
        f"; {3 * stage.batch_size:,} are read together: each pair, its text with a wrong picture, its picture with a "
        "wrong text"
    )


def _sees(model: DualEncoder | Blip2) -> str:
    """What the image side cuts the picture into."""
    from triptych.conversation import Image
    from triptych.model.blip2 import Blip2

    if isinstance(model, Blip2):
        encoder, queries = model.encoder, len(model.reader.queries)
        beside = encoder.tokens(Image(b"")) - encoder.grid[0] * encoder.grid[1]
        return (
            f"{encoder.grid[0]} × {encoder.grid[1]} features{f' and {beside} beside them' if beside else ''} of "
            f"{encoder.dim:,} channels, which {queries} queries look at; where a text is written, [DEC] "
            f"({model.words.decode}) stands in the place of its first token"
        )
    if model.frozen_encoder is not None:
        encoder = model.frozen_encoder
        return f"{encoder.grid[0]} × {encoder.grid[1]} features of {encoder.dim:,} channels, encoded once"
    shape = model.tower.architecture
    side = model.preparation.size // shape.patch_size
    dropped = f", {model.tower.patch_dropout:.0%} of them left out in training" if model.tower.patch_dropout else ""
    return f"{side} × {side} patches of {shape.patch_size} pixels{dropped}"


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
