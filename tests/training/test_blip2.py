"""BLIP-2's three losses: who sees whom, what they are worth, and what negatives are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

import tiny_blip2
from tiny_world import World
from triptych.families.qformer.config import Blip2Losses
from triptych.families.qformer.model import Blip2, shown_of
from triptych.families.qformer.objective import Blip2Objective, draw_negatives
from triptych.sequence.pairs import PairBatch


@pytest.fixture
def model(world: World, tiny_cache: object) -> Iterator[Blip2]:
    """With larger weights than usual, so that what sees what makes a difference."""
    made = tiny_blip2.model(world)
    with torch.no_grad():
        for parameter in (*made.reader.parameters(), *made.heads.parameters()):
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    yield made.double()


def read(model: Blip2, batch: PairBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Directions of pictures, of texts, and word logits `[N, L, V]`."""
    images, cache = model.read_pictures(model.look(batch.pixels.double()))
    return images, model.read_texts(batch.ids, batch.lengths), model.word_logits(model.write(cache, batch.ids))


def test_a_later_token_changes_no_earlier_word_and_an_earlier_one_does(model: Blip2) -> None:
    batch = tiny_blip2.batch(model, 4)
    _, _, before = read(model, batch)
    for place in range(1, batch.ids.shape[1]):
        changed = batch.ids.clone()
        changed[:, place] = (changed[:, place] + 7) % 200
        _, cache = model.read_pictures(model.look(batch.pixels.double()))
        after = model.word_logits(model.write(cache, changed))
        assert torch.equal(after[:, :place], before[:, :place])
        assert (after[:, place:] - before[:, place:]).abs().amax(dim=(1, 2)).min() > 1e-6


def test_contrast_is_blind_to_the_other_side_and_matching_is_not(model: Blip2) -> None:
    batch = tiny_blip2.batch(model, 4)
    other = tiny_blip2.batch(model, 4, seed=1)
    images, texts, words = read(model, batch)
    crossed = read(model, PairBatch(**{**vars(batch), "pixels": other.pixels}))
    assert torch.equal(crossed[1], texts)  # another picture, the same direction of the text
    assert (crossed[2] - words).abs().max() > 1e-6  # but captions look at pictures
    crossed = read(model, PairBatch(**{**vars(batch), "ids": other.ids, "lengths": other.lengths}))
    assert torch.equal(crossed[0], images)  # another text, the same directions of the picture
    seen, wrong = model.look(batch.pixels.double()), model.look(other.pixels.double())
    odds = model.match(seen, batch.ids, batch.lengths)
    assert (odds - model.match(wrong, batch.ids, batch.lengths)).abs().max() > 1e-6
    assert (odds - model.match(seen, other.ids, other.lengths)).abs().max() > 1e-6


def test_captions_over_cached_queries_are_those_of_one_pass(model: Blip2) -> None:
    batch = tiny_blip2.batch(model, 4)
    _, _, cached = read(model, batch)
    ids = batch.ids.clone()
    ids[:, 0] = model.words.decode
    reader = model.reader
    whole = reader.qformer(reader.queries.expand(4, -1, -1), reader._prepared(batch.pixels.double()), ids, causal=True)
    torch.testing.assert_close(model.word_logits(whole.text), cached, rtol=0, atol=1e-10)
    torch.testing.assert_close(whole.queries, reader.pictures(model.look(batch.pixels.double())).queries)


def test_what_stands_behind_a_text_changes_nothing(model: Blip2) -> None:
    batch = tiny_blip2.batch(model, 6)
    padded = batch.ids.masked_fill(~shown_of(batch.ids, batch.lengths), 77)
    objective = Blip2Objective(Blip2Losses())
    model.eval()
    losses = [
        objective(model, PairBatch(**{**vars(batch), "ids": ids, "pixels": batch.pixels.double()})).parts
        for ids in (batch.ids, padded)
    ]
    for name in ("itc", "itm", "itg"):
        assert float(losses[0][name]) == pytest.approx(float(losses[1][name]), abs=1e-10), name


