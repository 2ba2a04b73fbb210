"""The features of frozen encoders, kept on disk: each medium is encoded once per encoder, ever.

    <cache>/features/<fingerprint of the encoder>/
        about.json      format and whole fingerprint
        00000.features  raw tensors one behind the other, up to about 1 GiB a file
        index           one record of fixed size per medium: key, place, shape, number type, checksum

A tensor is written and synced before its record is, and what no record names is overwritten: a process killed in the
middle of writing leaves nothing to repair. Any number of processes may read while one writes; writers take turns.
To free the space, delete the folder.
"""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from triptych.conversation import Medium
from triptych.data.reading import UnexpectedError
from triptych.encoders.encoder import Encoder
from triptych.errors import DataError, FolderError, WeightsError
from triptych.weights.cache import cache_folder, locked, written_atomically

S = TypeVar("S")
T = TypeVar("T")

FORMAT = 1
SHARD_BYTES = 2**30
ALIGNMENT = 64

MEDIA_AHEAD = 32
"""About how many media are prepared while others are encoded, and how many are written at once."""

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_RECORD = struct.Struct("<16sIQIIHH")
_CHECK = struct.Struct("<I")
_RECORD_BYTES = _RECORD.size + _CHECK.size


class _Place(NamedTuple):
    """Where a medium's features are: `tokens × dim` numbers from byte `offset` of file `shard`."""

    shard: int
    offset: int
    tokens: int
    dim: int
    dtype: int

    @property
    def end(self) -> int:
        return self.offset + self.tokens * self.dim * _DTYPES[self.dtype].itemsize


