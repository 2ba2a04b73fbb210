from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluate.fakes import Fake, FakeCaptions, FakeScenes

from triptych.conversation import Image
from triptych.errors import DataError, EvaluationError
from triptych.evaluate.config import CaptionsTaskConfig
from triptych.evaluate.run import evaluate
from triptych.evaluate.scoring.cider import Cider
from triptych.evaluate.scoring.tokenizer import tokenize
from triptych.evaluate.tasks.baselines import central_caption, nearest_captions
from triptych.evaluate.tasks.captions import Captioned, read_captions

SOURCE = FakeCaptions(12)
TRAIN = FakeCaptions(30, name="train")
TASK = CaptionsTaskConfig(data="photos", prompt="What is this?")
BOTH = CaptionsTaskConfig(data="photos", train_data="train", baselines=("central", "nearest"))


def number(key: str) -> int:
    return int(key.rsplit("/", 1)[1])


def teller(source: FakeCaptions = SOURCE) -> Fake:
    """Says a reference of the picture shown, the one in the middle of the three."""
    return Fake(lambda key, _: source.references(number(key))[1])


def features(images: Sequence[Image]) -> NDArray[np.float64]:
    """Pictures of the same motif (number modulo 6) point the same way."""
    return np.array([np.eye(6)[number(str(image.key)) % 6] * 3 + 0.01 for image in images])


def test_each_picture_is_asked_once_with_the_prompt(tmp_path: Path) -> None:
    responder = teller()
    result = evaluate(responder, SOURCE, TASK, tmp_path, progress=False)
    assert responder.asked == [(f"photo/{i}", "What is this?") for i in range(12)]
    assert (result.questions, result.samples, result.prompt) == (12, 12, "What is this?")


def test_scores_are_those_of_the_corpus(tmp_path: Path) -> None:
    """Quoting a reference word for word is a perfect BLEU and ROUGE; CIDEr-D averages over all three references."""
    result = evaluate(teller(), SOURCE, TASK, tmp_path, progress=False)
    assert result.metrics["bleu_4"].value == pytest.approx(1.0)
    assert result.metrics["rouge_l"].value == pytest.approx(1.0)
    references = [[tokenize(caption) for caption in SOURCE.references(i)] for i in range(12)]
    expected = Cider(references).scores([group[1] for group in references])
    cider = result.metrics["cider_d"]
    assert cider.value == pytest.approx(expected.mean())
    assert cider.low < cider.value < cider.high
    lines = (tmp_path / "evaluation" / "photos.jsonl").read_text().splitlines()
    assert [json.loads(line)["correct"] for line in lines] == pytest.approx(list(expected))


def test_the_control_is_what_was_said_of_another_picture(tmp_path: Path) -> None:
    responder = teller()
    result = evaluate(responder, SOURCE, TASK, tmp_path, progress=False)
    assert len(responder.asked) == 12  # nothing is asked twice for it
    assert result.control["cider_d"].high < result.metrics["cider_d"].low
    said = {}
    for name in ("photos.jsonl", "photos.control.jsonl"):
        lines = (tmp_path / "evaluation" / name).read_text().splitlines()
        said[name] = [(r["id"], r["image"]["index"], r["answer"]) for r in map(json.loads, lines)]
    own = {index: answer for _, index, answer in said["photos.jsonl"]}
    for (id_, index, _), (other_id, other, answer) in zip(*said.values(), strict=True):
        assert id_ == other_id
        assert index != other
        assert answer == own[other]


def test_saying_nothing_is_worth_nothing_and_unparsed(tmp_path: Path) -> None:
    result = evaluate(Fake(lambda *_: " \n"), SOURCE, TASK, tmp_path, progress=False)
    assert [result.metrics[name].value for name in ("cider_d", "rouge_l")] == [0, 0]
    assert result.metrics["bleu_4"].value < 1e-6
    assert result.unparsed.share == 1


