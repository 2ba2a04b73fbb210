"""Grounded captions, one per picture: average precision, IoU and recall of the regions of their phrases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.scoring.regions import CAPTION, HIT, Floats, alike, filled, frame_of, ious, regions_of
from triptych.evaluate.scoring.tallies import ratio
from triptych.evaluate.tasks.question import Record
from triptych.grounding.metrics import average_precision, caption_hits, caption_iou, mask_ious, match


class GroundedCaptions(Metric):
    """`caption_ap_50`, `caption_miou`, `caption_recall`, by GLaMM's rules.

    Phrases are alike by the words they share (`alike`), where GLaMM takes the cosine of BERT's embeddings.

    Args:
        masks: Regions overlap by their masks, not by their boxes.
    """

    name = "grounded_captions"
    inputs = ("regions",)
    source = "H. Rasheed et al., GLaMM, CVPR 2024"
    needs = "grounds"
    resamples = 200

    def __init__(self, masks: bool = False) -> None:
        self.masks = masks

    def takes(self, record: Record) -> bool:
        """Whether it is a caption."""
        return record.kind == CAPTION

    def tally(self, records: Sequence[Record]) -> Tally:
        """Which picture a row is: average precision is no function of sums over pictures."""
        matchings, overlaps, hits, truths_ = [], [], [], []
        for record in records:
            truths, regions = regions_of(record)
            overlap = ious(regions, truths)
            if self.masks and truths and regions:
                frame = frame_of(record)
                ours, theirs = ([filled([region], frame) for region in each] for each in (regions, truths))
                overlap = mask_ious(ours, theirs)
            named = np.array([[alike(a.name, b.name) for b in regions] for a in truths])
            scores = np.array([float(values.get("score", 1.0)) for values in (record.regions or {}).get("found", ())])
            matchings.append(match(overlap, -np.sort(-scores), thresholds=[HIT]))
            overlaps.append(caption_iou(overlap))
            hits.append(caption_hits(overlap.T, named.reshape(len(truths), len(regions))))
            truths_.append(len(truths))

        def score(weights: Floats) -> dict[str, Floats]:
            flat = weights.reshape(-1, len(records))
            ap = np.array([average_precision(matchings, row)[0] for row in flat]).reshape(weights.shape[:-1])
            return {
                "caption_ap_50": ap,
                "caption_miou": ratio(weights @ np.array(overlaps), weights.sum(axis=-1)),
                "caption_recall": ratio(weights @ np.array(hits, np.float64), weights @ np.array(truths_, np.float64)),
            }

        counts = dict.fromkeys(("caption_ap_50", "caption_miou", "caption_recall"), len(records))
        return Tally([record.sample for record in records], np.eye(len(records)), score, counts)
