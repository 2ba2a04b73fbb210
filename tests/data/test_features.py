"""The feature cache: what was kept comes back bit by bit, whatever happens to the process that kept it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from triptych.data import features as module
from triptych.data.features import FeatureCache
from triptych.errors import DataError

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def feature(seed, tokens=5, dim=7, dtype=torch.float32):
    return torch.randn(tokens, dim, generator=torch.Generator().manual_seed(seed)).to(dtype)


def same(a, b):
    return a is not None and a.dtype == b.dtype and a.shape == b.shape and bits(a) == bits(b)


def bits(tensor):
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache", "encoder")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from(DTYPES), st.booleans()), min_size=1, max_size=12
    )
)
def test_what_is_kept_comes_back_bit_by_bit(tmp_path_factory, shapes):
    folder = tmp_path_factory.mktemp("cache")
    cache, waiting = FeatureCache(folder, "encoder"), {}
    kept = {f"k{i}": feature(i, tokens, dim, dtype) for i, (tokens, dim, dtype, _) in enumerate(shapes)}
    for (key, value), (*_, now) in zip(kept.items(), shapes, strict=True):
        waiting[key] = value
        if now:
            cache.put(list(waiting), list(waiting.values()))
            waiting = {}
    cache.put(list(waiting), list(waiting.values()))
    for reader in (cache, FeatureCache(folder, "encoder"), pickle.loads(pickle.dumps(cache))):
        assert len(reader) == len(kept)
        assert all(same(reader.get(key), value) for key, value in kept.items())


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_numbers_are_kept_too(cache, dtype):
    special = torch.tensor([[float("nan"), float("inf"), -0.0, 1e-40, 65504.0]]).to(dtype)
    cache.put(["special"], special[None])
    assert same(cache.get("special"), special)


def test_missing_names_what_is_not_there_once_and_in_order(cache):
    assert cache.missing(["b", "a", "b"]) == ["b", "a"]
    assert cache.get("a") is None
    cache.put(["a"], feature(1)[None])
    assert cache.missing(["c", "b", "a", "b"]) == ["c", "b"]
    assert "a" in cache and "b" not in cache


def test_what_is_there_stays_as_it_is(cache):
    cache.put(["a"], feature(1)[None])
    cache.put(["a", "b"], torch.stack([feature(2), feature(3)]))
    assert same(cache.get("a"), feature(1))
    assert same(cache.get("b"), feature(3))
    assert len(cache) == 2


def test_a_view_that_is_not_contiguous_or_has_gradients_is_kept_by_value(cache):
    whole = feature(0, 6, 8).requires_grad_()
    cache.put(["a", "b"], [whole.T, whole[::2, 1::3]])
    assert same(cache.get("a"), whole.detach().T)
    assert same(cache.get("b"), whole.detach()[::2, 1::3])


def test_reading_copies_nothing_and_writing_to_a_tensor_changes_no_file(cache):
    cache.put(["a", "b"], torch.stack([feature(1), feature(2)]))
    first, again = cache.get("a"), cache.get("a")
    assert first.data_ptr() == again.data_ptr()
    first.zero_()
    assert same(FeatureCache(cache.folder, "encoder").get("a"), feature(1))
    assert same(cache.get("b"), feature(2))


def test_tensors_stay_valid_while_the_cache_grows(cache):
    cache.put(["0"], feature(0)[None])
    early = cache.get("0")
    for i in range(1, 50):
        cache.put([str(i)], feature(i, 100, 20)[None])
        assert same(cache.get(str(i)), feature(i, 100, 20))
    del cache
    assert same(early, feature(0))


def test_many_shards_read_like_one(cache, monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", 1000)
    for i in range(40):
        cache.put([str(i)], feature(i)[None])
    assert len(list(cache.folder.glob("*.features"))) > 3
    assert all(same(FeatureCache(cache.folder, "encoder").get(str(i)), feature(i)) for i in range(40))


def test_another_encoders_features_are_not_taken(tmp_path, cache):
    cache.put(["a"], feature(1)[None])
    with pytest.raises(DataError, match="features of another encoder"):
        FeatureCache(cache.folder, "another")
    assert FeatureCache.of("a" * 64).folder != FeatureCache.of("b" * 64).folder


def test_two_that_meet_in_one_folder_notice_when_they_write(tmp_path):
    one, two = FeatureCache(tmp_path, "one"), FeatureCache(tmp_path, "two")
    one.put(["a"], feature(1)[None])
    with pytest.raises(DataError, match="features of another encoder"):
        two.put(["a"], feature(2)[None])


def test_the_default_place_is_in_triptychs_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path))
    assert FeatureCache.of("0123456789abcdef0123").folder == tmp_path / "features" / "0123456789abcdef"


def test_it_says_what_it_takes(cache):
    assert "no features" in cache.describe()
    cache.put([str(i) for i in range(3)], torch.zeros(3, 81, 1280, dtype=torch.bfloat16))
    assert 3 * 81 * 1280 * 2 <= cache.size_bytes < 3 * 81 * 1280 * 2 + 2000
    assert "3 media" in cache.describe() and "81 × 1280 bfloat16" in cache.describe()


@pytest.mark.parametrize(
    "wrong", [torch.zeros(1, 3), torch.zeros(1, 2, 3, dtype=torch.float64), torch.zeros(2, 2, 3), torch.zeros(1, 0, 3)]
)
def test_what_is_no_feature_is_not_kept(cache, wrong):
    with pytest.raises(ValueError):
        cache.put(["a"], wrong)
    assert len(cache) == 0


# Interrupted writers


def test_half_written_records_are_ignored_and_written_over(tmp_path):
    """Every state that a killed process can leave: the index cut at any byte, data behind the last record."""
    folder = tmp_path / "cache"
    cache = FeatureCache(folder, "encoder")
    for i in range(3):
        cache.put([str(i)], feature(i)[None])
    index, shard = folder / "index", folder / "00000.features"
    whole = index.read_bytes()
    record = len(whole) // 3
    for cut in range(len(whole) + 1):
        index.write_bytes(whole[:cut])
        reader = FeatureCache(folder, "encoder")
        assert reader.missing(["0", "1", "2"]) == ["0", "1", "2"][cut // record :]
        assert all(same(reader.get(str(i)), feature(i)) for i in range(cut // record))
    index.write_bytes(whole[: 2 * record + 11])
    with shard.open("ab") as file:
        file.write(b"garbage")
    old_reader = FeatureCache(folder, "encoder")
    assert len(old_reader) == 2
    writer = FeatureCache(folder, "encoder")
    writer.put(["2", "3"], torch.stack([feature(2), feature(3)]))
    for reader in (old_reader, writer, FeatureCache(folder, "encoder")):
        assert all(same(reader.get(str(i)), feature(i)) for i in range(4))
    assert index.stat().st_size == 4 * record


def test_zeros_at_the_end_of_the_index_are_no_records(cache):
    """What some file systems leave after a power cut."""
    cache.put(["a"], feature(1)[None])
    with (cache.folder / "index").open("ab") as file:
        file.write(bytes(500))
    reader = FeatureCache(cache.folder, "encoder")
    assert len(reader) == 1
    reader.put(["b"], feature(2)[None])
    assert same(cache.get("b"), feature(2)) and same(cache.get("a"), feature(1))


@pytest.mark.parametrize("damage", ["cut", "deleted"])
def test_features_whose_file_was_damaged_are_missing_not_wrong(cache, damage):
    cache.put(["a"], feature(1)[None])
    cache.put(["b"], feature(2)[None])
    shard = cache.folder / "00000.features"
    if damage == "cut":
        os.truncate(shard, shard.stat().st_size - 10)
    else:
        shard.unlink()
    reader = FeatureCache(cache.folder, "encoder")
    lost = ["b"] if damage == "cut" else ["a", "b"]
    assert reader.missing(["a", "b"]) == lost
    reader.put(lost, torch.stack([feature({"a": 1, "b": 2}[key]) for key in lost]))
    for again in (reader, FeatureCache(cache.folder, "encoder")):
        assert same(again.get("a"), feature(1)) and same(again.get("b"), feature(2))


def test_deleting_the_folder_empties_the_cache(cache):
    import shutil

    cache.put(["a"], feature(1)[None])
    shutil.rmtree(cache.folder)
    fresh = FeatureCache(cache.folder, "encoder")
    assert fresh.missing(["a"]) == ["a"]
    cache.put(["b"], feature(2)[None])
    assert same(fresh.get("b"), feature(2)) and same(cache.get("b"), feature(2))


WRITER = """
import sys, torch
from pathlib import Path
from triptych.data.features import FeatureCache
cache = FeatureCache(Path(sys.argv[1]), "encoder")
i = 0
while True:
    keys = range(i, i + 3)
    cache.put([str(k) for k in keys], torch.stack([torch.full((50, 400), float(k)) for k in keys]))
    if i == 0:
        print("writing", flush=True)
    i += 3
