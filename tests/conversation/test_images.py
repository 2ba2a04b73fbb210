"""Pictures are opened upright, with their greys kept, wherever they come from; their size is known without their pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from triptych.conversation import Frame, Image
from triptych.errors import DataError

ORIENTATION = 0x0112


def turned(orientation: int = 6, form: str = "JPEG") -> bytes:
    """A file of 200 × 100 stored pixels that says how it has to be turned."""
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    stream = io.BytesIO()
    Pillow.new("RGB", (200, 100), "red").save(stream, form, exif=exif)
    return stream.getvalue()


def test_a_picture_in_memory_stands_as_its_file_does(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    path.write_bytes(turned())
    sources: tuple[Any, ...] = (path, turned(), Pillow.open(path), lambda: Pillow.open(path))
    assert [Image(source).open().size for source in sources] == [(100, 200)] * 4
    assert [Image(source).frame for source in sources] == [Frame(100, 200)] * 4


def test_sixteen_bits_of_grey_stay_greys(tmp_path: Path) -> None:
    deep = Pillow.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16))
    assert deep.mode == "I;16"
    deep.save(tmp_path / "grey.png")
    for source in (tmp_path / "grey.png", deep):
        assert np.asarray(Image(source).open())[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_the_frame_of_a_file_is_that_of_its_pixels(orientation: int, form: str) -> None:
    image = Image(turned(orientation, form))
    assert image.frame == Frame(*image.open().size)


def test_the_frame_of_a_file_is_read_without_its_pixels() -> None:
    cut = turned(6)[:-200]
    with pytest.raises(DataError, match="not a readable picture"):
        Image(cut).open()
    assert Image(cut).frame == Frame(100, 200)
    with pytest.raises(DataError, match="not a readable picture"):
        assert Image(b"none").frame
    with pytest.raises(DataError, match="cannot be read"):
        assert Image("missing.png").frame


def test_what_is_drawn_is_not_drawn_to_know_its_size() -> None:
    def never() -> Pillow.Image:
        raise AssertionError

    assert Image(never, key="drawn", size=(30, 20)).frame == Frame(30, 20)
