"""Pictures of every mode and of every format, as people see them; hostile ones are refused in bounded memory."""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageCms, features

from triptych.conversation import Image
from triptych.conversation.decoding import FORMATS, MAX_PIXELS, MAX_RATIO, WHITE
from triptych.errors import DataError

CASES = Path(__file__).parents[2].parent / "shared" / "cases" / "pictures"
GREEN = (0, 255, 0)


def encoded(picture: Pillow.Image, form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def pixel(source: Any, place: tuple[int, int] = (0, 0), background: tuple[int, int, int] = WHITE) -> Any:
    return Image(source).open(background).getpixel(place)


@pytest.mark.parametrize(
    ("name", "middle"), [("rgba", (0, 0, 255)), ("rgba_black", (0, 0, 0)), ("p_trns", (0, 0, 255))]
)
def test_the_transparent_corner_is_the_background_and_the_middle_as_drawn(name: str, middle: tuple[int, ...]) -> None:
    path = CASES / f"{name}.png"
    if not path.is_file():
        pytest.skip("../shared/cases is not here")
    assert (pixel(path), pixel(path, (32, 32))) == (WHITE, middle)
    assert pixel(path, background=GREEN) == GREEN


def drawn(mode: str) -> tuple[Pillow.Image, dict[str, Any]]:
    """A picture of 8 × 8 pixels that shows black but for its first row, which is transparent, with what saves it so."""
    colour = Pillow.new("RGBA", (8, 8), (0, 0, 0, 255))
    colour.paste((250, 10, 10, 0), (0, 0, 8, 1))
    match mode:
        case "RGBA" | "LA":
            return colour.convert(mode), {}
        case "RGBa" | "La":
            return colour.convert(mode.upper()).convert(mode), {}
        case "PA":
            picture = Pillow.frombytes("PA", (8, 8), bytes([0, 0] * 8 + [1, 255] * 56))
            picture.putpalette([250, 10, 10, 0, 0, 0])
            return picture, {}
        case "P":
            picture = Pillow.new("P", (8, 8), 1)
            picture.putpalette([250, 10, 10, 0, 0, 0])
            picture.paste(0, (0, 0, 8, 1))
            return picture, {"transparency": 0}
        case "RGB":
            return colour.convert("RGB"), {"transparency": (250, 10, 10)}
        case "L" | "1":
            picture = Pillow.new(mode, (8, 8), 0)
            picture.paste(255, (0, 0, 8, 1))
            return picture, {"transparency": 255}
        case "I;16":
            values = np.zeros((8, 8), dtype=np.uint16)
            values[0] = 40_000
            return Pillow.fromarray(values), {"transparency": 40_000}
    raise AssertionError(mode)


TRANSPARENT = [
    *((mode, "PNG") for mode in ("RGBA", "LA", "P", "RGB", "L", "1", "I;16")),
    *((mode, "WEBP") for mode in ("RGBA",)),
    *((mode, "GIF") for mode in ("P",)),
    *((mode, "TIFF") for mode in ("RGBA", "LA", "PA")),
    *((mode, "memory") for mode in ("RGBA", "LA", "RGBa", "La", "PA")),
]


@pytest.mark.parametrize(("mode", "form"), TRANSPARENT)
def test_every_kind_of_transparency_is_composited(mode: str, form: str) -> None:
    picture, options = drawn(mode)
    if form == "WEBP":
        options["lossless"] = True
    source = picture if form == "memory" else encoded(picture, form, **options)
    for background in (WHITE, GREEN):
        assert pixel(source, (3, 0), background) == background
        assert pixel(source, (3, 4), background) == (0, 0, 0)


@given(st.integers(0, 2**32), st.tuples(*[st.integers(0, 255)] * 3))
@settings(max_examples=30, deadline=None)
def test_compositing_is_that_of_pillow_and_of_the_formula(seed: int, background: tuple[int, int, int]) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    seen = np.asarray(Image(encoded(Pillow.fromarray(values))).open(background)).astype(float)
    alpha = values[..., 3:] / 255
    assert np.abs(seen - (values[..., :3] * alpha + np.array(background) * (1 - alpha))).max() <= 1
    canvas = Pillow.new("RGBA", (7, 5), (*background, 255))
    reference = Pillow.alpha_composite(canvas, Pillow.fromarray(values)).convert("RGB")
    assert np.abs(seen - np.asarray(reference)).max() <= 1


def test_greys_of_more_bits_are_scaled_and_refused_where_nobody_says_what_white_is() -> None:
    greys = [0, 257, 32_896, 65_535]
    integers = Pillow.fromarray(np.array([greys], dtype=np.int32))
    floats = Pillow.fromarray(np.array([[0, 1 / 255, 128 / 255, 1]], dtype=np.float32))
    assert (integers.mode, floats.mode) == ("I", "F")
    for source in (integers, floats, encoded(integers, "TIFF"), encoded(floats, "TIFF"), encoded(integers, "PPM")):
        assert np.asarray(Image(source).open())[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]
    for values in (np.float32([[0, 2]]), np.float32([[np.nan, 0]]), np.float32([[-1, 0]]), np.int32([[0, 70_000]])):
        with pytest.raises(DataError, match=r"not a readable picture .*has values from 0 to"):
            Image(Pillow.fromarray(values)).open()


COLOURS = [
    ("CMYK", "TIFF"),
    ("CMYK", "JPEG"),
    ("YCbCr", "JPEG"),
    ("LAB", "TIFF"),
    ("HSV", "memory"),
    ("RGBX", "memory"),
]


@pytest.mark.parametrize(("mode", "form"), COLOURS)
def test_other_colour_spaces_become_the_colours_that_were_meant(mode: str, form: str) -> None:
    colours = ((200, 40, 40), (40, 160, 60), (40, 60, 200))
    for colour in colours:
        rgb = Pillow.new("RGB", (16, 16), colour)
        if mode == "LAB":
            profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
            picture = ImageCms.profileToProfile(rgb, *profiles, outputMode="LAB")
            assert picture is not None
        else:
            picture = rgb.convert(mode)
        source = picture if form == "memory" else encoded(picture, form)
        assert np.abs(np.array(pixel(source, (8, 8))) - colour).max() <= 10


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_seen(form: str) -> None:
    frames = [Pillow.new("RGB", (12, 12), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    source = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    red, green, blue = pixel(source, (6, 6))
    assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize("form", FORMATS)
def test_every_allowed_format_is_read(form: str) -> None:
    if form == "AVIF" and not (features.check_module("avif") if "avif" in features.modules else False):
        pytest.skip("this Pillow reads no AVIF")
    options = {"save_all": True, "append_images": [Pillow.new("RGB", (16, 16))]} if form == "MPO" else {}
    source = encoded(Pillow.new("RGB", (16, 16), (250, 250, 250)), form, **options)
    assert min(pixel(source)) > 240


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


def test_a_program_that_calls_itself_a_picture_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a program was started")

    for name in ("run", "Popen", "check_call"):
        monkeypatch.setattr(subprocess, name, never)
    path = tmp_path / "evil.jpg"
    path.write_bytes(EPS)
    others = [encoded(Pillow.new("RGB", (8, 8)), form) for form in ("ICO", "TGA", "PCX", "PDF", "SGI")]
    for source in (path, EPS, *others):
        with pytest.raises(DataError, match="not a readable picture of a known format"):
            Image(source).open()
        with pytest.raises(DataError, match="not a readable picture of a known format"):
            assert Image(source).frame


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "memory", "drawn"])
@pytest.mark.parametrize("size", [(1, MAX_RATIO + 1), (3 * MAX_RATIO + 1, 3)])
def test_strips_are_refused_from_the_header(form: str, size: tuple[int, int]) -> None:
    picture = Pillow.new("L", size)
    source = {"memory": picture, "drawn": lambda: picture}.get(form) or encoded(picture, form)
    for attempt in (lambda: Image(source).open(), lambda: Image(source).frame):
        with pytest.raises(DataError, match="one side is more than 200 times the other"):
            attempt()
    assert Image(Pillow.new("L", (1, MAX_RATIO))).open().size == (1, MAX_RATIO)


def test_the_features_of_opaque_pictures_keep_their_keys_and_others_get_new_ones() -> None:
    import hashlib

    def before(data: bytes) -> str:
        return hashlib.sha256(b"bytes:" + data).hexdigest()

    noise = Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    for opaque in (encoded(noise), encoded(noise, "JPEG"), encoded(noise.convert("L")), encoded(noise.convert("P"))):
        assert Image(opaque).content_hash == before(opaque)
    assert Image(b"damaged").content_hash == before(b"damaged")
    hidden = [encoded(*drawn(mode)[:1], "PNG", **drawn(mode)[1]) for mode in ("RGBA", "LA", "P", "RGB", "L")]
    floats = encoded(Pillow.fromarray(np.zeros((2, 2), dtype=np.float32)), "TIFF")
    for changed in (*hidden, floats):
        assert Image(changed).content_hash != before(changed)
    pink, half = Pillow.new("RGBA", (4, 4), (255, 128, 128, 255)), Pillow.new("RGBA", (4, 4), (255, 0, 0, 127))
    assert Image(pink).open().tobytes() == Image(half).open().tobytes()
    assert Image(pink).content_hash != Image(half).content_hash  # on another background they differ


SEEDS = [
    encoded(Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 4), dtype=np.uint8)), "PNG"),
    encoded(Pillow.fromarray(np.random.default_rng(1).integers(0, 256, (24, 20, 3), dtype=np.uint8)), "JPEG"),
    encoded(Pillow.fromarray(np.random.default_rng(2).integers(0, 256, (24, 20, 4), dtype=np.uint8)), "WEBP"),
    encoded(Pillow.fromarray(np.random.default_rng(3).integers(0, 256, (24, 20), dtype=np.uint8)), "GIF"),
    encoded(Pillow.fromarray(np.random.default_rng(4).integers(0, 256, (24, 20, 3), dtype=np.uint8)), "TIFF"),
    encoded(Pillow.fromarray(np.random.default_rng(5).integers(0, 256, (24, 20, 3), dtype=np.uint8)), "BMP"),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A small picture with some bytes changed, cut out or doubled: most often in its head."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        if not data:
            break
        place = draw(st.integers(0, min(len(data) - 1, draw(st.sampled_from([40, 120, 10_000])))))
        match draw(st.sampled_from(["change", "cut", "double"])):
            case "change":
                data[place] = draw(st.integers(0, 255))
            case "cut":
                del data[place : place + draw(st.integers(1, 50))]
            case "double":
                data[place:place] = data[place : place + draw(st.integers(1, 50))]
    return bytes(data)