"""


@pytest.mark.parametrize("seconds", [0.05, 0.17])
def test_a_writer_killed_at_any_moment_leaves_whole_features(tmp_path, seconds):
    for _ in range(3):  # each goes on where the last one was killed
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        cache = FeatureCache(tmp_path, "encoder")
        assert len(cache) > 0
        assert all(same(cache.get(str(k)), torch.full((50, 400), float(k))) for k in range(len(cache)))


def test_a_full_disk_is_explained(cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"(?s)No space left.*TRIPTYCH_CACHE.*loading\.cache_features"):
        cache.put(["a"], feature(1)[None])
    monkeypatch.undo()
    cache.put(["a"], feature(1)[None])
    assert same(cache.get("a"), feature(1))


# Several processes


def _read_until_there(folder, keys, answers):
    cache, found = FeatureCache(folder, "encoder"), {}
    end = time.monotonic() + 30
    while len(found) < len(keys) and time.monotonic() < end:
        for key in keys:
            if key not in found and (value := cache.get(key)) is not None:
                found[key] = bits(value) == bits(feature(int(key), 40, 30))
    answers.put(len(found) == len(keys) and all(found.values()))


def test_readers_see_what_a_writer_adds_while_they_read(tmp_path):
    context = multiprocessing.get_context("spawn")
    answers, keys = context.Queue(), [str(i) for i in range(60)]
    readers = [context.Process(target=_read_until_there, args=(tmp_path, keys, answers)) for _ in range(2)]
    for reader in readers:
        reader.start()
    cache = FeatureCache(tmp_path, "encoder")
    for key in keys:
        cache.put([key], feature(int(key), 40, 30)[None])
    assert [answers.get(timeout=60) for _ in readers] == [True, True]
    for reader in readers:
        reader.join()


def test_two_writers_take_turns(tmp_path):
    one, two = FeatureCache(tmp_path, "encoder"), FeatureCache(tmp_path, "encoder")
    for i in range(0, 20, 2):
        one.put([str(i), "both"], [feature(i), feature(99)])
        two.put([str(i + 1), "both"], [feature(i + 1), feature(98)])
    for reader in (one, two, FeatureCache(tmp_path, "encoder")):
        assert len(reader) == 21
        assert all(same(reader.get(str(i)), feature(i)) for i in range(20))
        assert same(reader.get("both"), feature(99))


class Cached(Dataset):
    def __init__(self, cache):
        self.cache = cache

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return self.cache.get(str(index))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_of_a_loader_read_it(cache, method):
    cache.put([str(i) for i in range(20)], torch.stack([feature(i, dtype=torch.bfloat16) for i in range(20)]))
    assert cache.get("0") is not None  # opened before the workers start
    loader = DataLoader(Cached(cache), batch_size=None, num_workers=2, multiprocessing_context=method)
    assert all(same(got, feature(i, dtype=torch.bfloat16)) for i, got in enumerate(loader))


def test_paths_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FeatureCache(Path("here"), "encoder").put(["a"], feature(1)[None])
    assert same(FeatureCache(tmp_path / "here", "encoder").get("a"), feature(1))
