"""What an adapter cannot take, known from numbers alone: asked when a recipe is read, and again when it is built."""

from __future__ import annotations

from triptych.adapters.config import AnyAdapterConfig, ConnectorConfig, GridOptions, PerceiverConfig, ResamplerOptions


def mistake(
    config: AnyAdapterConfig,
    grid: tuple[int, int],
    class_tokens: int = 0,
    encoder_dim: int | None = None,
    language_dim: int | None = None,
) -> str | None:
    """Why an adapter cannot stand between an encoder and a language model, with what could; None where it can.

    Args:
        config: The adapter.
        grid: Rows and columns of the encoder's features.
        class_tokens: Positions in front of the grid.
        encoder_dim: Channels of the features, where known.
        language_dim: Width of the language model, where known.
    """
    reasons = (
        _looks(config, grid),
        _grids(config, grid, class_tokens),
        _widths(config, encoder_dim, language_dim),
    )
    return next((f"kind {config.kind!r}: {reason}" for reason in reasons if reason is not None), None)


def usual_heads(width: int) -> int:
    """The heads of 64 channels that fit into a width, or the next smaller number of heads that divides it."""
    return next(heads for heads in range(max(1, width // 64), 0, -1) if width % heads == 0)


def _looks(config: AnyAdapterConfig, grid: tuple[int, int]) -> str | None:
    """Whether learned vectors have more than one position to choose from."""
    if not isinstance(config, ResamplerOptions):
        return None
    if grid == (1, 1):
        return (
            "looks for things among an encoder's positions, and this one puts out a single vector; take `kind: linear` "
            "or `kind: mlp`, or an encoder's features before they are pooled"
        )
    if max(grid) <= config.pool:
        return f"`pool: {config.pool}` leaves one position of a grid of {grid[0]} × {grid[1]}; take a smaller one"
    return None


def _grids(config: AnyAdapterConfig, grid: tuple[int, int], class_tokens: int) -> str | None:
    """Whether it gets nothing but cells of a grid where it needs to know which is which."""
    if not class_tokens or not isinstance(config, GridOptions | ResamplerOptions):
        return None
    wants = [f"`pool: {config.pool}`"] if config.pool > 1 else []
    wants += ["`positions: true`"] if config.positions else []
    wants += ["`markers: places`"] if isinstance(config, GridOptions) and config.markers == "places" else []
    if isinstance(config, PerceiverConfig) and config.media_positions:
        wants.append(f"`media_positions: {config.media_positions}`")
    if not wants:
        return None
    return (
        f"{' and '.join(wants)} {'needs' if len(wants) == 1 else 'need'} whole grids of {grid[0]} × {grid[1]} positions, "
        "and the encoder keeps its class token in front of them: set `drop_cls: true` there, or do without"
    )


def _widths(config: AnyAdapterConfig, encoder_dim: int | None, language_dim: int | None) -> str | None:
    if isinstance(config, ConnectorConfig) and config.heads is not None and language_dim is not None:
        if language_dim % config.heads:
            return (
                f"`heads: {config.heads}` does not divide the language model's width {language_dim}; "
                f"`heads: {usual_heads(language_dim)}` does"
            )
    elif isinstance(config, PerceiverConfig) and not config.project and None not in (encoder_dim, language_dim):
        assert encoder_dim is not None
        width = encoder_dim * config.pool**2 if config.reduction == "pixel_shuffle" else encoder_dim
        if width != language_dim:
            return (
                f"`project: false` needs features as wide as the language model, but they have {width} channels and it "
                f"has {language_dim}; take `project: true`"
            )
    return None
