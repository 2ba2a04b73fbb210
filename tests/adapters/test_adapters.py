"""Adapters: lengths known beforehand, pooling that loses nothing it should not, a start at the scale of embeddings."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import nn

from triptych.adapters import AdapterConfig, LinearConfig, MLPConfig, build
from triptych.adapters.adapter import Adapter
from triptych.adapters.grid import GridAdapter
from triptych.adapters.pooled import pool_grid
from triptych.errors import RecipeError
from triptych.registry import CustomConfig

UNION: TypeAdapter[LinearConfig | MLPConfig | CustomConfig] = TypeAdapter(AdapterConfig)
KINDS: list[Any] = [LinearConfig, MLPConfig]


def make(config: Any, dim: int = 12, grid: tuple[int, int] = (3, 3), language: int = 16, std: float = 0.1) -> Adapter:
    torch.manual_seed(0)
    return build(config, dim, grid, language, std)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    pool=st.integers(1, 4),
    reduction=st.sampled_from(["average", "pixel_shuffle"]),
    normalise=st.booleans(),
    positions=st.booleans(),
    frames=st.integers(1, 3),
    precision=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_the_announced_length_is_the_real_one(
    kind: Any,
    rows: int,
    columns: int,
    pool: int,
    reduction: str,
    normalise: bool,
    positions: bool,
    frames: int,
    precision: torch.dtype,
) -> None:
    config = kind(pool=pool, reduction=reduction, normalise=normalise, positions=positions)
    adapter = make(config, grid=(rows, columns)).to(precision)
    features = torch.randn(2, frames * rows * columns, 12)
    output = adapter(features)
    assert output.shape == (2, adapter.output_tokens(features.shape[1]), 16)
    assert output.dtype == precision
    assert output.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_grid_any_length_passes(kind: Any) -> None:
    adapter = make(kind(positions=False))
    assert adapter.output_tokens(7) == 7
    assert adapter(torch.randn(1, 7, 12)).shape == (1, 7, 16)


@pytest.mark.parametrize("options", [{"positions": True}, {"positions": False, "pool": 2, "reduction": "average"}])
def test_a_length_that_is_no_grid_is_refused(options: dict[str, Any]) -> None:
    adapter = make(LinearConfig(**options))
    with pytest.raises(ValueError, match=r"3 × 3 = 9 positions, got 10.*drop_cls"):
        adapter(torch.randn(1, 10, 12))


@given(rows=st.integers(1, 4), columns=st.integers(1, 4), pool=st.integers(1, 3), dim=st.integers(1, 4))
def test_pixel_shuffle_moves_every_value_exactly_once(rows: int, columns: int, pool: int, dim: int) -> None:
    grids = torch.arange(2 * rows * pool * columns * pool * dim).view(2, rows * pool, columns * pool, dim)
    shuffled = pool_grid(grids, pool, "pixel_shuffle")
    assert shuffled.shape == (2, rows, columns, dim * pool * pool)
    assert torch.equal(shuffled.flatten().sort().values, grids.flatten())
    for row in range(rows):  # and every square's values are in its own cell, cell by cell in reading order
        for column in range(columns):
            square = grids[:, row * pool : (row + 1) * pool, column * pool : (column + 1) * pool]
            assert torch.equal(shuffled[:, row, column], square.flatten(1))


def test_pixel_shuffle_agrees_with_torch() -> None:
    grids = torch.randn(2, 6, 4, 5)
    theirs = nn.functional.pixel_unshuffle(grids.permute(0, 3, 1, 2), 2)  # [N, D · p · p, …], channel first
    ours = pool_grid(grids, 2, "pixel_shuffle").unflatten(-1, (4, 5)).transpose(-1, -2).flatten(-2)
    assert torch.equal(ours, theirs.permute(0, 2, 3, 1))


def test_average_pooling_agrees_with_torch() -> None:
    grids = torch.randn(2, 6, 4, 5)
    theirs = nn.functional.avg_pool2d(grids.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    torch.testing.assert_close(pool_grid(grids, 2, "average"), theirs)


def test_the_edge_is_repeated_where_squares_do_not_fit() -> None:
    grid = torch.tensor([[1.0, 2.0, 3.0]]).view(1, 1, 3, 1)
    assert pool_grid(grid, 2, "average").flatten().tolist() == [1.5, 3.0]
    assert pool_grid(grid, 2, "pixel_shuffle").view(2, 4).tolist() == [[1, 2, 1, 2], [3, 3, 3, 3]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("std", [0.02, 0.13, 1.0])
@pytest.mark.parametrize("spread", ["normal", "sparse"])
def test_output_starts_at_the_scale_of_the_embeddings(kind: Any, std: float, spread: str) -> None:
    adapter = make(kind(), dim=320, grid=(9, 9), language=256, std=std)
    features = 7 * torch.randn(8, 81, 320) + 3
    if spread == "sparse":
        features = features.relu() * (torch.rand_like(features) < 0.2)  # what a convolution behind ReLU6 looks like
    with torch.no_grad():
        assert adapter(features).std().item() == pytest.approx(std, rel=0.1)
        plain = make(kind(output_scale=None), dim=320, grid=(9, 9), language=256, std=std)
        assert isinstance(plain, GridAdapter) and plain.scale == 1


@pytest.mark.parametrize("config", [LinearConfig(), MLPConfig(depth=3, pool=2, reduction="pixel_shuffle")])
def test_every_parameter_and_the_features_get_a_gradient(config: Any) -> None:
    adapter = make(config)
    features = torch.randn(2, 9, 12, requires_grad=True)
    adapter(features).square().sum().backward()
    assert features.grad is not None and (features.grad.abs().sum((0, 2)) > 0).all()
    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_positions_start_silent_and_belong_to_cells() -> None:
    adapter = make(LinearConfig())
    silent = make(LinearConfig(positions=False))
    features = torch.randn(1, 18, 12)  # two frames
    with torch.no_grad():
        before = adapter(features)
        assert torch.equal(before, silent(features))
        assert isinstance(adapter, GridAdapter) and adapter.positions is not None
        adapter.positions[4] += 1.0
        changed = (adapter(features) - before).abs().amax(-1)[0] > 0
    assert changed.nonzero().flatten().tolist() == [4, 9 + 4]


@given(
    depth=st.integers(1, 4), hidden=st.sampled_from([None, 24]), activation=st.sampled_from(["gelu", "silu", "relu"])
)
@settings(deadline=None, max_examples=20)
def test_an_mlp_has_the_layers_asked_for(depth: int, hidden: int | None, activation: str) -> None:
    adapter = make(MLPConfig(depth=depth, hidden=hidden, activation=activation))  # type: ignore[arg-type]
    assert isinstance(adapter, GridAdapter) and isinstance(adapter.projection, nn.Sequential)
    linear = [layer for layer in adapter.projection if isinstance(layer, nn.Linear)]
    widths = [12, *[hidden or 16] * (depth - 1), 16]
    assert [(layer.in_features, layer.out_features) for layer in linear] == list(pairwise(widths))
    assert len(adapter.projection) == 2 * depth - 1


def test_building_takes_only_the_draws_of_its_weights() -> None:
    torch.manual_seed(5)
    build(LinearConfig(), 12, (3, 3), 16, 0.1)
    after = torch.rand(1)
    torch.manual_seed(5)
    nn.Linear(12, 16)
    assert torch.equal(torch.rand(1), after)


def test_it_can_be_counted_without_memory() -> None:
    with torch.device("meta"):
        adapter = build(MLPConfig(), 1024, (24, 24), 4096, 0.02)
    assert all(parameter.is_meta for parameter in adapter.parameters())
    weights = sum(parameter.numel() for parameter in adapter.parameters() if parameter.ndim == 2)
    assert weights == 1024 * 4096 + 4096 * 4096 + 24 * 24 * 4096


def test_pooling_needs_a_reduction() -> None:
    with pytest.raises(ValidationError, match="reduction: average"):
        MLPConfig(pool=2)
    assert UNION.validate_python({"kind": "linear", "pool": 3, "reduction": "average"}).kind == "linear"
    with pytest.raises(ValidationError):
        UNION.validate_python({"kind": "mpl"})
    with pytest.raises(ValidationError):
        UNION.validate_python({"kind": "linear", "depth": 2})


OWN = """
import torch
from triptych.adapters.adapter import Adapter

class Mean(Adapter):
    def __init__(self, encoder_dim, grid, language_dim, embedding_std, *, gain: float = 1.0) -> None:
        super().__init__(encoder_dim, grid, language_dim, embedding_std)
        self.linear = torch.nn.Linear(encoder_dim, language_dim)
        self.gain = gain

    def output_tokens(self, n):
        return 1

    def forward(self, features):
        return self.gain * self.linear(features.to(self.dtype).mean(1, keepdim=True))
"""


def test_an_adapter_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_adapters.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_adapters", raising=False)
    config = UNION.validate_python({"kind": "own_adapters:Mean", "gain": 0.0})
    adapter = make(config)
    assert adapter(torch.randn(2, 9, 12)).shape == (2, adapter.output_tokens(9), 16)
    assert not adapter(torch.randn(2, 9, 12)).any()
    with pytest.raises(RecipeError, match="gain"):
        make(UNION.validate_python({"kind": "own_adapters:Mean", "gian": 0.0}))
