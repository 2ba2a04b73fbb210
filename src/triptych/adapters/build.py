"""From a config to its adapter: the one place that pairs them. Modules are imported only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from triptych.adapters.config import GridOptions, LinearConfig, MLPConfig
from triptych.custom import CustomConfig, build_custom

if TYPE_CHECKING:
    from torch import Tensor

    from triptych.adapters.adapter import Adapter


def build(
    config: LinearConfig | MLPConfig | CustomConfig,
    encoder_dim: int,
    grid: tuple[int, int],
    language_dim: int,
    embedding_std: float,
    embed_text: Callable[[str], Tensor] | None = None,
) -> Adapter:
    """Build an adapter with fresh weights in float32.

    Args:
        config: Which, and how.
        encoder_dim: Channels of the encoder's features.
        grid: Rows and columns of the encoder's features.
        language_dim: Width of the language model.
        embedding_std: Standard deviation of the language model's token embeddings.
        embed_text: Text → token embeddings `[L, language_dim]`, what `markers` start from; noise without it.

    Raises:
        RecipeError: A custom adapter cannot be imported or does not take its options.
    """
    adapter = _build(config, encoder_dim, grid, language_dim, embedding_std)
    if isinstance(config, GridOptions) and config.markers == "places":
        from triptych.adapters.markers import Marked

        return Marked(adapter, embed_text)
    return adapter


def _build(
    config: LinearConfig | MLPConfig | CustomConfig,
    encoder_dim: int,
    grid: tuple[int, int],
    language_dim: int,
    embedding_std: float,
) -> Adapter:
    match config:
        case LinearConfig():
            from triptych.adapters.linear import Linear

            return Linear(config, encoder_dim, grid, language_dim, embedding_std)
        case MLPConfig():
            from triptych.adapters.mlp import MLP

            return MLP(config, encoder_dim, grid, language_dim, embedding_std)
        case CustomConfig():
            from triptych.adapters.adapter import Adapter

            return build_custom(
                config,
                Adapter,
                encoder_dim=encoder_dim,
                grid=grid,
                language_dim=language_dim,
                embedding_std=embedding_std,
            )
        case _:
            assert_never(config)
