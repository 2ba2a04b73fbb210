"""From a config to its adapter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.adapters.config import AnyAdapterConfig, GridOptions
from triptych.adapters.limits import mistake
from triptych.errors import RecipeError
from triptych.registry import CustomConfig, build_custom, implementation

if TYPE_CHECKING:
    from torch import Tensor

    from triptych.adapters.adapter import Adapter


def build(
    config: AnyAdapterConfig,
    encoder_dim: int,
    grid: tuple[int, int],
    language_dim: int,
    embedding_std: float,
    embed_text: Callable[[str], Tensor] | None = None,
    tokenise: Callable[[str], list[int]] | None = None,
    vocabulary: int | None = None,
    tokens: int | None = None,
    base: Path | None = None,
) -> Adapter:
    """Build an adapter in float32, with fresh weights or with those that its config names.

    Args:
        config: Which, and how.
        encoder_dim: Channels of the encoder's features.
        grid: Rows and columns of the encoder's features.
        language_dim: Width of the language model.
        embedding_std: Standard deviation of the language model's token embeddings.
        embed_text: Text → token embeddings `[L, language_dim]`, what `markers` start from; noise without it.
        tokenise: Text → the language model's ids, for adapters that read text.
        vocabulary: One more than the largest id.
        tokens: Positions of the encoder's features of one medium, where that is known beforehand.
        base: The folder that relative `file:` and `run:` paths start from.

    Raises:
        WeightsError: An adapter's weights cannot be had or do not fit.
        RecipeError: The adapter cannot take what the encoder puts out or what the language model takes in; or a custom
            adapter cannot be imported or does not take its options.
    """
    beside = 0 if tokens is None else tokens % (grid[0] * grid[1])
    if (reason := mistake(config, grid, beside, encoder_dim, language_dim)) is not None:
        raise RecipeError(reason)
    adapter: Adapter
    if isinstance(config, CustomConfig):
        from triptych.adapters.adapter import Adapter

        sizes = {"encoder_dim": encoder_dim, "grid": grid, "language_dim": language_dim}
        adapter = build_custom("adapter", config, Adapter, **sizes, embedding_std=embedding_std)
    else:
        adapter = implementation(config).from_config(
            config, encoder_dim, grid, language_dim, embedding_std, tokenise, vocabulary, base
        )
    if isinstance(config, GridOptions) and config.markers == "places":
        from triptych.adapters.markers import Marked

        adapter = Marked(adapter, embed_text)
    if tokens is not None:
        try:
            adapter.output_tokens(tokens)
        except ValueError as error:
            raise RecipeError(f"kind {config.kind!r}: cannot take what the encoder puts out: {error}") from error
    return adapter
