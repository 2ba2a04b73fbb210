"""The same expressions about the same held-out scenes, answered in each way of pointing: a row of pictures for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from triptych.conversation import Image
from triptych.grounding.draw import draw_regions
from triptych.grounding.grounding import Grounder
from triptych.scenes.referring import Referring, ReferringConfig

KINDS = ("name", "place", "relation", "none")
SIDE, CAPTION, MARGIN, LABEL = 300, 26, 8, 190


def draw(grounders: Mapping[str, Grounder], path: Path) -> None:
    """Draw a row for each grounder: an expression of each kind, and what was found.

    Args:
        grounders: By what stands in front of their row.
        path: Of the PNG.
    """
    asked = expressions()
    canvas = Pillow.new(
        "RGB",
        (LABEL + len(asked) * (SIDE + MARGIN) + MARGIN, CAPTION + len(grounders) * (SIDE + MARGIN) + MARGIN),
        "white",
    )
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(16)
    for column, (_, expression) in enumerate(asked):
        pen.text((LABEL + column * (SIDE + MARGIN), MARGIN // 2), f"Find {expression}.", fill="black", font=font)
    for row, (name, grounder) in enumerate(grounders.items()):
        top = CAPTION + row * (SIDE + MARGIN)
        pen.multiline_text((MARGIN, top + SIDE / 2), name, fill="black", font=font, anchor="lm", spacing=6)
        for column, ((image, _), found) in enumerate(zip(asked, grounder.ground_many(asked), strict=True)):
            regions = [replace(region, name=region.name or "?") for region in found.regions]
            labels = [f"{r.name} {s:.2f}" if s < 1 else r.name for r, s in zip(regions, found.scores, strict=True)]
            scene = image.open().resize((SIDE, SIDE), Pillow.Resampling.LANCZOS)
            panel = draw_regions(scene, regions, labels=labels, edge=SIDE)
            left = LABEL + column * (SIDE + MARGIN)
            canvas.paste(panel, (left, top))
            if not regions:
                said = found.text.splitlines()[-1][:24] if found.text else "nothing"
                pen.rounded_rectangle((left + 6, top + 6, left + 16 + font.getlength(said), top + 32), 5, fill="white")
                pen.text((left + 11, top + 19), said, fill="black", font=font, anchor="lm")
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path, optimize=True)


def expressions() -> list[tuple[Image, str]]:
    """A held-out picture and an expression for each kind, each of a picture of its own."""
    asked: list[tuple[Image, str]] = []
    for kind in KINDS:
        config = ReferringConfig(
            split="test", count=len(asked) + 1, things=16, objects=(4, 5), turns=1, kinds={kind: 1}, seed=11
        )
        conversation = Referring(config)[len(asked)]
        asked.append((next(iter(conversation.media)), conversation.annotations["grounding"][0].text))
    return asked