def test_baselines_are_measured_beside_the_model(tmp_path: Path) -> None:
    train = FakeCaptions(3, name="train")  # half of the motifs, so that looking one up helps half of the time
    result = evaluate(teller(), SOURCE, BOTH, tmp_path, train_source=train, features=features, progress=False)
    central, nearest = result.baselines["central"], result.baselines["nearest"]
    ours = result.metrics["cider_d"].value
    assert ours > nearest.metrics["cider_d"].value > central.metrics["cider_d"].value
    for baseline in (central, nearest):
        difference = baseline.difference["cider_d"]
        assert difference.value == pytest.approx(ours - baseline.metrics["cider_d"].value)
        assert 0 < difference.low <= difference.value <= difference.high


@pytest.mark.parametrize("seed", range(8))
def test_the_central_caption_has_the_highest_mean_against_all_others(seed: int) -> None:
    """The definition, spelled out, on pictures with different numbers of captions."""
    chance = random.Random(seed)
    words = ["a", "dog", "runs", "on", "sand", "two", "men", "eat"]
    texts = [[" ".join(chance.choices(words, k=6)) for _ in range(chance.randint(1, 6))] for _ in range(12)]
    train = [Captioned(str(i), i, (), tuple(captions)) for i, captions in enumerate(texts)]
    references = [[tokenize(caption) for caption in picture.references] for picture in train]
    cider = Cider(references)
    means = {
        caption: np.mean([cider.score(tokenize(caption), other) for other in range(len(train)) if other != own])
        for own, picture in enumerate(train)
        for caption in picture.references
    }
    assert means[central_caption(train)] == pytest.approx(max(means.values()))


def test_the_nearest_caption_is_of_a_picture_that_looks_alike() -> None:
    (pictures, _), (train, _) = read_captions(SOURCE, "photos"), read_captions(TRAIN, "train")
    captions = nearest_captions(pictures, train, features)
    for i, caption in enumerate(captions):
        assert caption in TRAIN.references(i % 6)  # the first of those that look the same


def test_of_a_pictures_captions_the_one_that_the_others_agree_with_is_taken() -> None:
    def captioned(id_: str, *captions: str) -> Captioned:
        return Captioned(id_, 0, (Image(b"", key=id_ + "/0"),), captions)

    odd = captioned("odd", "three red kites", "a dog runs on the sand", "the dog runs on the sand fast", "dog on sand")
    other = captioned("other", "a man cooks rice in a kitchen")
    assert nearest_captions([odd], [odd, other], features) == ["a dog runs on the sand"]


def test_unreadable_pictures_cost_themselves_only() -> None:
    def picky(images: Sequence[Image]) -> NDArray[np.float64]:
        if any(str(image.key) in ("train/1", "photo/2") for image in images):
            raise DataError("truncated")
        return features(images)

    (pictures, _), (train, _) = read_captions(SOURCE, "photos"), read_captions(TRAIN, "train")
    captions = nearest_captions(pictures, train, picky)
    assert captions[0] in TRAIN.references(0)
    assert captions[1] in TRAIN.references(7)
    assert captions[2] == ""


def test_what_a_baseline_lacks_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    responder = teller()
    with pytest.raises(EvaluationError, match="pass it as `train_source`"):
        evaluate(responder, SOURCE, BOTH, tmp_path, progress=False)
    with pytest.raises(EvaluationError, match="pass `features`"):
        evaluate(responder, SOURCE, BOTH, tmp_path, train_source=TRAIN, progress=False)
    assert responder.asked == []


def test_a_dataset_without_references_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no `references` among its annotations"):
        evaluate(teller(), FakeScenes(3), TASK, tmp_path, progress=False)


def test_unreadable_records_are_counted(tmp_path: Path) -> None:
    task = TASK.model_copy(update={"failed_share": 0.2})
    result = evaluate(teller(), FakeCaptions(12, broken=[5]), task, tmp_path, progress=False)
    assert result.samples == 11
    assert result.failed == {"captions.json: image 5: no such file": 3}