class FeatureCache:
    """Features `[T, D]` by content hash of the medium, for one encoder.

    One object serves one thread. It pickles as folder and fingerprint and opens its files again in another process.

    Args:
        folder: Of this encoder alone; made by the first `put`.
        encoder_fingerprint: What the features depend on besides the medium.

    Raises:
        DataError: The folder holds another encoder's features.
    """

    def __init__(self, folder: Path, encoder_fingerprint: str) -> None:
        self.folder = folder
        self.fingerprint = encoder_fingerprint
        self._reset()
        self._check_owner()

    @classmethod
    def of(cls, encoder_fingerprint: str) -> FeatureCache:
        """The cache in the default place, the `features` folder of Triptych's cache."""
        return cls(cache_folder() / "features" / encoder_fingerprint[:16], encoder_fingerprint)

    def get(self, key: str) -> Tensor | None:
        """The features `[T, D]` of a medium, or None if they are not there.

        The tensor is a view of the file: pages are read when it is used, and writing to it changes no file.
        """
        place = self._find(key)
        if place is None:
            return None
        shard = self._shard(place)
        if shard is None:
            return None
        dtype = _DTYPES[place.dtype]
        numbers = torch.frombuffer(shard, dtype=dtype, count=place.tokens * place.dim, offset=place.offset)
        return numbers.view(place.tokens, place.dim)

    def __contains__(self, key: str) -> bool:
        place = self._find(key)
        return place is not None and self._shard(place) is not None

    def missing(self, keys: Iterable[str]) -> list[str]:
        """The keys that have no features yet, each once, in order."""
        return [key for key in dict.fromkeys(keys) if key not in self]

    def put(self, keys: Sequence[str], features: Tensor | Sequence[Tensor]) -> None:
        """Keep the features `[N, T, D]`, or N times `[T, D]`, of N media; what is there already stays as it is.

        Raises:
            DataError: The disk is full, or the folder cannot be written.
        ValueError: The numbers of keys and features differ, or the features are of another type or shape.
        """
        if len(keys) != len(features):
            raise ValueError(f"{len(keys)} keys for {len(features)} features")
        for feature in features:
            if feature.dim() != 2 or feature.numel() == 0 or feature.dtype not in _DTYPES:
                raise ValueError(f"features must be [T, D] in {_DTYPES}, got {tuple(feature.shape)} {feature.dtype}")
        try:
            with locked(self.folder / "lock"):
                self._claim()
                self._drop_unfinished()
                fresh = {key: feature for key, feature in zip(keys, features, strict=True) if key not in self}
                if fresh:
                    self._append(fresh)
        except (OSError, FolderError) as error:
            hint = (
                "delete the folders of encoders that are not in use any more, set TRIPTYCH_CACHE to another disk, or "
                "turn the recipe's loading.cache_features off"
                if error.errno in (errno.ENOSPC, errno.EDQUOT)
                else "set TRIPTYCH_CACHE to a folder that you may write"
            )
            said = getattr(error, "strerror", None) or error
            raise DataError(f"{self.folder}: features cannot be written ({said}); {hint}") from error

    def __len__(self) -> int:
        self._refresh()
        return len(self._places)

    @property
    def size_bytes(self) -> int:
        """What the cache takes on disk."""
        return sum(path.stat().st_size for path in self.folder.glob("*")) if self.folder.is_dir() else 0

    def describe(self) -> str:
        """One line: how many media, how much space, which shapes, where."""
        if not len(self):
            return f"no features in {self.folder}"
        shapes = {(place.tokens, place.dim, place.dtype) for place in self._places.values()}
        kinds = (f"{tokens} × {dim} {str(_DTYPES[dtype])[6:]}" for tokens, dim, dtype in sorted(shapes)[:3])
        more = ", …" if len(shapes) > 3 else ""
        return f"{len(self):,} media, {self.size_bytes / 1e9:.2f} GB ({', '.join(kinds)}{more}) in {self.folder}"

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "fingerprint": self.fingerprint}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    # Reading

    def _reset(self) -> None:
        self._places: dict[bytes, _Place] = {}
        self._read_until = 0  # bytes of the index that are in `_places`
        self._end: tuple[int, int] = (0, 0)  # the last shard and the end of what is named in it
        self._maps: dict[int, mmap.mmap] = {}

    def _find(self, key: str) -> _Place | None:
        digest = _digest(key)
        if digest not in self._places:
            self._refresh()
        return self._places.get(digest)

    def _refresh(self) -> None:
        """Read the records that were added to the index since the last time."""
        try:
            with (self.folder / "index").open("rb") as index:
                if index.seek(0, os.SEEK_END) < self._read_until:  # somebody deleted the folder and began again
                    self._reset()
                    index.seek(0, os.SEEK_END)
                if index.tell() == self._read_until:
                    return
                index.seek(self._read_until)
                data = index.read()
        except FileNotFoundError:
            if self._read_until:
                self._reset()
            return
        for start in range(0, len(data) - _RECORD_BYTES + 1, _RECORD_BYTES):
            record, check = data[start : start + _RECORD.size], data[start + _RECORD.size : start + _RECORD_BYTES]
            if _CHECK.pack(zlib.crc32(record)) != check:
                break  # not written to its end; everything behind it is not either
            digest, *numbers = _RECORD.unpack(record)
            place = _Place(*numbers[:5])
            self._places[digest] = place
            self._end = max(self._end, (place.shard, place.end))
            self._read_until += _RECORD_BYTES

    def _shard(self, place: _Place) -> mmap.mmap | None:
        """The mapped file that holds a place; None if the file is gone or too short."""
        mapped = self._maps.get(place.shard)
        if mapped is None or len(mapped) < place.end:
            try:
                with self._path(place.shard).open("rb") as file:
                    if os.fstat(file.fileno()).st_size < place.end:
                        return None
                    # Private copies of written pages: tensors must be writable for PyTorch, the file never changes.
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            except FileNotFoundError:
                return None
            self._maps[place.shard] = mapped  # tensors keep the map they were made of alive
        return mapped

    def _path(self, shard: int) -> Path:
        return self.folder / f"{shard:05}.features"

    def _check_owner(self) -> None:
        try:
            about = json.loads((self.folder / "about.json").read_text())
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{self.folder}: about.json cannot be read ({error}); delete the folder") from error
        if about != self._about:
            raise DataError(
                f"{self.folder}: holds the features of another encoder, or of another version of Triptych; "
                f"delete the folder or choose another (there: {about}, expected: {self._about})"
            )

    @property
    def _about(self) -> dict[str, Any]:
        return {"format": FORMAT, "encoder": self.fingerprint}

    # Writing, under the lock

    def _claim(self) -> None:
        if not (self.folder / "about.json").exists():
            with written_atomically(self.folder / "about.json") as part:
                part.write_text(json.dumps(self._about))
        self._check_owner()

    def _drop_unfinished(self) -> None:
        """Cut off what a killed process had begun to write."""
        self._refresh()
        shard, end = self._end
        for path, size in ((self.folder / "index", self._read_until), (self._path(shard), end)):
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, size)
        self._path(shard + 1).unlink(missing_ok=True)

    def _append(self, features: dict[str, Tensor]) -> None:
        shard, position = self._end
        there = self._path(shard).stat().st_size if self._path(shard).exists() else 0
        # A file that was cut short from outside is left short, so that what it lost does not come back as zeros.
        if position >= SHARD_BYTES or there < position:
            shard, position = shard + 1, 0
        records = []
        with self._path(shard).open("ab") as file:
            for key, feature in features.items():
                padding = -position % ALIGNMENT
                tokens, dim = feature.shape
                place = _Place(shard, position + padding, tokens, dim, _DTYPES.index(feature.dtype))
                file.write(bytes(padding))
                file.write(feature.detach().cpu().contiguous().view(torch.uint8).numpy().data)
                position = place.end
                record = _RECORD.pack(_digest(key), *place, 0)
                records.append(record + _CHECK.pack(zlib.crc32(record)))
            file.flush()
            os.fsync(file.fileno())
        with (self.folder / "index").open("ab") as index:
            index.write(b"".join(records))
        self._refresh()


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


