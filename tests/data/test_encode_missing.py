"""Encoding ahead: every good picture once, every bad one accounted for, and the same bits as live."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from encoded_pictures import jpeg
from torch import nn

from triptych.conversation import Image
from triptych.data.features import FeatureCache, encode_missing
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.preparation import ImagePreparation
from triptych.errors import DataError


class Small(ImageEncoder):
    """Two matrix products over the patches of a small picture."""

    def __init__(self, dtype=torch.float32):
        super().__init__(dim=24, grid=(4, 4), preparation=ImagePreparation(32), identity={})
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(192, 96), nn.GELU(), nn.Linear(96, 24)).to(dtype)
        self.passes: list[int] = []
        self.prepared: Counter[str] = Counter()

    def prepare(self, part):
        self.prepared[str(part)] += 1
        return super().prepare(part)

    def forward(self, pixels):
        self.passes.append(len(pixels))
        patches = pixels.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        return self.layers(patches.to(self.dtype) / 255)


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def encoder(request):
    return Small(request.param).eval()


@pytest.fixture
def cache(tmp_path, encoder):
    return FeatureCache(tmp_path / "features", encoder.fingerprint)


def images(count):
    return [Image(jpeg(i, (20 + i % 7, 30)), name=f"picture {i}") for i in range(count)]


def test_a_pictures_features_do_not_depend_on_what_it_is_encoded_with(encoder):
    pixels = [encoder.prepare(image) for image in images(11)]
    with torch.no_grad():
        together = encoder.encode(pixels)
        alone = [encoder.encode([picture])[0] for picture in pixels]
        backwards = encoder.encode(pixels[::-1])[::-1]
        plain = encoder(torch.stack(pixels))
    assert set(encoder.passes[:-1]) == {encoder.chunk}
    for a, b, c, d in zip(together, alone, backwards, plain, strict=True):
        assert a.shape == (16, 24)
        assert torch.equal(a, b) and torch.equal(a, c)
        torch.testing.assert_close(a, d)
    assert encoder.encode([]) == []


def test_gradients_flow_through_encode(encoder):
    sum(feature.float().sum() for feature in encoder.encode([encoder.prepare(i) for i in images(3)])).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())


def test_cached_features_are_the_live_ones_bit_by_bit(encoder, cache):
    parts = images(70)
    assert encode_missing(parts, encoder, cache) == {}
    with torch.no_grad():
        for part in parts:
            live = encoder.encode([encoder.prepare(part)])[0]
            cached = cache.get(part.content_hash)
            assert cached.dtype == live.dtype and torch.equal(cached, live)


def test_each_content_is_encoded_once_ever(encoder, cache):
    parts = images(5)
    same_content = [Image(jpeg(i, (20 + i % 7, 30)), name=f"copy {i}") for i in range(5)]
    encode_missing([*parts, *same_content, *parts], encoder, cache)
    assert sum(encoder.prepared.values()) == 5
    encode_missing(parts, encoder, FeatureCache(cache.folder, cache.fingerprint))
    assert sum(encoder.prepared.values()) == 5 and len(cache) == 5


def test_bad_pictures_are_returned_with_the_reason_and_the_others_are_encoded(encoder, cache, pictures):
    bad = {
        "truncated.jpg": "not a readable picture",
        "bomb.png": "not a readable picture",
        "huge.png": "9000 × 9000 pixels is more than",
        "empty.jpg": "not a readable picture",
        "text.jpg": "not a readable picture",
        "missing.jpg": "cannot be read",
        "folder.jpg": "cannot be read",
    }
    parts = {name: Image(pictures / name) for name in ("good.jpg", *bad, "other.jpg")}
    failures = encode_missing(parts.values(), encoder, cache)
    assert len(cache) == 2
    assert {parts[name].content_hash in cache for name in ("good.jpg", "other.jpg")} == {True}
    assert len(failures) == len(bad)
    for name, reason in bad.items():
        (error,) = [error for error in failures.values() if name in str(error)]
        assert isinstance(error, DataError) and reason in str(error)
    assert failures[parts["truncated.jpg"].content_hash] and failures[str(pictures / "missing.jpg")]


def test_progress_counts_every_part_once(encoder, cache, pictures):
    parts = [*images(40), *images(3), Image(pictures / "bomb.png"), Image(pictures / "missing.jpg")]
    for _ in range(2):
        told: list[int] = []
        encode_missing(parts, encoder, cache, told.append)
        assert sum(told) == len(parts)


def test_nothing_to_do_is_done_at_once(encoder, cache):
    assert encode_missing([], encoder, cache) == {}
    assert not encoder.passes and not cache.folder.exists()


def test_stopped_in_the_middle_it_goes_on_from_there(encoder, cache):
    parts, forward = images(200), encoder.forward

    def interrupted(pixels):
        if len(encoder.passes) >= 20:
            raise KeyboardInterrupt
        return forward(pixels)

    encoder.forward = interrupted
    with pytest.raises(KeyboardInterrupt):
        encode_missing(parts, encoder, cache)
    done = len(FeatureCache(cache.folder, cache.fingerprint))
    assert 0 < done < 200
    encoder.forward = forward
    encoder.prepared.clear()
    assert encode_missing(parts, encoder, cache) == {}
    assert (sum(encoder.prepared.values()), len(cache)) == (200 - done, 200)


def test_an_error_that_is_not_the_pictures_is_not_hidden(encoder, cache):
    def draw():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        encode_missing([Image(draw, key="drawn")], encoder, cache)


def test_real_photographs(encoder, cache):
    folder = Path(__file__).parents[2].parent / "shared" / "data" / "photos" / "images"
    if not folder.exists():
        pytest.skip("needs the photographs of ../shared/data")
    parts = [Image(path) for path in sorted(folder.iterdir())[:40]]
    assert encode_missing(parts, encoder, cache) == {}
    assert cache.missing([part.content_hash for part in parts]) == []