def test_the_losses_are_those_of_the_paper(model: Blip2) -> None:
    """Each against its formula, written with loops over pairs."""
    batch = tiny_blip2.batch(model, 5)
    features, ids, lengths = batch.pixels.double(), batch.ids, batch.lengths
    model.eval()
    with torch.no_grad():
        found = Blip2Objective(Blip2Losses())(model, PairBatch(**{**vars(batch), "pixels": features}))
    images, texts, words = (part.detach() for part in read(model, batch))
    scale = float(model.logit_scale.detach().exp())
    cosines = torch.tensor(
        [[max(float(query @ text) for query in picture) * scale for text in texts] for picture in images]
    ).double()

    def smooth(logits: torch.Tensor, target: int) -> float:
        logs = logits.double().log_softmax(-1)
        return float(-(0.9 * logs[target] + 0.1 * logs.mean()))

    itc = sum(smooth(cosines[i], i) + smooth(cosines[:, i], i) for i in range(5)) / 2
    assert float(found.parts["itc"]) == pytest.approx(itc, rel=1e-5)
    said = [smooth(words[i, j], int(ids[i, j + 1])) for i in range(5) for j in range(int(lengths[i]) - 1)]
    assert float(found.parts["itg"]) == pytest.approx(5 * sum(said) / len(said), rel=1e-6)

    eye = torch.eye(5, dtype=torch.bool)
    wrong_text, wrong_picture = (draw_negatives(part, eye, training=False) for part in (cosines, cosines.T))
    itm = 0.0
    for i in range(5):
        for picture, text, label in ((i, i, 1), (int(wrong_picture[i]), i, 0), (i, int(wrong_text[i]), 0)):
            seen = model.look(features[picture : picture + 1])
            logits = model.match(seen, ids[text : text + 1, : lengths[text]], lengths[text : text + 1])
            itm += float(functional.cross_entropy(logits.detach(), torch.tensor([label]))) / 3
    assert float(found.parts["itm"]) == pytest.approx(itm, rel=1e-5)
    assert float(found.total) == pytest.approx(itc + itm + float(found.parts["itg"]), rel=1e-5)


def test_the_gradient_is_that_of_finite_differences(model: Blip2) -> None:
    batch = tiny_blip2.batch(model, 3, tokens=5)
    batch = PairBatch(**{**vars(batch), "pixels": batch.pixels.double()})
    objective = Blip2Objective(Blip2Losses())
    model.eval()
    loss = objective(model, batch).total
    parameters = {
        "queries": model.reader.queries,
        "cross": model.reader.qformer.layers[2].cross.key.weight,
        "words": model.reader.qformer.words.weight,
        "text": model.reader.qformer.layers[0].text_feed_forward.up.weight,
        "match": model.heads.match.weight,
        "transform": model.heads.transform[0].weight,
        "logit_scale": model.logit_scale,
    }  # fmt: skip
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    loss = objective(model, batch).total
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4), dtype=torch.double)
        with torch.no_grad():
            values = []
            for step in (1e-5, -1e-5):
                parameter.add_(direction, alpha=step)
                values.append(float(objective(model, batch).total))
                parameter.add_(direction, alpha=-step)
        slope = (values[0] - values[1]) / 2e-5
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-4, abs=1e-6), name


def test_negatives_are_hard_and_never_the_same_text() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([[9.0, 8.0, 0.0, 0.0]]).repeat(4000, 1)
    same = torch.tensor([[True, False, False, False]]).repeat(4000, 1)
    drawn = draw_negatives(logits, same, training=True).bincount(minlength=4)
    assert drawn[0] == 0
    assert drawn[1] > 3900  # as likely as it looks alike
    alone = draw_negatives(logits[:2, :1], same[:2, :1], training=True)
    assert alone.tolist() == [0, 0]  # nothing to choose from; such a pair is left out of the loss


def test_equal_texts_teach_no_mismatch(model: Blip2) -> None:
    """Where all texts of a batch are one, the only matching loss is that of the right pairs."""
    batch = tiny_blip2.batch(model, 4)
    batch = PairBatch(
        **{**vars(batch), "ids": batch.ids[:1].repeat(4, 1), "lengths": batch.lengths[:1].repeat(4),
           "pixels": batch.pixels.double()}
    )  # fmt: skip
    found = Blip2Objective(Blip2Losses(weights={"itc": 0, "itg": 0}))(model, batch)
    right = model.match(model.look(batch.pixels), batch.ids, batch.lengths)
    expected = functional.cross_entropy(right, torch.ones(4, dtype=torch.long), reduction="sum") / 3
    assert set(found.parts) == {"itm"}
    assert float(found.total) == pytest.approx(float(expected), rel=1e-6)
    assert math.isfinite(float(found.total))
