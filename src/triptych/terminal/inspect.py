"""Showing what a recipe makes of one record: the exact tokens, media spans and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from triptych.data.sources import build as build_source
from triptych.errors import DataError, RecipeError
from triptych.recipe import Recipe
from triptych.recipe.messages import unknown_name
from triptych.sequence.plan import IGNORE, Layout, Refusal, plan
from triptych.terminal.picture import as_blocks

if TYPE_CHECKING:
    import torch

WIDTH = 8
"""Lengths do not depend on the language model's width, so its weights need not be loaded."""


def inspect(recipe: Recipe, sample: int, data: str | None, save: Path | None) -> None:
    """Print the layout of one record of a recipe's data, without loading the language model's weights.

    Raises:
        RecipeError: There is no such dataset.
        DataError: There is no such record, or it cannot be read.
    """
    import torch

    from triptych.adapters.build import build as build_adapter
    from triptych.encoders.build import build as build_encoder
    from triptych.language.build import load_tokenizer
    from triptych.language.template import ChatTemplate

    name = data or (next(iter(recipe.stages[-1].mixture)) if recipe.stages else next(iter(recipe.data), ""))
    if name not in recipe.data:
        raise RecipeError(f"--data {unknown_name(name, recipe.data)}")
    base = Path(recipe.base)
    source = build_source(recipe.data[name], base)
    if not 0 <= sample < len(source):
        raise DataError(f"{name} has {len(source):,} records; --sample goes from 0 to {len(source) - 1}")
    conversation = source[sample]
    console = Console()
    language = recipe.model.language
    tokenizer = load_tokenizer(language, base)
    template = ChatTemplate(tokenizer, language.chat_template, language.system)
    lengths: dict[str, int] = {}

    def embed_text(text: str) -> torch.Tensor:
        return torch.zeros(len(tokenizer(text, add_special_tokens=False)["input_ids"]), WIDTH)

    for medium in conversation.media:
        if recipe.model.encoders.image is None or recipe.model.adapters.image is None:
            raise RecipeError(f"{name} {conversation.id or sample} has images, but model.encoders.image is null")
        encoder = build_encoder(recipe.model.encoders.image, base)
        adapter = build_adapter(recipe.model.adapters.image, encoder.dim, encoder.grid, WIDTH, 1.0, embed_text)
        lengths[medium.content_hash] = adapter.output_tokens(encoder.tokens(medium))
        picture = medium.open()
        if console.is_terminal:
            console.print(as_blocks(picture, min(64, console.width)))
        if save is not None:
            picture.save(save)
    try:
        layout = plan(
            conversation,
            template,
            lambda medium: lengths[medium.content_hash],
            recipe.sequence.max_tokens,
            recipe.sequence.overflow,
        )
    except Refusal as refusal:
        console.print(f"[red]refused[/] ({refusal.reason}): {refusal.detail}")
        return
    console.print(_table(layout, tokenizer))
    console.print(
        f"{name} {conversation.id or sample}: {len(layout)} tokens, "
        f"{sum(span.length for span in layout.spans)} of them media, "
        f"[green]{layout.supervised} supervised[/]"
        + (f", {layout.dropped} messages left out" if layout.dropped else "")
    )


def _table(layout: Layout, tokenizer: object) -> Table:
    """Tokens in runs: from where to where, what they are, their text; supervised ones in green."""
    table = Table(title="layout", title_justify="left")
    for column in ("from", "tokens", "what", "ids", "text"):
        table.add_column(column, justify="right" if column in {"from", "tokens"} else "left", overflow="fold")
    starts = {span.start: span for span in layout.spans}
    place = 0
    while place < len(layout):
        if place in starts:
            span = starts[place]
            table.add_row(str(place), str(span.length), "[yellow]image[/]", "", str(span.medium))
            place += span.length
            continue
        supervised = layout.labels[place] != IGNORE
        end = place
        while end < len(layout) and end not in starts and (layout.labels[end] != IGNORE) == supervised:
            end += 1
        ids = layout.ids[place:end]
        pieces = [tokenizer.decode([token]) for token in ids]  # type: ignore[attr-defined]
        text = Text("│".join(piece.replace("\n", "⏎") for piece in pieces), style="green" if supervised else "")
        what = "[green]supervised[/]" if supervised else "context"
        table.add_row(str(place), str(len(ids)), what, " ".join(map(str, ids)), text)
        place = end
    return table
