"""From a picture to the pixels that an encoder takes. Pure CPU work without a model, so worker processes can do it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from triptych.conversation import Frame, Image
from triptych.conversation.decoding import WHITE, Colour
from triptych.encoders.config import Fit
from triptych.grounding.transform import Transform

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)

LONGEST = 4
"""A picture that would be longer than so many squares after resizing is cut before: only what the square shows is resized."""


@dataclass(frozen=True)
class ImagePreparation:
    """Makes a picture square and of the right size. Normalisation is the encoder's first step, on its own device.

    Args:
        size: Side of the square in pixels.
        fit: `pad` (keep the whole picture and its shape, fill up with `colour`), `squash` (ignore the shape), or
            `crop` (keep the shape and cut off what is outside the middle square), or `corner` (as `pad`, the picture
            at the top left instead of in the middle: SAM).
        colour: RGB in 0–255 around a padded picture; the encoder's mean, which becomes zero.
        bilinear: Resize with bilinear instead of bicubic interpolation (both antialiased).
        background: RGB in 0–255 behind transparent pixels.
    """

    size: int
    fit: Fit = "pad"
    colour: Colour = (127, 127, 127)
    bilinear: bool = False
    background: Colour = WHITE

    def __call__(self, part: Image) -> Tensor:
        """Pixels `[3, size, size]`, uint8, RGB.

        Raises:
            DataError: The picture cannot be read.
        """
        pixels = np.array(self.square(part.open(self.background)))
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    @property
    def identity(self) -> dict[str, Any]:
        """What the pixels depend on, as JSON values, for fingerprints.

        The background is left out where it is the default one: features of opaque pictures from before there was a choice
        stay valid, and transparent pictures have other keys since they are composited (`Image.content_hash`).
        """
        values = asdict(self)
        if self.background == WHITE:
            del values["background"]
        return values

    def square(self, picture: Pillow.Image) -> Pillow.Image:
        """The picture as a square of `size` pixels."""
        width, height = picture.size
        if width == height or self.fit == "squash":
            return self._resized(picture, self.size, self.size)
        inner_width, inner_height = self._inner(width, height)
        if max(inner_width, inner_height) > LONGEST * self.size:
            return self._middle(picture, inner_width, inner_height)
        inner = self._resized(picture, inner_width, inner_height)
        canvas = Pillow.new("RGB", (self.size, self.size), self.colour)
        canvas.paste(inner, self._place(inner_width, inner_height))
        return canvas

    def _middle(self, picture: Pillow.Image, width: int, height: int) -> Pillow.Image:
        """The square that `crop` shows of a picture resized to this size, without resizing the rest of it.

        The same picture as resizing first, up to the rounding of the filter's weights; memory depends on the square alone.
        """
        left, top = (-place for place in self._place(width, height))
        across, down = picture.width / width, picture.height / height
        box = (left * across, top * down, (left + self.size) * across, (top + self.size) * down)
        return picture.resize((self.size, self.size), self._method, box=box)

    def _inner(self, width: int, height: int) -> tuple[int, int]:
        """The size at which a picture that keeps its shape is pasted onto the square."""
        scale = self.size / (min if self.fit == "crop" else max)(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _place(self, width: int, height: int) -> tuple[int, int]:
        """Left and top of a picture of this size on the square."""
        return (0, 0) if self.fit == "corner" else ((self.size - width) // 2, (self.size - height) // 2)

    def transform(self, width: int, height: int) -> Transform:
        """Where the pixels of a picture of this size go: exactly as `square` moves them."""
        picture = Frame(width, height)
        if width == height or self.fit == "squash":
            return Transform.resize(picture, self.size, self.size)
        inner_width, inner_height = self._inner(width, height)
        resized = Transform.resize(picture, inner_width, inner_height)
        left, top = self._place(inner_width, inner_height)
        return resized.then(Transform.pad(resized.target, self.size, self.size, left, top))

    def _resized(self, picture: Pillow.Image, width: int, height: int) -> Pillow.Image:
        if picture.size == (width, height):
            return picture
        return picture.resize((width, height), self._method)

    @property
    def _method(self) -> Pillow.Resampling:
        return Pillow.Resampling.BILINEAR if self.bilinear else Pillow.Resampling.BICUBIC


def mean_colour(mean: tuple[float, float, float]) -> tuple[int, int, int]:
    """The RGB colour (0–255) that normalisation with this mean (0–1) takes to about zero."""
    red, green, blue = (min(255, max(0, round(255 * channel))) for channel in mean)
    return red, green, blue
