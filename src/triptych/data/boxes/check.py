"""Whether a box can be one of its picture: the one place where readers, and regions of any source, are checked.

Datasets mix units and forms (pixels, shares, thousandths; corners, or a corner and a size). Clipping every box to the
picture would hide that: thousandths in a picture of 640 × 480 would become boxes at its edge.
"""

from __future__ import annotations

from triptych.conversation import Frame, Image, Region
from triptych.errors import DataError

TOLERANCE = 0.02
"""Share of the picture's side that a box may reach over its edge: what rounding and annotators' hands leave."""

TOLERATED_PIXELS = 2.0
"""The same in pixels, for small pictures."""

SMALLEST = 1.0
"""Pixels that a box has along each side, at least."""


def check_region(region: Region, picture: Frame | None = None, said: str = "", hint: str = "") -> Region:
    """The part of a region that is in the picture.

    Args:
        region: In any frame of the picture.
        picture: The picture's size in pixels; None where the region's frame is that.
        said: The box as the dataset writes it, for messages.
        hint: What else it could be, for messages.

    Raises:
        DataError: The box is all outside of the picture, reaches further over its edge than `TOLERANCE`, or is smaller than
            a pixel. (Points have no size; only their places are checked.)
    """
    picture = picture or region.frame
    left, top, right, bottom = region.to(picture).box
    what = f"the box {said or list(_rounded(left, top, right, bottom))}"
    size = f"{picture.width:g} × {picture.height:g}"
    hint = f"; {hint}" if hint else ""
    across, down = (max(TOLERANCE * side, min(TOLERATED_PIXELS, side)) for side in (picture.width, picture.height))
    if right <= 0 or bottom <= 0 or left >= picture.width or top >= picture.height:
        raise DataError(f"{what} covers nothing of the picture ({size}){hint}")
    over = max((-left) / across, (-top) / down, (right - picture.width) / across, (bottom - picture.height) / down)
    if over > 1:
        raise DataError(
            f"{what} reaches further out of the picture ({size}) than a small error explains ({TOLERANCE:.0%} of the side, "
            f"{TOLERATED_PIXELS:g} pixels at least){hint}"
        )
    inside = region.clip()
    shown = inside.to(picture).box
    if not region.points and (shown[2] - shown[0] < SMALLEST or shown[3] - shown[1] < SMALLEST):
        raise DataError(f"{what} is smaller than a pixel of the picture ({size}){hint}")
    return inside


def annotated_frame(image: Image, size: tuple[float, float] | None) -> Frame:
    """The size of a picture whose boxes count its pixels, which the annotations have to agree with where they give one.

    A file may say that its pixels have to be turned or mirrored to be seen (EXIF orientation). Pictures are seen upright
    here, but tools annotate them either way, and nothing in a box tells which: boxes of such a picture are believed only
    where the annotated size is one that the upright picture has and the stored one has not.

    Args:
        image: The picture.
        size: Width and height that the annotations give; None where they give none.

    Raises:
        DataError: The picture cannot be read, has another size, or is turned and nothing tells which way it was annotated.
    """
    frame = image.frame
    if size is not None and tuple(size) != (frame.width, frame.height):
        raise DataError(
            f"{image}: has {frame.width:g} × {frame.height:g} pixels when it is upright, its annotations are about "
            f"{size[0]:g} × {size[1]:g}: expected the picture as it was annotated, not resized, cut or turned (EXIF)"
        )
    if image.turned and (size is None or size == (frame.height, frame.width) or not image.lies):
        raise DataError(
            f"{image}: its EXIF orientation turns or mirrors it, and its annotations do not tell whether boxes are about the "
            "stored or the upright picture: save the picture upright, or annotate its upright width and height"
        )
    return frame


def _rounded(*values: float) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in values)
