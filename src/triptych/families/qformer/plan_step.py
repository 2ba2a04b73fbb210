"""A step of BLIP-2's first stage on the meta device, part by part, as `training.objectives.blip2` computes it.

The objective itself cannot run there: which wrong pairs it draws, and which positions hold a token, depends on numbers.
Here both are given as sizes; all else is the model's own code. Tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from triptych.adapters.qformer import Seen
from triptych.families.qformer.model import Blip2
from triptych.planner.measure import Parts
from triptych.training.objectives.word_loss import word_loss


@dataclass(frozen=True)
class StepSize:
    """What a process computes in a step.

    Args:
        pairs: Its own.
        everybody: Those of all processes.
        tokens: What its texts are padded to, begin and end among them.
        longest: The same of the texts that matching reads, of which some are other processes'.
        words: Tokens that are predicted.
    """

    pairs: int
    everybody: int
    tokens: int
    longest: int
    words: int


def run_step(
    model: Blip2, size: StepSize, weights: Mapping[str, float], smoothing: float, features: Tensor, parts: Parts
) -> Tensor:
    """The loss of a step.

    Args:
        model: On the meta device, frozen as the stage says.
        size: Of the step.
        weights: Of `itc`, `itm` and `itg`; a loss whose weight is 0 is not computed.
        smoothing: Of labels.
        features: `[N, T, D]` of its own pictures.
        parts: What runs the parts.
    """
    ids, lengths = _texts(size.pairs, size.tokens)
    seen = parts("features, looked at", lambda: model.look(features))
    images, cache = parts("queries", lambda: model.read_pictures(seen))
    texts = parts("texts", lambda: model.read_texts(ids, lengths))
    losses = [parts("contrast (ITC)", lambda: _contrast(model, images, texts, size.everybody, smoothing))]
    if not weights["itc"]:
        losses = []  # the cosines are needed all the same: wrong pairs are drawn by them
    if weights["itm"]:
        losses.append(parts("matching (ITM)", lambda: _match(model, seen, features, size.longest)))
    if weights["itg"]:
        losses.append(
            parts(
                "captions (ITG)",
                lambda: word_loss(
                    *model.of_words(_shown(model.write(cache, ids[:, :-1]), size.words)),
                    torch.zeros(size.words, dtype=torch.long, device="meta"),
                    smoothing,
                ),
            )
        )
    return torch.stack(losses).sum()


def _texts(count: int, tokens: int) -> tuple[Tensor, Tensor]:
    """Ids `[N, L]` and lengths `[N]`."""
    ids = torch.zeros(count, tokens, dtype=torch.long, device="meta")
    return ids, torch.full((count,), tokens, dtype=torch.long, device="meta")


def _contrast(model: Blip2, images: Tensor, texts: Tensor, everybody: int, smoothing: float) -> Tensor:
    """Own pairs against everybody's, both ways; the others' directions have a gradient, too, which is sent to them."""
    both = torch.cat([images, texts[:, None]], dim=1)
    if everybody > len(both):
        both = both.repeat(-(-everybody // len(both)), 1, 1)[:everybody]
    scale = model.logit_scale.exp()
    places = torch.zeros(len(images), dtype=torch.long, device="meta")
    ways = (scale * model.scores(images, both[:, -1]), scale * model.scores(both[:, :-1], texts).T)
    losses = [functional.cross_entropy(logits, places, reduction="sum", label_smoothing=smoothing) for logits in ways]
    return (losses[0] + losses[1]) / 2


def _match(model: Blip2, seen: Seen, features: Tensor, longest: int) -> Tensor:
    """Each pair, its text with a wrong picture, which is looked at anew, and its picture with a wrong text."""
    pairs = len(features)
    wrong = model.look(features[torch.zeros(pairs, dtype=torch.long, device="meta")])
    looks = [
        None if a is None or b is None else (torch.cat([a[0], b[0], a[0]]), torch.cat([a[1], b[1], a[1]]))
        for a, b in zip(seen, wrong, strict=True)
    ]
    logits = model.match(looks, *_texts(3 * pairs, longest))
    return functional.cross_entropy(logits, torch.zeros(3 * pairs, dtype=torch.long, device="meta"), reduction="sum")


def _shown(states: Tensor, words: int) -> Tensor:
    """`[words, W]` of states `[N, L, W]`."""
    return states.flatten(0, 1)[torch.zeros(words, dtype=torch.long, device="meta")]
