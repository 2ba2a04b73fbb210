"""`hf:` weights: a repository of the Hugging Face hub, or one file of it.

What is complete in a cache is used without asking the network. A download goes into Triptych's cache folder,
or into the Hugging Face cache where that already has (part of) the repository.
"""

from __future__ import annotations

import json
import os
from fnmatch import fnmatch
from pathlib import Path

from triptych.errors import WeightsError
from triptych.paths import is_file
from triptych.progress import other_bars
from triptych.weights.cache import cache_folder, offline
from triptych.weights.source import HubSource
from triptych.weights.wheels import carry_over

KEPT = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.safetensors", "LICENSE*", "README.md")
"""Files of a repository that are downloaded; code (`*.py`) and other frameworks' weights are not."""

PICKLED = ("pytorch_model*.bin",)
"""Weights for repositories without safetensors; they are read with `weights_only=True` only."""


def fetch_from_hub(source: HubSource) -> Path:
    """The folder of a repository's snapshot, or the path of one file.

    Raises:
        WeightsError: Offline and not (completely) cached, no such repository, revision or file, no permission.
    """
    found = _cached(source)
    if found is not None:
        return found
    if offline():
        raise WeightsError(
            f"weights {source.uri}: not (completely) in the cache, and TRIPTYCH_OFFLINE or HF_HUB_OFFLINE forbids the "
            f"network\n{carry_over(source.uri)}"
        )
    try:
        return _download(source)
    except Exception as error:  # requests', httpx's and the hub's own kinds, by version
        first = (str(error).strip().splitlines() or [""])[0]
        raise WeightsError(
            f"weights {source.uri}: the hub did not deliver ({type(error).__name__}: {first})\n"
            "Check the name and revision, and log in (`hf auth login`) for a gated model.\n"
            f"{carry_over(source.uri)}"
        ) from error


def files_to_download(files: list[str]) -> list[str]:
    """Of a repository's files, those that a model, tokenizer or processor is loaded from.

    Pickled weights are taken only where there are no safetensors, and exports for other runtimes
    (in subfolders) and duplicates in the original layout (`consolidated.*`) never.
    """
    top = [name for name in files if "/" not in name]
    kept = [name for name in top if any(fnmatch(name, pattern) for pattern in KEPT)]
    if any(name.startswith("model") and name.endswith(".safetensors") for name in kept):
        kept = [name for name in kept if not name.startswith("consolidated")]
    if not any(name.endswith(".safetensors") for name in kept):
        kept += [name for name in top if any(fnmatch(name, pattern) for pattern in PICKLED)]
    return kept


def has_weights(folder: Path) -> bool:
    """Whether a folder holds a configuration and all of its weight files (every shard that an index names)."""
    if not (folder / "config.json").is_file():
        return False
    indices = [*folder.glob("*.safetensors.index.json"), *folder.glob("pytorch_model*.bin.index.json")]
    for index in indices:
        try:
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            continue
        if all(isinstance(shard, str) and is_file(folder / shard) for shard in shards):
            return True
    if indices:
        return False
    return any(path.is_file() for pattern in ("*.safetensors", *PICKLED) for path in folder.glob(pattern))


def _cached(source: HubSource) -> Path | None:
    """What one of the two caches has, complete; None otherwise."""
    from huggingface_hub import constants, try_to_load_from_cache

    for root in (_own_cache(), Path(constants.HF_HUB_CACHE)):
        name = source.file or "config.json"
        path = try_to_load_from_cache(source.repo, name, cache_dir=root, revision=source.revision)
        if isinstance(path, str):
            if source.file:
                return Path(path)
            if has_weights(Path(path).parent):
                return Path(path).parent
    return None


def _download(source: HubSource) -> Path:
    from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download

    theirs = Path(constants.HF_HUB_CACHE)
    cache = theirs if (theirs / f"models--{source.repo.replace('/', '--')}").is_dir() else _own_cache()
    if source.file:
        with other_bars(f"downloading {source.file} of {source.repo}"):
            return Path(hf_hub_download(source.repo, source.file, revision=source.revision, cache_dir=cache))
    info = HfApi().model_info(source.repo, revision=source.revision)
    files = files_to_download([sibling.rfilename for sibling in info.siblings or []])
    with other_bars(f"downloading {source.repo}, {len(files)} files"):
        return Path(snapshot_download(source.repo, revision=source.revision, cache_dir=cache, allow_patterns=files))


def _own_cache() -> Path:
    return Path(os.fspath(cache_folder())) / "hub"
