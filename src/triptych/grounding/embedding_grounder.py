"""A model that points by embedding: what it says holds a token per region, whose hidden states its decoders read.

picture, "Find the dog above the cup." ─► dog [SEG] ─► state that predicted [SEG] ─► box, mask ─► in the picture's pixels
                                      ─► none       ─► no regions
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from triptych.conversation import NORMALISED, Conversation, Frame, Image, Mask, Region, user
from triptych.conversation.expression import DESCRIBE
from triptych.decoders.config import EmbeddingRegionsConfig
from triptych.decoders.regions import Decoded
from triptych.encoders.preparation import ImagePreparation
from triptych.errors import RecipeError
from triptych.generate.config import GenerationSettings
from triptych.generate.generator import Answer, Generator
from triptych.grounding.grounding import Grounding, answering, request
from triptych.grounding.transform import Transform

_BETWEEN = re.compile(r"^[\s,;.]*(?:and\s+)?|[\s,;.:]+$")
"""What stands between a phrase and the one before it."""


class EmbeddingGrounder:
    """A model that answers with `[SEG]` tokens (`Grounder`, `Describer`).

    Args:
        generator: Of a model with `model.regions` of `kind: embedding`.
        config: What the recipe says.
        settings: How answers are decoded, where not as the recipe says.
        judged: Whether the mask decoder has learned how well its masks fit, so that it says how sure a region is; else
            that is the mean chance of the pixels in its mask, and 1 without one.

    Raises:
        RecipeError: The model does not point by embedding.
    """

    caption_prompt = DESCRIBE

    def __init__(
        self,
        generator: Generator,
        config: EmbeddingRegionsConfig,
        settings: GenerationSettings | None = None,
        judged: bool = False,
    ) -> None:
        if generator.model.regions is None:
            raise RecipeError("the model does not point by embedding: it has no `model.regions` of `kind: embedding`")
        self.generator, self.config = generator, config
        self.settings = settings or config.generation
        self.panel = generator.model.regions
        self.judged = judged

    @property
    def prompt(self) -> str:
        """See `Grounder.prompt`."""
        return self.config.prompt

    def ground(self, image: Image, expression: str) -> Grounding:
        """See `Grounder.ground`."""
        return self.ground_many([(image, expression)])[0]

    def ground_many(self, pairs: Sequence[tuple[Image, str]]) -> list[Grounding]:
        """See `Grounder.ground_many`. A region that comes out empty says that there is none such, as in LISA."""
        asked = [request((self.prompt,), image, expression) for image, expression in pairs]
        return [found if self.config.token in found.text else answering(found) for found in self.converse(asked)]

    def describe_many(self, images: Sequence[Image]) -> list[Grounding]:
        """See `Describer.describe_many`."""
        return self.converse([Conversation((user(image, self.caption_prompt),)) for image in images])

    @torch.inference_mode()
    def converse(self, conversations: Sequence[Conversation]) -> list[Grounding]:
        """Answer conversations about pictures; regions are of the picture shown last.

        Raises:
            GenerationError: One cannot be answered.
            DataError: A picture cannot be read.
        """
        found: list[Grounding] = []
        for start in range(0, len(conversations), self.settings.batch_size):
            part = conversations[start : start + self.settings.batch_size]
            answers = self.generator.answers(part, self.settings, watched=self.panel.answer)
            found += self._decoded([list(c.images)[-1:] for c in part], answers)
        return found

    def _decoded(self, shown: Sequence[Sequence[Image]], answers: Sequence[Answer]) -> list[Grounding]:
        """The regions of answers about pictures."""
        device = self.generator.model.device
        pointing = [i for i, answer in enumerate(answers) if len(answer.states) and shown[i]]
        pictures = {shown[i][0].content_hash: shown[i][0] for i in pointing}
        keys = list(pictures)
        regions: dict[int, list[tuple[Region, float]]] = {}
        if pointing:
            picture = self.generator.model.look(list(pictures.values()))
            frames = {key: Frame(*image.open().size) for key, image in pictures.items()}
            owner = [keys.index(shown[i][0].content_hash) for i in pointing for _ in answers[i].states]
            states = torch.cat([answers[i].states for i in pointing])
            decoded: Decoded = self.panel.decoder(states, picture, torch.tensor(owner, device=device))
            names = [name for i in pointing for name in self._phrases(answers[i])]
            holders = [i for i in pointing for _ in answers[i].states]
            scores = scores_of(decoded, self.judged)
            for k, (i, name) in enumerate(zip(holders, names, strict=True)):
                region = to_region(decoded, k, frames[keys[owner[k]]], self.panel.preparation, name)
                if region is not None:
                    regions.setdefault(i, []).append((region, scores[k]))
        return [self._grounding(answer, regions.get(i, [])) for i, answer in enumerate(answers)]

    @staticmethod
    def _grounding(answer: Answer, regions: Sequence[tuple[Region, float]]) -> Grounding:
        found, scores = tuple(region for region, _ in regions), tuple(score for _, score in regions)
        return Grounding(found, scores, answer.reply.text, "valid" if found else "none")

    def _phrases(self, answer: Answer) -> list[str]:
        """The words in front of each region's token; of several tokens in a row, the same."""
        language, phrases = self.generator.model.language, []
        words: list[int] = []
        phrase = ""
        for token in answer.tokens:
            if token != self.panel.answer:
                words.append(token)
                continue
            if words:
                phrase = _BETWEEN.sub("", language.decode(words))
                words = []
            phrases.append(phrase)
        return phrases


