"""Regions drawn on their picture: boxes, masks and points in colours of their own, labels that can be read.

Small pictures are enlarged first, so that lines are thin and letters sharp; the layout of labels is a pure function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from triptych.conversation import Frame, Region

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

Colour = tuple[int, int, int]
Corner = tuple[int, int]
Size = tuple[int, int]

COLOURS: tuple[Colour, ...] = (
    (230, 57, 70), (29, 110, 210), (22, 148, 90), (244, 140, 6), (131, 56, 190), (0, 150, 170), (214, 40, 140),
    (110, 86, 50), (90, 160, 20), (70, 70, 90),
)  # fmt: skip
"""Told apart from each other and from most of what pictures show; then they repeat."""

TRUTH: Colour = (30, 30, 30)
"""Of what is true, where answers are drawn beside it."""

EDGE = 640
"""Pictures whose longer side is shorter are enlarged to this many pixels."""

_FILL = 0.38
_OUTER = 2  # pixels of white around lines and labels


def draw_regions(
    picture: PILImage,
    regions: Sequence[Region],
    *,
    labels: Sequence[str] | None = None,
    colours: Sequence[Colour] | None = None,
    edge: int = EDGE,
) -> PILImage:
    """A copy of a picture with regions drawn on it.

    Args:
        picture: The pixels.
        regions: In any frame of the whole picture. Where one has a mask, the mask is tinted; points are dots.
        labels: One per region; their names by default. An empty one is not written.
        colours: One per region; by default one per label, so that regions of one phrase look alike.
        edge: Enlarge pictures whose longer side is shorter than this many pixels.

    Raises:
        ValueError: There are not as many labels or colours as regions.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    names = [region.name for region in regions] if labels is None else list(labels)
    shades = colours_of(names) if colours is None else list(colours)
    if not len(names) == len(shades) == len(regions):
        raise ValueError(f"{len(regions)} regions need as many labels and colours, got {len(names)} and {len(shades)}")
    canvas = picture.convert("RGB")
    if max(canvas.size) < edge:
        factor = edge / max(canvas.size)
        canvas = canvas.resize((round(canvas.width * factor), round(canvas.height * factor)), Pillow.Resampling.LANCZOS)
    frame = Frame(*canvas.size)
    placed = [region.to(frame).clip() for region in regions]
    for region, shade in zip(placed, shades, strict=True):
        if region.mask is not None:
            canvas = _tinted(canvas, region, shade)
    pen = ImageDraw.Draw(canvas)
    width = max(2, round(max(canvas.size) / 240))
    for region, shade in sorted(zip(placed, shades, strict=True), key=lambda pair: -pair[0].area):
        _outline(pen, region, shade, width)
    _label(pen, [region.box for region in placed], names, shades, canvas.size)
    return canvas


def colours_of(names: Sequence[str]) -> list[Colour]:
    """A colour for each region: the same for equal names, another one for each without a name."""
    known: dict[str, int] = {}
    keys = [name or f"\0{place}" for place, name in enumerate(names)]
    for key in keys:
        known.setdefault(key, len(known))
    return [COLOURS[known[key] % len(COLOURS)] for key in keys]


def place_labels(boxes: Sequence[Sequence[float]], sizes: Sequence[Size], picture: Size) -> list[Corner]:
    """Where labels stand: each by its box, inside the picture, none over another as long as there is room.

    Args:
        boxes: `(left, top, right, bottom)` in pixels.
        sizes: Width and height of each label.
        picture: Width and height of the picture.

    Returns:
        The top left corner of each.
    """
    taken: list[tuple[int, int, int, int]] = []
    corners = []
    for box, size in zip(boxes, sizes, strict=True):
        spots = [_kept(corner, size, picture) for corner in _spots(box, size, picture)]
        corner = min(spots, key=lambda spot: (_covered(spot, size, taken), spots.index(spot)))
        taken.append((*corner, corner[0] + size[0], corner[1] + size[1]))
        corners.append(corner)
    return corners


