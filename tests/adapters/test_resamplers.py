"""Q-Former, Perceiver and connector as adapters: lengths, reductions, scale, gradients, what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file

from triptych.adapters import AdapterConfig, ConnectorConfig, PerceiverConfig, QFormerConfig, build
from triptych.adapters.adapter import Adapter
from triptych.adapters.resampler import Resampler
from triptych.errors import RecipeError

UNION: TypeAdapter[Any] = TypeAdapter(AdapterConfig)
SMALL: dict[str, dict[str, Any]] = {
    "qformer": {"queries": 5, "layers": 2, "width": 16, "heads": 2, "intermediate": 24},
    "perceiver": {"latents": 5, "depth": 2, "heads": 2, "head_dim": 8},
    "connector": {"latents": 5, "heads": 2},
}
KINDS = list(SMALL)


def tokenise(text: str) -> list[int]:
    """A token per letter."""
    return [ord(letter) % 60 for letter in text]


def config(kind: str, **options: Any) -> Any:
    return UNION.validate_python({"kind": kind, **SMALL[kind], **options})


def make(
    kind: str, dim: int = 12, grid: tuple[int, int] = (3, 3), language: int = 16, std: float = 0.1, **options: Any
) -> Adapter:
    torch.manual_seed(0)
    return build(config(kind, **options), dim, grid, language, std, tokenise=tokenise, vocabulary=60)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(1, 6),
    columns=st.integers(2, 6),
    pool=st.integers(1, 3),
    reduction=st.sampled_from(["average", "pixel_shuffle"]),
    positions=st.booleans(),
    frames=st.integers(1, 3),
    scale=st.sampled_from(["embeddings", "normalised", None]),
    precision=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_the_announced_length_is_the_real_one(
    kind: str,
    rows: int,
    columns: int,
    pool: int,
    reduction: str,
    positions: bool,
    frames: int,
    scale: str | None,
    precision: torch.dtype,
) -> None:
    pool = min(pool, max(rows, columns) - 1)
    adapter = make(
        kind, grid=(rows, columns), pool=pool, reduction=reduction, positions=positions, output_scale=scale
    ).to(precision)
    features = torch.randn(2, frames * rows * columns, 12)
    output = adapter(features, ["a", "b"])
    assert output.shape == (2, adapter.output_tokens(features.shape[1]), 16) == (2, 5, 16)
    assert output.dtype == precision
    assert output.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_grid_any_length_passes_and_with_one_only_whole_grids(kind: str) -> None:
    adapter = make(kind)
    assert adapter(torch.randn(1, 10, 12)).shape == (1, adapter.output_tokens(10), 16)  # a class token and nine cells
    with pytest.raises(ValueError, match="needs features"):
        adapter.output_tokens(0)
    for options in ({"positions": True}, {"pool": 2, "reduction": "pixel_shuffle"}):
        with pytest.raises(ValueError, match=r"3 × 3 = 9 positions, got 10.*drop_cls"):
            make(kind, **options)(torch.randn(1, 10, 12))


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_adapter_cannot_take_is_refused_when_it_is_built(kind: str) -> None:
    def built(grid: tuple[int, int] = (3, 3), tokens: int | None = None, **options: Any) -> Adapter:
        return build(config(kind, **options), 12, grid, 16, 0.1, tokens=tokens)

    with pytest.raises(RecipeError, match=rf"'{kind}'.*single vector.*kind: mlp"):
        built((1, 1))
    with pytest.raises(RecipeError, match=r"pool: 4.*leaves one position"):
        built(pool=4, reduction="average")
    with pytest.raises(RecipeError, match=rf"'{kind}'.*drop_cls: true"):
        built(tokens=10, pool=2, reduction="average")
    assert built(tokens=10).output_tokens(10) == 5
    with pytest.raises(ValidationError, match="reduction: average"):
        config(kind, pool=2)
    with pytest.raises(ValidationError):
        config(kind, markers="places")  # there are no cells to stand in front of


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("std", [0.02, 1.0])
def test_output_starts_at_the_scale_of_the_embeddings(kind: str, std: float) -> None:
    features = 7 * (torch.randn(4, 81, 96) + torch.randn(4, 1, 96)) + 3
    wider = {} if kind == "connector" else {"width": 64} if kind == "qformer" else {"normalise": True}
    adapter = make(kind, dim=96, grid=(9, 9), language=128, std=std, **wider)
    with torch.no_grad():
        assert adapter(features).std().item() == pytest.approx(std, rel=0.25)
        even = make(kind, dim=96, grid=(9, 9), language=128, std=std, output_scale="normalised", **wider)(features)
        spread = even.square().mean(-1).sqrt()
        torch.testing.assert_close(spread, torch.full_like(spread, std), rtol=1e-2, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_building_takes_only_the_draws_of_its_weights(kind: str) -> None:
    make(kind, output_scale=None)
    after = torch.rand(1)
    make(kind)
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_and_the_features_get_a_gradient(kind: str) -> None:
    torch.manual_seed(1)
    extra = {"media_positions": 2, "qk_norm": True} if kind == "perceiver" else {}
    adapter = make(kind, pool=2, reduction="pixel_shuffle", positions=True, **extra)
    features = torch.randn(2, 18, 12, requires_grad=True)
    (adapter(features) * torch.randn(2, 5, 16)).sum().backward()
    assert features.grad is not None and (features.grad.abs().sum((0, 2)) > 0).all()
    for name, parameter in adapter.named_parameters():
        if not name.endswith(("key.bias", "key_norm.bias")):  # the same number for every key: a softmax does not see it
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_learned_vectors_learn_different_things(kind: str) -> None:
    """Also from a loss that treats them all alike, which keeps equal ones equal."""

    def trained(equal: bool) -> torch.Tensor:
        adapter = make(kind, std=1.0).double()
        assert isinstance(adapter, Resampler)
        vectors = adapter.queries if kind == "qformer" else adapter.latents
        assert isinstance(vectors, torch.nn.Parameter)
        if equal:
            vectors.data[:] = vectors.data[0]
        before = vectors.detach().clone()
        optimiser = torch.optim.SGD(adapter.parameters(), lr=1e-2)
        features, targets = torch.randn(4, 9, 12).double(), torch.randn(4, 16).double()
        for _ in range(12):
            optimiser.zero_grad()
            (adapter(features).mean(1) - targets).square().mean().backward()
            optimiser.step()
        assert ((vectors - before).abs().amax(1) > 0).all()
        found: torch.Tensor = adapter(features)
        return (found - found.mean(1, keepdim=True)).abs().amax().detach()

    assert trained(equal=False) > 0.1
    assert trained(equal=True) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_positions_tell_cells_apart(kind: str) -> None:
    adapter = make(kind, positions=True)
    assert isinstance(adapter, Resampler) and adapter.positions is not None
    features = torch.randn(1, 9, 12)
    turned = features.flip(1)
    with torch.no_grad():
        torch.testing.assert_close(adapter(features), adapter(turned), rtol=1e-3, atol=1e-4)  # silent: cells are a set
        adapter.positions.normal_()
        assert (adapter(features) - adapter(turned)).abs().max() > 1e-3


def test_the_frames_of_a_medium_are_told_apart() -> None:
    adapter = make("perceiver", media_positions=3)
    first, second = torch.randn(1, 9, 12), torch.randn(1, 9, 12)
    with torch.no_grad():
        one, other = (adapter(torch.cat(frames, dim=1)) for frames in ((first, second), (second, first)))
    assert (one - other).abs().max() > 1e-3
    with pytest.raises(ValueError, match="media_positions: 3"):
        adapter.output_tokens(4 * 9)
    with pytest.raises(ValueError, match="whole grids"):
        adapter.output_tokens(10)


def test_a_perceiver_without_a_projection_needs_equal_widths() -> None:
    assert make("perceiver", dim=16, project=False)(torch.randn(1, 9, 16)).shape == (1, 5, 16)
    with pytest.raises(RecipeError, match=r"48 channels and it has 16; take `project: true`"):
        make("perceiver", pool=2, reduction="pixel_shuffle", project=False)


def test_heads_must_divide() -> None:
    with pytest.raises(RecipeError, match=r"heads: 3.*width 16; `heads: 1` does"):
        make("connector", heads=3)
    with pytest.raises(ValidationError, match=r"heads: 3.*width: 16"):
        config("qformer", heads=3)
    for width, heads in {2048: 32, 576: 9, 960: 15, 16: 1, 100: 1, 130: 2}.items():
        with torch.device("meta"):
            assert build(ConnectorConfig(), 12, (3, 3), width, 0.1).heads == heads


@pytest.mark.parametrize("kind", KINDS)
def test_saved_weights_make_the_same_adapter(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"positions": True}
    if kind == "qformer":
        options["instruction"] = True
    adapter, texts = make(kind, **options), ["what?", "where is it?"]
    features = torch.randn(2, 9, 12)
    save_file(adapter.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(7)
    other = build(config(kind, **options), 12, (3, 3), 16, 0.3, tokenise=tokenise, vocabulary=60)
    assert not torch.equal(other(features, texts), adapter(features, texts))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other(features, texts), adapter(features, texts))


def test_text_changes_the_output_only_where_it_is_read() -> None:
    features = torch.randn(2, 9, 12)
    for kind in KINDS:
        adapter = make(kind)
        assert not adapter.reads_text
        assert torch.equal(adapter(features, ["red?", "blue?"]), adapter(features))
    adapter = make("qformer", instruction=True, text_tokens=8)
    assert adapter.reads_text
    with torch.no_grad():
        asked, plain = adapter(features, ["red?", ""]), adapter(features)
        assert (asked[0] - plain[0]).abs().max() > 1e-3
        torch.testing.assert_close(asked[1], plain[1])  # nothing to read; and what fills up the row is not read
        assert torch.equal(adapter(features, ["", ""]), plain)
        torch.testing.assert_close(adapter(features, ["red?", "blue and yellow"])[0], asked[0])
        # The end of a long text is not read, its beginning is.
        long = adapter(features, ["12345678", "12345678 and more"])
        torch.testing.assert_close(long[1], adapter(features[1:], ["12345678"])[0])
        torch.testing.assert_close(adapter.content(features, ["red?", ""]), asked)
    with pytest.raises(ValueError, match="2 media with 1 texts"):
        adapter(features, ["red?"])
    with pytest.raises(RecipeError, match=r"instruction: true.*tokenizer"):
        build(config("qformer", instruction=True), 12, (3, 3), 16, 0.1)


def test_without_instruction_nothing_of_the_text_side_is_there() -> None:
    plain, reading = (
        {name for name, _ in make("qformer", instruction=flag).named_parameters()} for flag in (False, True)
    )
    beside = reading - plain
    assert plain < reading
    assert {name.split(".")[1] for name in beside} == {"words", "places", "layers"}
    assert all("text_feed_forward" in name for name in beside if ".layers." in name)


class TestPublishedSizes:
    """On the meta device: every shape is real, no memory is taken."""

    def count(self, kind: Any, dim: int, grid: tuple[int, int], language: int, vocabulary: int | None = None) -> int:
        with torch.device("meta"):
            adapter = build(kind, dim, grid, language, 0.02, tokenise=tokenise, vocabulary=vocabulary)
        assert all(parameter.is_meta for parameter in adapter.parameters())
        return sum(parameter.numel() for parameter in adapter.parameters())

    @pytest.mark.parametrize("text", [False, True])
    def test_the_q_former_of_blip2(self, text: bool) -> None:
        from transformers import Blip2QFormerConfig
        from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel, Blip2TextEmbeddings

        sizes = Blip2QFormerConfig(encoder_hidden_size=1408, vocab_size=30523, use_qformer_text_input=text)
        with torch.device("meta"):
            theirs = [Blip2QFormerModel(sizes), torch.nn.LayerNorm(1408), torch.nn.Linear(768, 2560)]
            theirs += [Blip2TextEmbeddings(sizes)] if text else []
        expected = sum(parameter.numel() for module in theirs for parameter in module.parameters()) + 32 * 768
        ours = self.count(QFormerConfig(instruction=text, text_tokens=512), 1408, (16, 16), 2560, 30523)
        assert ours == expected
        if text:  # "188M parameters": queries, features' projections, BERT-base with its prediction head, both sides
            beside = 2 * 1408 + 768 * 2560 + 2560  # the LayerNorm of features and the projection to OPT-2.7B
            head = 768 * 768 + 768 + 2 * 768 + 30523 + 2 * (768 * 256 + 256) + 768 * 2 + 2
            assert ours - beside + head == pytest.approx(188e6, rel=0.01)

    def test_the_perceiver_of_openflamingo(self) -> None:
        from transformers import IdeficsConfig
        from transformers.models.idefics.perceiver import IdeficsPerceiverResampler

        with torch.device("meta"):
            theirs = IdeficsPerceiverResampler(IdeficsConfig(vision_config={"embed_dim": 1024}), 1024, 6, 8, 64, 64)
        expected = sum(parameter.numel() for parameter in theirs.parameters())
        assert self.count(PerceiverConfig(project=False), 1024, (16, 16), 1024) == expected == 63_019_008

    def test_the_connector_of_kosmos2(self) -> None:
        from transformers import Kosmos2Config
        from transformers.models.kosmos2.modeling_kosmos2 import Kosmos2ImageToTextProjection

        with torch.device("meta"):
            theirs = Kosmos2ImageToTextProjection(Kosmos2Config())
        expected = sum(parameter.numel() for parameter in theirs.parameters())
        assert self.count(ConnectorConfig(normalise=False), 1024, (16, 16), 2048) == expected
