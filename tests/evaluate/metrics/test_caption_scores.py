"""CIDEr-D, BLEU-4 and ROUGE-L against the official implementation, to the sixth digit."""

from __future__ import annotations

import importlib
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.evaluate.scoring.bleu import bleu, bleu_sums
from triptych.evaluate.scoring.cider import Cider
from triptych.evaluate.scoring.rouge import rouge_l

Words = list[str]
VOCABULARY = ("a", "the", "dog", "cat", "man", "red", "blue", "runs", "sits", "on", "in", "grass", "beach", "with")

captions = st.lists(st.sampled_from(VOCABULARY[:6]), max_size=8)
corpora = st.lists(st.tuples(captions, st.lists(captions, min_size=1, max_size=4)), min_size=1, max_size=5).filter(
    lambda pairs: any(words for _, truths in pairs for words in truths)  # the official code breaks without any word
)


def corpus(pictures: int = 1200, seed: int = 0) -> tuple[list[Words], list[list[Words]]]:
    """Predictions, one in five degenerate, and references of a vocabulary with frequent and rare words."""
    chance = random.Random(seed)
    weights = [1 / (rank + 1) for rank in range(len(VOCABULARY))]

    def sentence() -> Words:
        return chance.choices(VOCABULARY, weights, k=chance.randint(1, 14))

    references = [[sentence() for _ in range(chance.randint(1, 5))] for _ in range(pictures)]
    predictions = []
    for truths in references:
        degenerate = chance.choice(
            [[], ["dog"], ["a"] * 60, ["unheard-of"], truths[0], truths[0][::-1], truths[-1] * 3]
        )
        edited = [chance.choice(VOCABULARY) if chance.random() < 0.3 else word for word in chance.choice(truths)]
        predictions.append(degenerate if chance.random() < 0.2 else edited if chance.random() < 0.8 else sentence())
    return predictions, references


def official(
    predictions: Sequence[Words], references: Sequence[Sequence[Words]]
) -> tuple[float, np.ndarray, float, np.ndarray]:
    """CIDEr-D, its scores per picture, BLEU-4, and ROUGE-L per picture by pycocoevalcap."""
    pytest.importorskip("pycocoevalcap", reason="pycocoevalcap is the official implementation to compare with")
    cider = importlib.import_module("pycocoevalcap.cider.cider").Cider()
    rouge = importlib.import_module("pycocoevalcap.rouge.rouge").Rouge()
    bleus = importlib.import_module("pycocoevalcap.bleu.bleu").Bleu(4)
    truths = {i: [" ".join(words) for words in group] for i, group in enumerate(references)}
    said = {i: [" ".join(words)] for i, words in enumerate(predictions)}
    cider_mean, cider_each = cider.compute_score(truths, said)
    bleu_corpus, _ = bleus.compute_score(truths, said, verbose=0)
    _, rouge_each = rouge.compute_score(truths, said)
    return float(cider_mean), np.array(cider_each), float(bleu_corpus[3]), np.array(rouge_each)


def corpus_bleu(predictions: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
    rows = [bleu_sums(words, truths) for words, truths in zip(predictions, references, strict=True)]
    return float(bleu(np.sum(rows, axis=0)))


def assert_equals_official(predictions: Sequence[Words], references: Sequence[Sequence[Words]]) -> None:
    cider_mean, cider_each, bleu_corpus, rouge_each = official(predictions, references)
    ours = Cider(references).scores(predictions)
    np.testing.assert_allclose(ours, cider_each, rtol=0, atol=1e-6)
    assert ours.mean() == pytest.approx(cider_mean, abs=1e-6)
    assert corpus_bleu(predictions, references) == pytest.approx(bleu_corpus, abs=1e-6)
    rouge = [rouge_l(words, truths) for words, truths in zip(predictions, references, strict=True)]
    np.testing.assert_allclose(rouge, rouge_each, rtol=0, atol=1e-6)


def test_a_corpus_of_1200_predictions_scores_as_officially() -> None:
    predictions, references = corpus()
    assert sum(not words for words in predictions) > 10
    assert_equals_official(predictions, references)


@settings(deadline=None, max_examples=150)
@given(corpora)
def test_small_corpora_score_as_officially(pairs: list[tuple[Words, list[Words]]]) -> None:
    predictions, references = [p for p, _ in pairs], [r for _, r in pairs]
    assert_equals_official(predictions, references)


@pytest.mark.parametrize("said", [[], ["dog"], ["a"] * 200])
def test_a_corpus_of_one_degenerate_answer_scores_as_officially(said: Words) -> None:
    _, references = corpus(50, seed=1)
    assert_equals_official([said] * 50, references)


def test_the_reference_itself_is_worth_ten() -> None:
    references = [[["a", "dog", "runs", "fast"]], [["two", "red", "cats", "sit"]], [["the", "man", "eats", "rice"]]]
    np.testing.assert_allclose(Cider(references).scores([group[0] for group in references]), 10.0)


def test_a_longer_caption_is_worth_less() -> None:
    references = [[["a", "dog", "runs", "fast"]], [["two", "red", "cats", "sit"]]]
    cider = Cider(references)
    worth = [cider.score(references[0][0] + ["word"] * n, 0) for n in range(6)]
    assert worth == sorted(worth, reverse=True)


@given(captions, st.lists(captions, min_size=1, max_size=4))
def test_the_order_of_references_does_not_matter(said: Words, truths: list[Words]) -> None:
    other = [["two", "blue", "horses"]]
    assert Cider([truths, other]).score(said, 0) == pytest.approx(Cider([truths[::-1], other]).score(said, 0))
    np.testing.assert_array_equal(bleu_sums(said, truths), bleu_sums(said, truths[::-1]))
    assert rouge_l(said, truths) == rouge_l(said, truths[::-1])


def test_no_reference_is_an_error_and_not_a_score() -> None:
    with pytest.raises(ValueError, match="reference"):
        bleu_sums(["a"], [])
    with pytest.raises(ValueError, match="reference"):
        rouge_l(["a"], [])
    with pytest.raises(ValueError, match="1 captions for 2 pictures"):
        Cider([[["a"]], [["b"]]]).scores([["a"]])
