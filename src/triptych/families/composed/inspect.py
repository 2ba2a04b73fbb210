"""What a composed model makes of one record: the exact tokens, media spans and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.text import Text

from triptych.console import make_console
from triptych.conversation import Conversation
from triptych.errors import RecipeError
from triptych.families.composed.config import composed
from triptych.preview.picture import as_blocks
from triptych.recipe import Recipe
from triptych.registry import CustomConfig
from triptych.sequence.plan import IGNORE, Layout, Refusal, plan, unroll
from triptych.tables import Column, Table

if TYPE_CHECKING:
    import torch

    from triptych.adapters.adapter import Adapter
    from triptych.conversation import Medium
    from triptych.encoders.encoder import Encoder


def inspect_composed(recipe: Recipe, conversation: Conversation, name: str, save: Path | None) -> None:
    """See `Family.inspect`.

    Raises:
        RecipeError: The record has media that the model does not take.
    """
    import torch

    from triptych.adapters.build import build as build_adapter
    from triptych.encoders.build import build as build_encoder
    from triptych.encoders.build import build_for
    from triptych.families.composed.build import usual_tokens
    from triptych.grounding.introduce import introduce_to_tokenizer, region_writer
    from triptych.language.build import load_tokenizer
    from triptych.language.template import ChatTemplate
    from triptych.model.composed import adapted_tokens
    from triptych.planner.parts import meta_language

    config, base = composed(recipe), Path(recipe.base)
    console = make_console()
    language = config.language
    tokenizer = load_tokenizer(language, base)
    template = ChatTemplate(tokenizer, language.chat_template, language.system)
    if config.regions is not None:
        image = config.encoders.image
        seen = build_encoder(image, base).preparation if image is not None else None
        writer = region_writer(config.regions, seen)
        introduce_to_tokenizer(writer, tokenizer)
        template.regions = writer

    def tokenise(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def embed_text(text: str) -> torch.Tensor:
        return torch.empty(len(tokenise(text)), width)

    built: dict[str, tuple[Encoder, Adapter]] = {}
    for medium in conversation.media:
        modality = medium.modality
        if modality not in config.media:
            held = "images" if modality == "image" else f"media of the modality {modality!r}"
            raise RecipeError(f"{name} {conversation.id} has {held}, but model.encoders.{modality} is null")
        if modality not in built:
            encoder_config, adapting = config.media[modality]
            encoder = build_for(modality, encoder_config, base)
            width = meta_language(language, base).dim
            # Shapes alone say how long a medium is; one's own adapter may need numbers to be built.
            with torch.device("cpu" if isinstance(adapting, CustomConfig) else "meta"):
                tokens = usual_tokens(encoder)
                adapter = build_adapter(
                    adapting, encoder.dim, encoder.grid, width, 1.0, embed_text, tokenise, len(tokenizer), tokens
                )
            built[modality] = encoder, adapter
        picture = medium.picture()
        if console.is_terminal and picture is not None:
            console.print(as_blocks(picture, min(64, console.width)))
        if save is not None:
            if picture is None:
                raise RecipeError(f"--save: {medium}, of the modality {modality!r}, is not shown as a picture")
            picture.save(save)

    def media_tokens(medium: Medium) -> int:
        return config.fusion.positions(adapted_tokens(medium, *built[medium.modality]))

    limits = recipe.sequence.max_tokens, recipe.sequence.overflow
    try:
        unrolled = unroll(conversation, template)
        layouts = [plan(each, template, media_tokens, *limits) for each in unrolled]
    except Refusal as refusal:
        console.print(f"[red]refused[/] ({escape(refusal.reason)}): {escape(refusal.detail)}")
        return
    for number, layout in enumerate(layouts, 1):
        console.print(_table(layout, tokenizer))
        which = f" sequence {number} of {len(layouts)}" if len(layouts) > 1 else ""
        console.print(
            f"{escape(f'{name} {conversation.id}')}{which}: {len(layout)} tokens, "
            f"{sum(span.length for span in layout.spans)} of them media, "
            f"[green]{layout.supervised} supervised[/]"
            + (f", {layout.dropped} messages left out" if layout.dropped else "")
        )


def _table(layout: Layout, tokenizer: object) -> Table:
    """Tokens in runs: from where to where, what they are, their text; supervised ones in green."""
    table = Table(
        [
            Column("from", number=True, key=True),
            Column("tokens", number=True),
            Column("what"),
            Column("text"),
            Column("ids"),
        ],
        "layout",
    )
    starts = {span.start for span in layout.spans}
    place = 0
    while True:
        for span in (span for span in layout.spans if span.start == place):
            table.row(str(place), str(span.length), Text(span.medium.modality, style="yellow"), str(span.medium))
            place += span.length
        if place >= len(layout):
            break
        supervised = layout.labels[place] != IGNORE
        end = place + 1
        while end < len(layout) and end not in starts and (layout.labels[end] != IGNORE) == supervised:
            end += 1
        ids = layout.ids[place:end]
        pieces = [tokenizer.decode([token]) for token in ids]  # type: ignore[attr-defined]
        text = Text("│".join(piece.replace("\n", "⏎") for piece in pieces), style="green" if supervised else "")
        what = Text("supervised", style="green") if supervised else "context"
        table.row(str(place), str(len(ids)), what, text, " ".join(map(str, ids)))
        place = end
    return table
