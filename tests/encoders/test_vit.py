"""Our own vision transformer: published sizes, positions, masks, patches left out, pooling."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModel

from encoders.tiny_towers import KINDS, pictures, vision_shape, vision_tower
from triptych.encoders.published import PUBLISHED, published
from triptych.encoders.rope import rotate, rotation
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.vit import VisionTower
from triptych.errors import RecipeError
from triptych.kernels import products

MILLIONS = {
    # vision, text, both: the papers', model cards' and repositories' figures
    "clip-b32": (87.8, 63.4, 151.3),
    "clip-b16": (86.2, 63.4, 149.6),
    "clip-l14": (304.0, 123.7, 427.6),
    "clip-l14-336": (304.3, 123.7, 427.9),
    "eva01-clip-g14": (1012.0, 124.0, 1136.0),
    "eva02-clip-b16": (86.0, 63.4, 149.0),
    "eva02-clip-l14": (304.0, 124.0, 428.0),
    "eva02-clip-l14-336": (304.0, 124.0, 428.0),
    "siglip-b16": (92.9, 110.3, 203.2),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    with torch.device("meta"):
        vision = VisionTower(published(name).vision, published(name).embed_dim)
        text = TextTower(published(name).text, published(name).embed_dim)
    counts = [sum(p.numel() for p in tower.parameters()) for tower in (vision, text)]
    assert [*counts, sum(counts)] == [pytest.approx(1e6 * expected, rel=0.01) for expected in MILLIONS[name]]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"did you mean clip-l14\?"):
        published("clip_l14")


@pytest.mark.parametrize("name", KINDS)
def test_encoding_is_pooling_the_states(name: str) -> None:
    tower = vision_tower(name)
    torch.testing.assert_close(tower.encode(pictures()), tower.pooled(tower(pictures())))


@pytest.mark.parametrize("name", KINDS)
def test_everything_learns(name: str) -> None:
    tower = vision_tower(name).train()
    tower.encode(pictures()).square().sum().backward()
    assert [n for n, p in tower.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("name", KINDS)
def test_first_weights_keep_the_spread(name: str) -> None:
    torch.manual_seed(0)
    tower = VisionTower(vision_shape(name, width=64, heads=4, layers=12), 64)
    with torch.no_grad():
        x, turns = tower.embed(pictures(8))
        out = x
        for block in tower.blocks:
            out = block(out, turns)
    assert 0.5 < float(out.std() / x.std()) < 4


@pytest.mark.parametrize("name", KINDS)
def test_bfloat16_is_near_float32(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tower = vision_tower(name).requires_grad_(False)
    expected = tower(pictures())
    for scores in (1, 20, products.SCORES):  # a few queries, a few pictures, everything at once
        monkeypatch.setattr(products, "SCORES", scores)
        found = vision_tower(name).requires_grad_(False).bfloat16()(pictures()).float()
        assert float((found - expected).abs().mean() / expected.abs().mean()) < 0.03


def test_rotations_are_those_of_the_published_formula() -> None:
    """Written as in EVA's `VisionRotaryEmbeddingFast`: a matrix of angles by outer products, pairs repeated."""
    rows, columns, width, reference = 3, 3, 16, 5
    speeds = 1 / (10_000 ** (torch.arange(0, width // 2, 2).float() / (width // 2)))
    places = torch.arange(rows) / rows * reference
    angles = torch.outer(places, speeds).repeat_interleave(2, dim=-1)
    both = torch.cat([angles[:, None].expand(-1, columns, -1), angles[None].expand(rows, -1, -1)], dim=-1)
    angles = both.reshape(rows * columns, width)
    x = torch.randn(2, 3, rows * columns, width)
    swapped = torch.stack([-x[..., 1::2], x[..., 0::2]], dim=-1).flatten(-2)
    expected = x * angles.cos() + swapped * angles.sin()
    turns = rotation((rows, columns), width, reference, 0, torch.device("cpu"))
    torch.testing.assert_close(rotate(x, turns), expected)


def test_turned_scores_depend_on_displacement_alone() -> None:
    side = 6
    turns = rotation((side, side), 8, side, 0, torch.device("cpu"))
    query, key = (rotate(torch.randn(1, 1, 1, 8).expand(1, 1, side**2, 8), turns)[0, 0] for _ in range(2))
    scores = (query @ key.t()).reshape(side, side, side, side)
    torch.testing.assert_close(scores[1:, 2:, 1:, 2:], scores[:-1, :-2, :-1, :-2], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(scores[1, 1, 1], scores[1, 1, 1, 0].expand(side), atol=1e-2)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_masked_is_not_seen(name: str) -> None:
    tower = vision_tower(name, mask_token=True)
    masked = torch.zeros(2, 9, dtype=torch.bool)
    masked[:, [0, 5]] = True
    shown = pictures()
    changed = shown.clone()
    changed[:, :, :8, :8] = 255 - changed[:, :, :8, :8]  # patch 0
    changed[:, :, 8:16, 16:] = 0  # patch 5
    torch.testing.assert_close(tower(shown, masked), tower(changed, masked), rtol=0, atol=0)
    assert not torch.allclose(tower(shown), tower(changed))
    torch.testing.assert_close(tower(shown, torch.zeros_like(masked)), tower(shown), rtol=0, atol=0)


def test_masked_places_are_told_apart_and_the_token_learns() -> None:
    tower = vision_tower("clip-b32", mask_token=True)
    states = tower(pictures(), torch.ones(2, 9, dtype=torch.bool))
    assert not torch.allclose(states[:, 1], states[:, 2])
    states.sum().backward()
    assert tower.mask_token is not None
    assert tower.mask_token.grad is not None


def test_masks_need_a_mask_token() -> None:
    with pytest.raises(ValueError, match="mask_token"):
        vision_tower("clip-b32")(pictures(), torch.ones(2, 9, dtype=torch.bool))


@pytest.mark.parametrize("name", KINDS)
def test_patches_keep_their_places_when_others_are_left_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reordered patches bring their positions and rotations along, so that the pooled answer stays."""
    tower = vision_tower(name)
    expected = tower.encode(pictures())
    order = torch.stack([torch.randperm(9), torch.randperm(9)])
    monkeypatch.setattr(tower, "_kept", lambda cells: order)
    torch.testing.assert_close(tower.encode(pictures()), expected)
    states = tower(pictures())[:, tower.prefix :]
    monkeypatch.undo()
    whole = tower(pictures())[:, tower.prefix :]
    torch.testing.assert_close(states, torch.stack([whole[i, order[i]] for i in range(2)]))


@pytest.mark.parametrize("name", KINDS)
def test_a_patch_left_out_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tower = vision_tower(name)
    monkeypatch.setattr(tower, "_kept", lambda cells: torch.tensor([[0, 4, 8], [1, 2, 3]]))
    changed = pictures()
    changed[0, :, :8, 8:16] = 0  # patch 1 of the first picture
    assert tower(pictures()).shape[1] == tower.prefix + 3
    torch.testing.assert_close(tower.encode(changed)[0], tower.encode(pictures())[0], rtol=0, atol=0)


def test_patches_are_left_out_while_training_only() -> None:
    tower = VisionTower(vision_shape("eva02-clip-b16"), 16, patch_dropout=0.5)
    assert tower.train()(pictures()).shape[1] == 1 + 4
    assert not torch.equal(tower.encode(pictures()), tower.encode(pictures()))
    assert tower.eval()(pictures()).shape[1] == 1 + 9
    torch.manual_seed(0)
    drawn = torch.cat([tower.train()._kept(torch.empty(100, 9, 1)) for _ in range(10)])  # type: ignore[misc]
    shares = functional.one_hot(drawn, 9).sum(dim=1).float().mean(dim=0)
    assert float((shares - 4 / 9).abs().max()) < 0.06  # each patch as often as any other


def test_another_size_of_picture_is_transformers_interpolation() -> None:
    sizes: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 8}
    theirs = CLIPVisionModel(CLIPVisionConfig(**sizes, intermediate_size=64, image_size=24)).eval()
    from triptych.formats import recognise

    tower = vision_tower("clip-b32")
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    found = recognise(theirs.state_dict(), "the tower").ours(theirs.state_dict())
    tower.load_state_dict({name.removeprefix("vision."): tensor for name, tensor in found.items()}, strict=False)
    shown = tower.normalise(pictures(size=40), torch.float32)
    expected = theirs(pixel_values=shown, interpolate_pos_encoding=True).last_hidden_state
    torch.testing.assert_close(tower(pictures(size=40)), theirs.post_layernorm(expected), atol=1e-5, rtol=1e-4)


def test_another_size_turns_by_the_same_range() -> None:
    cosines, _ = rotation((4, 4), 8, 16, 1, torch.device("cpu"))
    assert torch.equal(cosines[0], torch.ones(4))  # the class token does not turn
    assert float(cosines[1 + 4 * 3, 0]) == pytest.approx(math.cos(3 / 4 * 16))


def test_pictures_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(ValueError, match="20 × 20 pixels cannot be cut into patches of 8 × 8"):
        vision_tower("clip-b32")(pictures(size=20))


def test_without_a_projection_the_widths_must_be_equal() -> None:
    with pytest.raises(RecipeError, match=r"`width: 16` must be the `embed_dim: 20`"):
        VisionTower(vision_shape("siglip-b16"), 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "not a multiple of `heads: 3`"),
        ({"image_size": 25}, "not a multiple of `patch_size: 8`"),
        ({"class_token": False}, "needs the class token"),
        ({"rope": 16, "heads": 8}, "heads of a multiple of 4 channels, not 2"),
    ],
)
def test_shapes_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vision_shape("clip-b32", **options)


def test_the_inner_width_survives_a_division() -> None:
    for hidden in range(1, 200):
        assert vision_shape("clip-b32", mlp_ratio=hidden / 16).hidden == hidden
