"""Naming pictures by a class: zero-shot, by the nearest prompts, or by a linear probe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from triptych.errors import EvaluationError
from triptych.evaluate.embedding.encoder import Embedder, Floats, cosines
from triptych.evaluate.embedding.samples import Sample
from triptych.progress import counted
from triptych.scenes.things import with_article


def classes_of(samples: Sequence[Sample], given: Sequence[str], name: str) -> list[str]:
    """The classes: the given ones, or those that occur.

    Raises:
        EvaluationError: A sample is of none of the given ones, or there is only one.
    """
    found = list(given) or sorted({sample.texts[0] for sample in samples})
    for sample in samples:
        if sample.texts[0] not in found:
            raise EvaluationError(f"{name}: {sample.id} is of the class {sample.texts[0]!r}, which is not in `classes`")
    if len(found) < 2:
        raise EvaluationError(f"{name}: naming needs two classes at least, found {found}")
    return found


def zero_shot(samples: Sequence[Sample], classes: Sequence[str], templates: Sequence[str], model: Embedder) -> Floats:
    """Scores `[N, C]`: cosines with each class's mean direction over the templates (Radford et al., 2021)."""
    prompts = [template.format(name=name, a=with_article(name)) for name in classes for template in templates]
    mean = model.texts(prompts).reshape(len(classes), len(templates), -1).mean(axis=1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    with counted("zero-shot", [sample.picture for sample in samples], "pictures") as pictures:
        return cosines(model.images(pictures), mean)


def linear_probe(
    train: tuple[Floats, Sequence[str]], features: Floats, classes: Sequence[str], penalty: float
) -> Floats:
    """Scores `[N, C]` of multinomial logistic regression, fitted with L-BFGS on standardised features.

    Args:
        train: Features `[M, D]` and the class of each.
        features: `[N, D]` of the pictures that are asked about.
        classes: C names; those that do not occur in training score lowest.
        penalty: Of the squared weights, per example.
    """
    import torch
    from torch.nn import functional

    known = sorted(set(train[1]))
    mean, spread = train[0].mean(axis=0), train[0].std(axis=0) + 1e-6
    x, asked = (torch.from_numpy((part - mean) / spread).double() for part in (train[0], features))
    y = torch.tensor([known.index(label) for label in train[1]])
    weight = torch.zeros(len(known), x.shape[1], dtype=torch.double, requires_grad=True)
    bias = torch.zeros(len(known), dtype=torch.double, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-6)

    def closure() -> torch.Tensor:
        solver.zero_grad()
        loss = functional.cross_entropy(x @ weight.T + bias, y) + penalty * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        logits = (asked @ weight.T + bias).numpy()
    scores = np.full((len(features), len(classes)), logits.min() - 1.0)
    for column, name in enumerate(known):
        if name in classes:
            scores[:, list(classes).index(name)] = logits[:, column]
    return scores
