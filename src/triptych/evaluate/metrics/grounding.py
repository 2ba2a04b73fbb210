"""The scores of grounded expressions, as sums over pictures.

Where an expression means one thing, its score is that of referring expression comprehension (the best region, IoU of
at least one half); where it means several, all have to be found and nothing else; where it means nothing, "none" is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from triptych.conversation import Region
from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.metric import Metric
from triptych.evaluate.scoring.regions import CAPTION, HIT, Floats, filled, frame_of, ious, regions_of
from triptych.evaluate.scoring.tallies import ratio
from triptych.evaluate.tasks.question import Record
from triptych.grounding.metrics import overlap as pixels_of
from triptych.grounding.metrics import segmentation_iou, set_f1

COLUMNS = (
    "single", "hits", "iou", "pointed", "any", "merged", "phrases", "several", "set_f1", "set_exact", "segmented",
    "intersection", "union", "mask_iou", "none", "said_none", "none_right", "asked", "valid", "repaired", "invalid",
)  # fmt: skip
"""What one record adds to its picture's row, beside its kind's."""

VERDICTS = ("valid", "repaired", "invalid")


class Grounding(Metric):
    """Scores of regions for expressions.

    `acc_50`, `mean_iou`, `pointing` (expressions that mean one thing); `several_exact`, `several_f1` (several
    things); `phrase_r1_any`, `phrase_r1_merged` (the surest region against any of the true boxes, and against the box
    around them all; where some expression means several); `ciou`, `giou` (with masks); `none_precision`, `none_recall`,
    `none_f1` (where some expression means nothing); `KIND_accuracy`; `valid`, `repaired`, `invalid` shares of answers.

    Args:
        masks: Score masks, too.
    """

    name = "grounding"
    inputs = ("regions",)
    source = "S. Kazemzadeh et al., EMNLP 2014; B. Plummer et al., ICCV 2015; C. Liu et al., GRES, CVPR 2023"
    lower_is_better = ("invalid",)
    without_direction = ("repaired",)
    needs = "grounds"
    of_writing = frozenset(VERDICTS)

    def __init__(self, masks: bool = False) -> None:
        self.masks = masks

    def takes(self, record: Record) -> bool:
        """Whether it is an expression, not a caption."""
        return record.kind != CAPTION

    def tally(self, records: Sequence[Record]) -> Tally:
        """Judged records as sums per picture."""
        kinds = list(dict.fromkeys(record.kind for record in records))
        pictures = list(dict.fromkeys(record.sample for record in records))
        rows = {picture: row for row, picture in enumerate(pictures)}
        sums = np.zeros((len(pictures), len(COLUMNS) + 2 * len(kinds)))
        for record in records:
            row = sums[rows[record.sample]]
            for name, value in _counts(record, self.masks).items():
                row[COLUMNS.index(name)] += value
            place = len(COLUMNS) + 2 * kinds.index(record.kind)
            row[place : place + 2] += 1, bool(record.correct)
        total = dict(zip(COLUMNS, sums.sum(axis=0), strict=False))

        def score(sums: Floats) -> dict[str, Floats]:
            scores = _scores(sums, total, self.masks)
            for i, kind in enumerate(kinds):
                place = len(COLUMNS) + 2 * i
                scores[f"{kind}_accuracy"] = ratio(sums[..., place + 1], sums[..., place])
            column = {name: sums[..., COLUMNS.index(name)] for name in (*VERDICTS, "asked")}
            return scores | {verdict: ratio(column[verdict], column["asked"]) for verdict in VERDICTS}

        totals = Counter(record.kind for record in records)
        number = {name: int(value) for name, value in total.items()}
        over = dict.fromkeys(("acc_50", "mean_iou", "pointing"), number["single"])
        over |= dict.fromkeys(("several_exact", "several_f1"), number["several"])
        over |= dict.fromkeys(("phrase_r1_any", "phrase_r1_merged"), number["phrases"])
        over |= {f"none_{name}": len(records) for name in ("precision", "f1")} | {"none_recall": number["none"]}
        over |= dict.fromkeys(("ciou", "giou", *VERDICTS), len(records))
        return Tally(pictures, sums, score, over | {f"{kind}_accuracy": totals[kind] for kind in kinds})

    def chance(self, records: Sequence[Record]) -> dict[str, float]:
        """What always saying "none" scores."""
        empty = sum(not (record.regions or {}).get("truth") for record in records)
        if not empty:
            return {}
        return {"none_precision": empty / len(records), "none_f1": 2 * empty / (empty + len(records))}


def said_none(record: Record) -> bool:
    """Whether the answer is that there is none such; an answer that cannot be read says nothing."""
    return record.error is None and record.parsed == "none"


def is_right(record: Record) -> bool:
    """Whether an expression was answered right: see the module."""
    truths, regions = regions_of(record)
    if not truths:
        return said_none(record)
    if len(truths) == 1:
        return bool(regions) and truths[0].iou(regions[0]) >= HIT
    return set_f1(ious(regions, truths), HIT) == 1.0


def _counts(record: Record, masks: bool) -> dict[str, float]:
    """What one record of an expression adds to the sums, by column."""
    truths, regions = regions_of(record)
    row: dict[str, float] = {"asked": 1}
    verdict = "invalid" if record.error is not None else record.parsed or "invalid"
    row["valid" if verdict == "none" else verdict] = 1
    row["said_none"] = said_none(record)
    if not truths:
        row |= {"none": 1, "none_right": said_none(record)}
    else:
        best = regions[0] if regions else None
        row |= {
            "phrases": 1,
            "any": any(best is not None and truth.iou(best) >= HIT for truth in truths),
            "merged": best is not None and _merged(truths).iou(best) >= HIT,
        }
        if len(truths) == 1:
            iou = truths[0].iou(best) if best is not None else 0.0
            pointed = best is not None and _points(best, truths[0])
            row |= {"single": 1, "hits": iou >= HIT, "iou": iou, "pointed": pointed}
        else:
            f1 = set_f1(ious(regions, truths), HIT)
            row |= {"several": 1, "set_f1": f1, "set_exact": f1 == 1.0}
    if masks:
        frame = frame_of(record)
        both = pixels_of(filled(regions, frame), filled(truths, frame))
        # An empty mask is right about nothing if the answer says so, not where there is none to read.
        unread = verdict == "invalid" and not regions
        iou = 0.0 if unread else float(segmentation_iou(*(np.array(pixels) for pixels in both)))
        row |= {"segmented": 1, "intersection": both[0], "union": both[1], "mask_iou": iou}
    return row


def _scores(sums: Floats, total: Mapping[str, float], masks: bool) -> dict[str, Floats]:
    """The scores of summed rows that some of all records belong to."""
    column = {name: sums[..., place] for place, name in enumerate(COLUMNS)}
    scores: dict[str, Floats] = {}
    if total["single"]:
        scores["acc_50"] = ratio(column["hits"], column["single"])
        scores["mean_iou"] = ratio(column["iou"], column["single"])
        scores["pointing"] = ratio(column["pointed"], column["single"])
    if total["several"]:
        scores["several_exact"] = ratio(column["set_exact"], column["several"])
        scores["several_f1"] = ratio(column["set_f1"], column["several"])
        scores["phrase_r1_any"] = ratio(column["any"], column["phrases"])
        scores["phrase_r1_merged"] = ratio(column["merged"], column["phrases"])
    if masks:
        scores["ciou"] = segmentation_iou(column["intersection"], column["union"])
        scores["giou"] = ratio(column["mask_iou"], column["segmented"])
    if total["none"]:
        scores["none_precision"] = ratio(column["none_right"], column["said_none"], empty=0.0)
        scores["none_recall"] = ratio(column["none_right"], column["none"])
        scores["none_f1"] = ratio(2 * column["none_right"], column["said_none"] + column["none"])
    return scores


def _merged(regions: Sequence[Region]) -> Region:
    left, top, right, bottom = zip(*(region.box for region in regions), strict=True)
    return Region((min(left), min(top), max(right), max(bottom)), regions[0].frame)


def _points(region: Region, truth: Region) -> bool:
    return truth.contains(region.points[0] if region.points else region.centre)
