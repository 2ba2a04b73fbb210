"""What decoders of regions give, and how they behave."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from triptych.decoders import losses
from triptych.decoders.boxes import BoxHead
from triptych.decoders.config import BoxHeadConfig, EmbeddingRegionsConfig, MaskDecoderConfig
from triptych.decoders.masks import MaskDecoder
from triptych.decoders.neck import Neck, fold, unfold
from triptych.decoders.positions import FourierPositions, cell_centres
from triptych.decoders.regions import RegionDecoder
from triptych.encoders.encoder import Level
from triptych.errors import RecipeError

WIDTH = 16
SMALL = MaskDecoderConfig(layers=2, heads=2, feed_forward=24, reduction=2, more_masks=0)


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_mask_is_four_times_as_fine_as_the_picture() -> None:
    torch.manual_seed(0)
    decoder = MaskDecoder(SMALL, WIDTH)
    masks, quality = decoder(some(2, WIDTH, 3, 5), some(4, WIDTH), torch.tensor([0, 1, 1, 0]))
    assert masks.shape == (4, 12, 20)
    assert quality.shape == (4,)


def test_a_region_depends_on_its_own_picture_and_prompt_alone() -> None:
    """Every prompt decoded with others gives what it gives alone: regions of a batch do not see each other."""
    torch.manual_seed(0)
    decoder, head = MaskDecoder(SMALL, WIDTH), BoxHead(BoxHeadConfig(hidden=16, heads=2), WIDTH)
    torch.nn.init.normal_(head.network.layers[-1].weight)
    pictures, prompts, owner = some(2, WIDTH, 4, 4), some(3, WIDTH, seed=1), torch.tensor([1, 0, 1])
    together, boxes = decoder(pictures, prompts, owner)[0], head(pictures, prompts, owner)
    for i, picture in enumerate(owner.tolist()):
        alone = (pictures[picture : picture + 1], prompts[i : i + 1], torch.tensor([0]))
        torch.testing.assert_close(decoder(*alone)[0][0], together[i])
        torch.testing.assert_close(head(*alone)[0], boxes[i])


def test_gradients_reach_everything_that_learns() -> None:
    torch.manual_seed(0)
    config = EmbeddingRegionsConfig(width=WIDTH, mask=SMALL, box=BoxHeadConfig(hidden=16, heads=2), fineness=2)
    decoder = RegionDecoder(config, 12, 7 * 16 + 5, (3, 3), (Level(7, 4), Level(5, 1)))
    torch.nn.init.normal_(decoder.box.network.layers[-1].weight)  # type: ignore[union-attr]
    hidden = some(4, 12).requires_grad_(True)
    picture = decoder.picture(some(2, 9, 7 * 16 + 5))
    found = decoder(hidden, picture, torch.tensor([0, 0, 1, 1]))
    assert found.boxes is not None
    assert found.masks is not None
    assert found.quality is not None
    assert found.masks.shape[1:] == decoder.mask_size == (24, 24)
    target = torch.tensor([0.5, 0.4, 0.2, 0.3]).expand(4, 4)
    loss = losses.box_l1(found.boxes, target) + losses.dice(found.masks, torch.ones_like(found.masks))
    (loss.sum() + found.quality.sum()).backward()
    assert hidden.grad is not None
    assert hidden.grad.abs().min() > 0
    still = [name for name, parameter in decoder.named_parameters() if parameter.grad is None]
    assert still == []


def test_without_a_look_the_box_depends_on_the_hidden_state_alone() -> None:
    torch.manual_seed(0)
    head = BoxHead(BoxHeadConfig(looks=0, hidden=16), WIDTH)
    torch.nn.init.normal_(head.network.layers[-1].weight)
    prompts, owner = some(3, WIDTH), torch.tensor([0, 0, 0])
    torch.testing.assert_close(
        head(some(1, WIDTH, 4, 4), prompts, owner), head(some(1, WIDTH, 4, 4, seed=9), prompts, owner)
    )


def test_an_untrained_box_stands_where_attention_looks() -> None:
    """The first guess: a picture of one loud cell draws attention, and the box's centre, to it."""
    torch.manual_seed(0)
    head = BoxHead(BoxHeadConfig(looks=1, hidden=16, heads=1), WIDTH)
    look = head.looks[0]
    prompt, loud = torch.ones(1, WIDTH), torch.zeros(1, WIDTH, 5, 5)
    with torch.no_grad():
        look.query.weight.copy_(torch.eye(WIDTH))
        look.query.bias.zero_()
        look.key.weight.copy_(torch.eye(WIDTH))
        head.positions.directions.zero_()
    loud[..., 3, 1] = 50.0
    found = head(loud, prompt, torch.tensor([0]))[0]
    torch.testing.assert_close(found[:2], torch.tensor([0.3, 0.7]), rtol=0, atol=1e-3)


def test_positions_are_of_centres_row_by_row() -> None:
    centres = cell_centres(2, 4)
    assert centres[:2].tolist() == [[0.125, 0.25], [0.375, 0.25]]
    assert centres[-1].tolist() == [0.875, 0.75]
    assert FourierPositions(8).grid(2, 4).shape == (8, 8)


def test_fine_cells_go_where_they_are_in_the_picture() -> None:
    picture = some(2, 6, 8, 3)
    folded = fold(picture, 2)
    assert folded.shape == (2, 3, 4, 12)
    torch.testing.assert_close(folded[0, 1, 2, :3], picture[0, 2, 4])
    torch.testing.assert_close(unfold(folded.flatten(1, 2), (3, 4), 2), picture)


def test_the_neck_sees_details_of_the_fine_level() -> None:
    """A change in one fine cell changes the picture around it, and nothing far away."""
    torch.manual_seed(0)
    neck = Neck((Level(2, 4), Level(3, 1)), (4, 4), 8, 2)
    features = some(1, 16, 2 * 16 + 3)
    other = features.clone()
    other[0, 0, 15 * 2] += 3.0  # the last of the 16 fine cells of the first position
    change = (neck(features) - neck(other)).abs().sum(dim=1)[0]
    assert change.shape == (8, 8)
    assert change[1, 1] > 0
    assert change[3:].max() == 0
    assert change[:, 3:].max() == 0


def test_a_recipe_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError, match="multiple of 8"):
        EmbeddingRegionsConfig(width=20)
    with pytest.raises(ValidationError, match="both null"):
        EmbeddingRegionsConfig(box=None, mask=None)
    with pytest.raises(ValidationError, match="heads"):
        EmbeddingRegionsConfig(width=24, mask=MaskDecoderConfig(heads=5))
    with pytest.raises(RecipeError, match="width: 32"):
        RegionDecoder(EmbeddingRegionsConfig(width=64, neck=False), 8, 32, (2, 2), (Level(32),))