@given(damaged())
@settings(max_examples=150, deadline=None)
def test_damaged_pictures_are_read_or_refused_and_nothing_else(data: bytes) -> None:
    image = Image(data)
    assert len(image.content_hash) == 64
    tracemalloc.start()
    try:
        picture = image.open()
        assert picture.mode == "RGB" and picture.size == (image.frame.width, image.frame.height)
    except DataError as error:
        assert len(str(error)) < 400 and "\n" not in str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1_000_000_000


BOMBS = r"""
import io, re, struct, sys, zlib
from PIL import Image as Pillow
from triptych.conversation import Image
from triptych.errors import DataError

def png(width, height, colour, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(bytes(min(1 + width * channels[colour], 100_000))) for _ in range(rows)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")

def highest():
    # In KiB, of this program alone: getrusage would count the process that started it, too.
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])

channels = {0: 1, 2: 3, 6: 4}
for source in (png(1, 100_000, 0, 100_000), png(60_000, 60_000, 2, 1), png(2**31 - 1, 2**31 - 1, 6, 1), png(9_000, 9_000, 6, 1)):
    try:
        Image(source).open()
        sys.exit("read")
    except DataError:
        pass
assert highest() < 400_000, "refused before decoding"
peak = highest()
assert peak < 400_000, "refused before decoding"
assert Image(png(2_500, 2_500, 6, 2_500)).open().size == (2_500, 2_500)
for mode in ("F", "I", "LA", "CMYK"):
    assert Image(Pillow.new(mode, (2_500, 2_500))).open().mode == "RGB"
print((highest() - peak) * 1024 / 2_500**2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_what_a_picture_takes_keeps_the_largest_under_two_gigabytes() -> None:
    done = subprocess.run([sys.executable, "-c", BOMBS], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) * MAX_PIXELS < 1_800_000_000