def cache_of(encoder: Encoder | None, wanted: bool = True) -> FeatureCache | None:
    """Where the features of a frozen encoder are kept; None where it learns, where there is none, or none are wanted."""
    if encoder is None or not wanted or any(parameter.requires_grad for parameter in encoder.parameters()):
        return None
    return FeatureCache.of(encoder.fingerprint)


def encode_missing(
    parts: Iterable[Medium],
    encoder: Encoder,
    cache: FeatureCache,
    progress: Callable[[int], object] | None = None,
    threads: int | None = None,
    foreseen: bool = True,
) -> dict[str, DataError]:
    """Run a frozen encoder over the media that the cache does not have.

        hash ──► missing? ──► prepare (threads) ──► encode ──► put (a thread)

    Stopped in the middle, it goes on from there the next time.

    Args:
        parts: Media; each is encoded once however often it comes.
        encoder: In evaluation mode, where it is to run.
        cache: Of this encoder.
        progress: Told how many more parts are done; in the end as many as there are.
        threads: How many prepare; by default as many as there are cores.
        foreseen: Whether only errors that were foreseen are returned; any other exception is then raised. Else they are
            returned, too: training goes on without the record, and its ledger counts it.

    Returns:
        What could not be encoded: content hash, or name where even that cannot be told, → why.

    Raises:
        DataError: The features cannot be written.
    """
    told = progress or (lambda _: None)
    failures: dict[str, DataError] = {}
    todo: dict[str, Medium] = {}
    total = 0
    with ThreadPoolExecutor(threads or _cores()) as pool, ThreadPoolExecutor(1) as writer:
        for part, key in _ahead(pool, lambda part: _attempt(lambda: part.content_hash, foreseen), parts):
            total += 1
            if isinstance(key, DataError):
                failures[str(part)] = key
            else:
                todo.setdefault(key, part)
        missing = cache.missing(todo)
        told(total - len(missing))
        prepared = _ahead(pool, lambda key: _attempt(lambda: encoder.prepare(todo[key]), foreseen), missing)
        written: Future[None] | None = None
        while group := list(islice(prepared, -(-MEDIA_AHEAD // encoder.chunk) * encoder.chunk)):
            failures |= {key: found for key, found in group if isinstance(found, DataError)}
            inputs = {key: found for key, found in group if not isinstance(found, DataError)}
            with torch.no_grad():
                features = encoder.encode(list(inputs.values()))
            if written is not None:
                written.result()
            written = writer.submit(cache.put, list(inputs), features)
            told(len(group))
        if written is not None:
            written.result()
    return failures


def _attempt(function: Callable[[], T], foreseen: bool) -> T | DataError:
    try:
        return function()
    except DataError as error:
        return error
    except WeightsError:
        raise
    except Exception as error:
        if foreseen:
            raise
        return UnexpectedError(error)


def _ahead(pool: ThreadPoolExecutor, function: Callable[[S], T], items: Iterable[S]) -> Iterator[tuple[S, T]]:
    """Each item with the function's value, in order, computed a bounded number of items ahead."""
    waiting: deque[tuple[S, Future[T]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(function, item)))
        if len(waiting) > 2 * MEDIA_AHEAD:
            first, future = waiting.popleft()
            yield first, future.result()
    for first, future in waiting:
        yield first, future.result()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
