"""A detector that was trained here."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from triptych.conversation import NORMALISED, Image, Region
from triptych.decoders.geometry import corners
from triptych.families.detector.model import OpenVocabularyDetector
from triptych.grounding.detectors.config import TrainedConfig
from triptych.grounding.detectors.detector import Detector, Found


class CellDetector(Detector):
    """What finds things by the cells of a trained model.

    Args:
        model: Trained.
        config: Thresholds.
    """

    def __init__(self, model: OpenVocabularyDetector, config: TrainedConfig) -> None:
        super().__init__(config.batch_size, config.overlap)
        self.model, self.config = model, config

    def find(self, images: Sequence[Image], phrases: Sequence[Sequence[str]]) -> list[Found]:
        """See `Detector.find`. A box has the score of its phrase times that of being an object."""
        pictures = [image.open() for image in images]
        vocabulary = list(dict.fromkeys(phrase for own in phrases for phrase in own))
        # Several things asked of one picture come next to each other: it is encoded once.
        distinct = {image.content_hash: Image(picture) for image, picture in zip(images, pictures, strict=True)}
        encoded = self.model.vision.encode([self.model.vision.prepare(picture) for picture in distinct.values()])
        seen = dict(zip(distinct, encoded, strict=True))
        features = torch.stack([seen[image.content_hash] for image in images])
        answers = self.model(features, vocabulary)
        scores = answers.logits.float().sigmoid() * answers.objectness.float().sigmoid()[..., None]
        found = []
        for i, (picture, own) in enumerate(zip(pictures, phrases, strict=True)):
            columns = [vocabulary.index(phrase) for phrase in own]
            asked = scores[i][:, columns]
            # A cell may speak for several phrases: a general word ("thing") must not hide a name.
            cells, which = (asked > self.config.threshold).nonzero(as_tuple=True)
            back = self.model.vision.preparation.transform(*picture.size).back
            boxes = corners(answers.boxes[i].float())[cells].tolist()
            moved = [back(Region.from_corners(box, NORMALISED)).box for box in boxes]
            found.append(Found(torch.tensor(moved).reshape(-1, 4), asked[cells, which], which, picture.size))
        return found