def scores_of(decoded: Decoded, judged: bool) -> list[float]:
    """How sure each region is, in [0, 1]: as the mask decoder judges, or by the mean chance of the pixels in its mask."""
    if decoded.masks is None:
        return [1.0] * (len(decoded.boxes) if decoded.boxes is not None else 0)
    if judged and decoded.quality is not None:
        return [float(score) for score in decoded.quality.float().clamp(0, 1)]
    logits = decoded.masks.float().flatten(1)
    inside = logits > 0
    return [float(score) for score in (logits.sigmoid() * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)]


def to_region(
    decoded: Decoded, index: int, frame: Frame, preparation: ImagePreparation, name: str = ""
) -> Region | None:
    """A decoded region in the pixels of the picture, clipped to it; None where only a mask is decoded, and it is empty.

    Args:
        decoded: Regions in the square that the encoder sees.
        index: Which of them.
        frame: The picture's size.
        preparation: How the encoder sees it.
        name: The phrase that it belongs to.
    """
    transform = preparation.transform(round(frame.width), round(frame.height))
    mask = _picture_mask(decoded.masks[index], transform) if decoded.masks is not None else None
    if decoded.boxes is None:
        assert mask is not None
        region = Region.from_mask(mask, name)
        return None if region.is_degenerate else region
    box = Region.from_cxcywh(decoded.boxes[index].float().tolist(), NORMALISED)
    placed = transform.back(box.to(transform.target)).clip()
    return Region(placed.box, frame, name, mask)


def _picture_mask(logits: Tensor, transform: Transform) -> Mask:
    """Logits `[H, W]` of the square as a mask of the picture: interpolated at the centres of its pixels."""
    width, height = round(transform.source.width), round(transform.source.height)
    (sx, sy), (ox, oy) = transform.scale, transform.offset
    x = ((torch.arange(width) + 0.5) * sx + ox) / transform.target.width
    y = ((torch.arange(height) + 0.5) * sy + oy) / transform.target.height
    points = torch.stack([(2 * x - 1).expand(height, width), (2 * y - 1)[:, None].expand(height, width)], dim=-1)
    fine = functional.grid_sample(
        logits.float().cpu()[None, None], points[None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return Mask.encode((fine[0, 0] > 0).numpy())