def _spots(box: Sequence[float], size: Size, picture: Size) -> list[Corner]:
    """Corners to try, the best first: on top of the box, inside it, below it, then ever further away."""
    left, top, right, bottom = (round(value) for value in box)
    width, height = size
    near = [(left, top - height), (left, top), (right - width, top - height), (left, bottom), (left, bottom - height),
            (right, top), (left - width, top)]  # fmt: skip
    steps = range(0, max(1, picture[1] - height) + 1, max(1, height))
    columns = (left, right - width, 0, max(0, picture[0] - width))
    far = [(x, y) for y in sorted(steps, key=lambda y: abs(y - top)) for x in columns]
    return near + far


def _kept(corner: Corner, size: Size, picture: Size) -> Corner:
    x, y = (min(max(0, at), max(0, most - length)) for at, length, most in zip(corner, size, picture, strict=True))
    return x, y


def _covered(corner: Corner, size: Size, taken: Sequence[tuple[int, int, int, int]]) -> int:
    """How many pixels of a label would lie on labels that are placed."""
    x, y = corner
    return sum(
        max(0, min(x + size[0], right) - max(x, left)) * max(0, min(y + size[1], bottom) - max(y, top))
        for left, top, right, bottom in taken
    )


def _tinted(canvas: PILImage, region: Region, shade: Colour) -> PILImage:
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageChops, ImageFilter

    assert region.mask is not None
    pixels = region.mask.decode(canvas.height, canvas.width)
    mask = Pillow.fromarray((pixels * 255).astype(np.uint8))
    canvas = Pillow.composite(Pillow.blend(canvas, Pillow.new("RGB", canvas.size, shade), _FILL), canvas, mask)
    rim = ImageChops.difference(mask.filter(ImageFilter.MaxFilter(3)), mask.filter(ImageFilter.MinFilter(3)))
    canvas.paste(shade, mask=rim)
    return canvas


def _outline(pen: Any, region: Region, shade: Colour, width: int) -> None:
    left, top, right, bottom = region.box
    for x, y in region.points:
        radius = 2 * width
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade, outline="white", width=_OUTER)
    if region.is_degenerate and region.points:
        return
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    outer = (left - 1, top - 1, right + 1, bottom + 1)
    pen.rounded_rectangle(outer, radius=width, outline="white", width=width + _OUTER)
    pen.rounded_rectangle((left, top, right, bottom), radius=width, outline=shade, width=width)


def _label(
    pen: Any, boxes: Sequence[Sequence[float]], names: Sequence[str], shades: Sequence[Colour], picture: Size
) -> None:
    from PIL import ImageFont

    height = max(14, round(max(picture) / 40))
    font = ImageFont.load_default(height)
    room = picture[0] - height
    written = [
        (box, _shortened(name, font, room), shade) for box, name, shade in zip(boxes, names, shades, strict=True)
    ]
    written = [each for each in written if each[1]]
    pad = max(3, height // 4)
    sizes = [(round(font.getlength(text)) + 2 * pad, height + 2 * pad) for _, text, _ in written]
    corners = place_labels([box for box, _, _ in written], sizes, picture)
    for (_, text, shade), (width, tall), (x, y) in zip(written, sizes, corners, strict=True):
        pen.rounded_rectangle((x, y, x + width - 1, y + tall - 1), radius=pad, fill=shade, outline="white", width=1)
        pen.text((x + pad, y + tall / 2), text, fill=ink_on(shade), font=font, anchor="lm")


def _shortened(text: str, font: Any, room: int) -> str:
    """A text cut to fit, with an ellipsis."""
    text = " ".join(text.split())
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return f"{text}…" if text else ""


def ink_on(shade: Colour) -> str:
    """Black or white, whichever contrasts more with a colour (WCAG's relative luminance)."""
    linear = [value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in shade]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "black"
