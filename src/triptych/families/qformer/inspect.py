"""What BLIP-2's first stage makes of one record."""

from __future__ import annotations

from pathlib import Path

from triptych.conversation import Conversation
from triptych.families.qformer.config import Blip2Config, Blip2Losses
from triptych.families.qformer.model import Blip2
from triptych.families.qformer.shape import build_blip2_shape
from triptych.language.build import load_tokenizer
from triptych.preview.pairs import show_pair
from triptych.recipe import Recipe


def inspect_qformer(recipe: Recipe, conversation: Conversation, name: str, save: Path | None) -> None:
    """See `Family.inspect`."""
    assert isinstance(recipe.model, Blip2Config)
    tokenizer = load_tokenizer(recipe.model.tokenizer_source(), Path(recipe.base))
    model = build_blip2_shape(recipe, tokenizer=tokenizer)
    judged = _judged(recipe) if recipe.stages else ""
    show_pair(recipe, conversation, name, save, model.words, model.encoder.preparation, _sees(model), judged)


def _judged(recipe: Recipe) -> str:
    """What matching adds to the pairs of a batch."""
    stage = recipe.stages[-1]
    if not isinstance(stage.objective, Blip2Losses) or not stage.objective.weights.get("itm", 1.0):
        return ""
    return (
        f"; {3 * stage.batch_size:,} are read together: each pair, its text with a wrong picture, its picture with a "
        "wrong text"
    )


def _sees(model: Blip2) -> str:
    """What the queries look at."""
    encoder, queries = model.encoder, len(model.reader.queries)
    beside = encoder.usual_tokens - encoder.grid[0] * encoder.grid[1]
    return (
        f"{encoder.grid[0]} × {encoder.grid[1]} features{f' and {beside} beside them' if beside else ''} of "
        f"{encoder.dim:,} channels, which {queries} queries look at; where a text is written, [DEC] "
        f"({model.words.decode}) stands in the place of its first token"
    )
