"""The scores of grounding, as sums over pictures.

Where an expression means one thing, its score is that of referring expression comprehension (the best region, IoU of
at least one half); where it means several, all have to be found and nothing else; where it means nothing, "none" is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.conversation import NORMALISED, Frame, Region
from triptych.evaluate.metrics.bootstrap import Tally
from triptych.evaluate.metrics.classification import ratio
from triptych.evaluate.tasks.question import Record
from triptych.grounding.metrics import (
    average_precision,
    box_ious,
    caption_hits,
    caption_iou,
    mask_ious,
    match,
    segmentation_iou,
    set_f1,
)
from triptych.grounding.metrics import overlap as pixels_of
from triptych.grounding.serial import region_of

CAPTION = "caption"
"""The kind of record that is a grounded caption, not an expression."""

HIT = 0.5
"""The IoU from which a region counts as found."""

COLUMNS = (
    "single", "hits", "iou", "pointed", "any", "merged", "phrases", "several", "set_f1", "set_exact", "segmented",
    "intersection", "union", "mask_iou", "none", "said_none", "none_right", "asked", "valid", "repaired", "invalid",
)  # fmt: skip
"""What one record adds to its picture's row, beside its kind's."""

Floats = NDArray[np.float64]


def regions_of(record: Record) -> tuple[list[Region], list[Region]]:
    """The true regions of a record and those found, the surest first, all in the frame of `frame_of`."""
    held: Mapping[str, Any] = record.regions or {}
    found = sorted(held.get("found", ()), key=lambda values: -float(values.get("score", 1.0)))
    frame = frame_of(record)
    truths, regions = ([region_of(values).to(frame) for values in each] for each in (held.get("truth", ()), found))
    return truths, regions


def frame_of(record: Record) -> Frame:
    """The pixels of the picture shown; of records without its size, what the first region is counted in."""
    held: Mapping[str, Any] = record.regions or {}
    holders = (held, *held.get("truth", ()), *held.get("found", ()))
    size = next((values["size"] for values in holders if "size" in values), None)
    return Frame(*map(float, size)) if size else NORMALISED


def said_none(record: Record) -> bool:
    """Whether the answer is that there is none such; an answer that cannot be read says nothing."""
    return record.error is None and record.parsed == "none"


def is_right(record: Record) -> bool:
    """Whether an expression was answered right: see the module."""
    truths, found = regions_of(record)
    if not truths:
        return said_none(record)
    if len(truths) == 1:
        return bool(found) and truths[0].iou(found[0]) >= HIT
    return set_f1(_ious(found, truths), HIT) == 1.0


def counts(record: Record, masks: bool) -> dict[str, float]:
    """What one record of an expression adds to the sums, by column."""
    truths, found = regions_of(record)
    row: dict[str, float] = {"asked": 1}
    verdict = "invalid" if record.error is not None else record.parsed or "invalid"
    row["valid" if verdict == "none" else verdict] = 1
    row["said_none"] = said_none(record)
    if not truths:
        row |= {"none": 1, "none_right": said_none(record)}
    else:
        best = found[0] if found else None
        row |= {
            "phrases": 1,
            "any": any(best is not None and truth.iou(best) >= HIT for truth in truths),
            "merged": best is not None and _merged(truths).iou(best) >= HIT,
        }
        if len(truths) == 1:
            iou = truths[0].iou(best) if best is not None else 0.0
            row |= {
                "single": 1,
                "hits": iou >= HIT,
                "iou": iou,
                "pointed": best is not None and _points(best, truths[0]),
            }
        else:
            f1 = set_f1(_ious(found, truths), HIT)
            row |= {"several": 1, "set_f1": f1, "set_exact": f1 == 1.0}
    if masks:
        frame = frame_of(record)
        both = pixels_of(_filled(found, frame), _filled(truths, frame))
        # An empty mask is right about nothing if the answer says so, not where there is none to read.
        unread = verdict == "invalid" and not found
        iou = 0.0 if unread else float(segmentation_iou(*(np.array(pixels) for pixels in both)))
        row |= {"segmented": 1, "intersection": both[0], "union": both[1], "mask_iou": iou}
    return row


def tally(records: Sequence[Record], masks: bool = False) -> Tally:
    """Judged records of expressions as sums per picture.

    Scores: `acc_50`, `mean_iou`, `pointing` (expressions that mean one thing); `several_exact`, `several_f1` (several
    things); `phrase_r1_any`, `phrase_r1_merged` (the surest region against any of the true boxes, and against the box
    around them all; where some expression means several); `ciou`, `giou` (with masks); `none_precision`, `none_recall`,
    `none_f1` (where some expression means nothing); `KIND_accuracy`; `valid`, `repaired`, `invalid` shares of answers.
    """
    records = [record for record in records if record.kind != CAPTION]
    kinds = list(dict.fromkeys(record.kind for record in records))
    pictures = list(dict.fromkeys(record.sample for record in records))
    rows = {picture: row for row, picture in enumerate(pictures)}
    sums = np.zeros((len(pictures), len(COLUMNS) + 2 * len(kinds)))
    for record in records:
        row = sums[rows[record.sample]]
        for name, value in counts(record, masks).items():
            row[COLUMNS.index(name)] += value
        place = len(COLUMNS) + 2 * kinds.index(record.kind)
        row[place : place + 2] += 1, bool(record.correct)
    total = dict(zip(COLUMNS, sums.sum(axis=0), strict=False))

    def score(sums: Floats) -> dict[str, Floats]:
        column = {name: sums[..., place] for place, name in enumerate(COLUMNS)}
        found: dict[str, Floats] = {}
        if total["single"]:
            found["acc_50"] = ratio(column["hits"], column["single"])
            found["mean_iou"] = ratio(column["iou"], column["single"])
            found["pointing"] = ratio(column["pointed"], column["single"])
        if total["several"]:
            found["several_exact"] = ratio(column["set_exact"], column["several"])
            found["several_f1"] = ratio(column["set_f1"], column["several"])
            found["phrase_r1_any"] = ratio(column["any"], column["phrases"])
            found["phrase_r1_merged"] = ratio(column["merged"], column["phrases"])
        if masks:
            found["ciou"] = segmentation_iou(column["intersection"], column["union"])
            found["giou"] = ratio(column["mask_iou"], column["segmented"])
        if total["none"]:
            found["none_precision"] = ratio(column["none_right"], column["said_none"], empty=0.0)
            found["none_recall"] = ratio(column["none_right"], column["none"])
            found["none_f1"] = ratio(2 * column["none_right"], column["said_none"] + column["none"])
        for i, kind in enumerate(kinds):
            place = len(COLUMNS) + 2 * i
            found[f"{kind}_accuracy"] = ratio(sums[..., place + 1], sums[..., place])
        for verdict in ("valid", "repaired", "invalid"):
            found[verdict] = ratio(column[verdict], column["asked"])
        return found

    asked = Counter(record.kind for record in records)
    number = {name: int(value) for name, value in total.items()}
    over = dict.fromkeys(("acc_50", "mean_iou", "pointing"), number["single"])
    over |= dict.fromkeys(("several_exact", "several_f1"), number["several"])
    over |= dict.fromkeys(("phrase_r1_any", "phrase_r1_merged"), number["phrases"])
    over |= {f"none_{name}": len(records) for name in ("precision", "f1")} | {"none_recall": number["none"]}
    over |= dict.fromkeys(("ciou", "giou", "valid", "repaired", "invalid"), len(records))
    return Tally(pictures, sums, score, over | {f"{kind}_accuracy": asked[kind] for kind in kinds})


def caption_tally(records: Sequence[Record], masks: bool = False) -> Tally:
    """Grounded captions, one per picture: `caption_ap_50`, `caption_miou`, `caption_recall` (GLaMM's rules).

    Phrases are alike by the words they share (`alike`), where GLaMM takes the cosine of BERT's embeddings.
    """
    records = [record for record in records if record.kind == CAPTION]
    matchings, ious_, hits, truths_ = [], [], [], []
    for record in records:
        truths, found = regions_of(record)
        ious = _ious(found, truths)
        if masks and truths and found:
            frame = frame_of(record)
            ours, theirs = ([_filled([region], frame) for region in regions] for regions in (found, truths))
            ious = mask_ious(ours, theirs)
        named = np.array([[alike(a.name, b.name) for b in found] for a in truths]).reshape(len(truths), len(found))
        scores = np.array([float(values.get("score", 1.0)) for values in (record.regions or {}).get("found", ())])
        matchings.append(match(ious, -np.sort(-scores), thresholds=[HIT]))
        ious_.append(caption_iou(ious))
        hits.append(caption_hits(ious.T, named))
        truths_.append(len(truths))

    def score(weights: Floats) -> dict[str, Floats]:
        flat = weights.reshape(-1, len(records))
        ap = np.array([average_precision(matchings, row)[0] for row in flat]).reshape(weights.shape[:-1])
        return {
            "caption_ap_50": ap,
            "caption_miou": ratio(weights @ np.array(ious_), weights.sum(axis=-1)),
            "caption_recall": ratio(weights @ np.array(hits, np.float64), weights @ np.array(truths_, np.float64)),
        }

    # Average precision is no function of sums over pictures, so a row says only which picture it is.
    names = ("caption_ap_50", "caption_miou", "caption_recall")
    return Tally([record.sample for record in records], np.eye(len(records)), score, dict.fromkeys(names, len(records)))


def alike(one: str, other: str) -> float:
    """F1 of the words of two phrases, without articles and case, in [0, 1]."""
    a, b = (Counter(word for word in text.lower().split() if word not in ("a", "an", "the")) for text in (one, other))
    both = sum((a & b).values())
    return 2 * both / (a.total() + b.total()) if both else 0.0


def _ious(found: Sequence[Region], truths: Sequence[Region]) -> Floats:
    return box_ious(np.array([r.box for r in found]), np.array([r.box for r in truths]))


def _merged(regions: Sequence[Region]) -> Region:
    left, top, right, bottom = zip(*(region.box for region in regions), strict=True)
    return Region((min(left), min(top), max(right), max(bottom)), regions[0].frame)


def _points(found: Region, truth: Region) -> bool:
    return truth.contains(found.points[0] if found.points else found.centre)


def _filled(regions: Sequence[Region], frame: Frame) -> NDArray[np.bool_]:
    """The union of regions as pixels of a frame; a region without a mask is its whole box."""
    height, width = max(1, round(frame.height)), max(1, round(frame.width))
    pixels = np.zeros((height, width), bool)
    for region in regions:
        if region.mask is not None:
            pixels |= region.mask.decode(height, width)
        else:
            left, top, right, bottom = (round(value) for value in region.to(frame).clip().box)
            pixels[top:bottom, left:right] = True
    return pixels
