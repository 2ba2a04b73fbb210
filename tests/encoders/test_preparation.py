"""How pictures become square."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from triptych.conversation import Image
from triptych.encoders.encoder import Normalisation
from triptych.encoders.preparation import ImagePreparation, mean_colour
from triptych.errors import DataError

RED, GREY = (255, 0, 0), (127, 127, 127)


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from(["pad", "squash", "crop"]),
    st.integers(1, 64),
    st.booleans(),
)
def test_every_picture_becomes_a_square_of_the_right_size(
    width: int, height: int, fit: str, size: int, bilinear: bool
) -> None:
    pixels = ImagePreparation(size, fit, bilinear=bilinear)(Image(Pillow.new("RGB", (width, height), RED)))  # type: ignore[arg-type]
    assert pixels.shape == (3, size, size)
    assert pixels.dtype == torch.uint8
    # A picture of one colour keeps it, whatever the interpolation; around it is nothing but the padding.
    colours = {tuple(colour) for colour in pixels.flatten(1).T.tolist()}
    assert colours <= ({RED, GREY} if fit == "pad" else {RED})
    assert RED in colours


def test_padding_keeps_the_shape_and_the_middle() -> None:
    wide = Image(Pillow.new("RGB", (80, 40), RED))
    pixels = ImagePreparation(20, "pad")(wide).permute(1, 2, 0).numpy()
    assert (pixels[5:15] == RED).all()
    assert (pixels[:5] == GREY).all() and (pixels[15:] == GREY).all()


def test_cropping_keeps_the_shape_and_loses_the_sides() -> None:
    canvas = np.zeros((10, 30, 3), dtype=np.uint8)
    canvas[:, 10:20] = RED
    pixels = ImagePreparation(10, "crop")(Image(Pillow.fromarray(canvas)))
    assert (pixels.permute(1, 2, 0).numpy() == RED).all()


def test_a_square_picture_of_the_right_size_is_left_as_it_is() -> None:
    canvas = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    for fit in ("pad", "squash", "crop"):
        pixels = ImagePreparation(24, fit)(Image(Pillow.fromarray(canvas)))  # type: ignore[arg-type]
        assert np.array_equal(pixels.permute(1, 2, 0).numpy(), canvas)


def test_a_preparation_travels_to_worker_processes() -> None:
    preparation = ImagePreparation(24, "pad")
    assert pickle.loads(pickle.dumps(preparation)) == preparation
    assert len(pickle.dumps(preparation)) < 1000


def test_the_padding_colour_normalises_to_about_zero() -> None:
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    colour = torch.tensor(mean_colour(mean), dtype=torch.uint8).view(1, 3, 1, 1)
    assert Normalisation(mean, std)(colour, torch.float32).abs().max() < 0.01


def test_normalisation_is_the_usual_formula() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    expected = (pixels.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(Normalisation(mean, std)(pixels, torch.float32), expected)


@pytest.mark.parametrize("fit", ["pad", "squash", "crop"])
def test_preparing_twice_gives_the_same_pixels(fit: str) -> None:
    canvas = np.random.default_rng(1).integers(0, 256, (31, 57, 3), dtype=np.uint8)
    preparation = ImagePreparation(24, fit)  # type: ignore[arg-type]
    first, second = (preparation(Image(Pillow.fromarray(canvas))) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize("size", [(17, 1500), (1500, 17), (40, 900), (331, 41)])
def test_a_strip_is_cut_before_it_is_resized_and_looks_the_same(size: tuple[int, int], bilinear: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Pillow.fromarray(noise)
    preparation = ImagePreparation(16, "crop", bilinear=bilinear)
    scale = 16 / min(size)
    width, height = (max(1, round(side * scale)) for side in size)
    method = Pillow.Resampling.BILINEAR if bilinear else Pillow.Resampling.BICUBIC
    left, top = -((16 - width) // 2), -((16 - height) // 2)
    whole = picture.resize((width, height), method).crop((left, top, left + 16, top + 16))
    assert max(width, height) > 4 * 16
    difference = np.asarray(preparation.square(picture)).astype(int) - np.asarray(whole).astype(int)
    assert np.abs(difference).max() <= 1


def test_what_a_strip_takes_does_not_depend_on_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    resize = Pillow.Image.resize

    def measured(picture: Pillow.Image, size: tuple[int, int], *args: object, **options: object) -> Pillow.Image:
        sizes.append(size[0] * size[1])
        return resize(picture, size, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Pillow.Image, "resize", measured)
    for side in (2, 200):
        ImagePreparation(336, "crop")(Image(Pillow.new("RGB", (1, side), RED)))
    assert max(sizes) <= 4 * 336**2
    with pytest.raises(DataError, match="one side is more than 200 times the other"):
        ImagePreparation(336, "crop")(Image(Pillow.new("RGB", (1, 100_000))))


def test_transparent_pixels_show_the_background_of_the_preparation() -> None:
    clear = Image(Pillow.new("RGBA", (8, 8), (9, 9, 9, 0)))
    for background in ((255, 255, 255), (10, 20, 30)):
        pixels = ImagePreparation(4, background=background)(clear)
        assert pixels.flatten(1).T.unique(dim=0).tolist() == [list(background)]


def test_features_of_opaque_pictures_stay_valid_on_the_default_background() -> None:
    before = {"size": 8, "fit": "pad", "colour": (127, 127, 127), "bilinear": False}
    assert ImagePreparation(8).identity == before
    assert ImagePreparation(8, background=(0, 0, 0)).identity == {**before, "background": (0, 0, 0)}
