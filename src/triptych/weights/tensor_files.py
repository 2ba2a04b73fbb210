"""Tensors out of files: safetensors, sharded ones too, and pickles of nothing but tensors.

folder ─► model.safetensors, or the shards of an index, or what else is there ─► headers checked ─► name → tensor

Whatever is wrong with a file is a `WeightsError` of one line that names it.
"""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from triptych.errors import WeightsError, excerpt, one_line
from triptych.files import read_object
from triptych.paths import is_file

if TYPE_CHECKING:
    from torch import Tensor

WRAPPERS = ("state_dict", "model", "module", "model_ema")
"""Names under which training programs put the state dict into a file."""

MOST_WRAPPERS = 4
"""One around the other."""

PICKLES = ("*.bin", "*.pt", "*.pth")
"""Files that are read where a folder has no safetensors."""

Wanted = Callable[[str], bool]


def read_tensors(path: Path, where: str, wanted: Wanted | None = None) -> dict[str, Tensor]:
    """The tensors of a file or a folder by name.

    Args:
        path: A `.safetensors` file, a pickle of tensors, or a folder of such files.
        where: What the files are, in front of messages.
        wanted: Tells by name which tensors are read; all by default.

    Raises:
        WeightsError: There are no such files, one is damaged or holds something else than tensors, or two of them hold
            a tensor of one name.
    """
    tensors: dict[str, Tensor] = {}
    origin: dict[str, Path] = {}
    for file in weight_files(path, where):
        for name, tensor in _tensors_of(file, where, wanted):
            if name in origin:
                raise WeightsError(f"{where}: {name} stands in {origin[name]} and in {file.name}; keep one of them")
            tensors[name], origin[name] = tensor, file
    return tensors


def weight_files(path: Path, where: str) -> list[Path]:
    """The files that a model's tensors are in, in the order in which transformers looks for them.

    Raises:
        WeightsError: There are none, an index is damaged, or it names a file that is not there or not in the folder.
    """
    if not path.is_dir():
        return [path]
    for name, index in (
        ("model.safetensors", "model.safetensors.index.json"),
        ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ):
        if (path / name).is_file():
            return [path / name]
        if (path / index).is_file():
            return shards(path / index, where)
    for pattern in ("*.safetensors.index.json", "*.bin.index.json"):
        if indices := sorted(path.glob(pattern)):
            return shards(indices[0], where)
    files = sorted(path.glob("*.safetensors")) or sorted(file for kind in PICKLES for file in path.glob(kind))
    if not files:
        raise WeightsError(f"{where}: {path} holds neither .safetensors nor {', '.join(k[1:] for k in PICKLES)} files")
    return files


def shards(index: Path, where: str) -> list[Path]:
    """The files that an index (`model.safetensors.index.json`) names, each with all that the index says of it.

    Raises:
        WeightsError: The index is damaged; a file is not there, outside the folder, or lacks a tensor.
    """
    weight_map = read_object(index, WeightsError).get("weight_map")
    kind = ".safetensors" if ".safetensors" in index.suffixes else ".bin"
    if not (isinstance(weight_map, dict) and weight_map and all(isinstance(v, str) for v in weight_map.values())):
        raise WeightsError(f"{where}: {index}: no `weight_map` from tensors to files")
    files = []
    for name in sorted(set(weight_map.values())):
        if not _plain(name) or not name.endswith(kind):
            raise WeightsError(
                f"{where}: {index} names {excerpt(repr(name))}; expected a {kind} file inside its folder"
            )
        file = index.parent / name
        if not is_file(file):
            raise WeightsError(f"{where}: {index.name} names {excerpt(name)}, which is not in {index.parent}")
        files.append(file)
        if file.suffix == ".safetensors":
            there = safetensors_header(file, where)
            if lacking := sorted(key for key, shard in weight_map.items() if shard == name and key not in there):
                raise WeightsError(f"{where}: {file} lacks {lacking[0]} and so {len(lacking)} of the index's tensors")
    return files


def safetensors_header(file: Path, where: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Precision (as the format writes it: `F32`, `I64`) and shape of each tensor of a file; no tensor is read.

    Raises:
        WeightsError: The file cannot be read or is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except (OSError, SafetensorError) as error:
        raise damaged(file, where, error) from error


def unpickled(file: Path, where: str, mmap: bool = False) -> Any:
    """What a pickle of PyTorch holds, read without running anything in it.

    Raises:
        WeightsError: It holds something else than tensors and plain containers, is a program, or is damaged.
    """
    import torch

    try:
        program = zipfile.is_zipfile(file) and any("/code/" in name for name in zipfile.ZipFile(file).namelist())
    except (OSError, ValueError, NotImplementedError, struct.error, zipfile.BadZipFile) as error:  # zipfile raises many
        raise damaged(file, where, error) from error
    if program:
        raise WeightsError(
            f"{file}: a TorchScript program, as OpenAI publishes CLIP; programs from outside are not run here. "
            "Where you trust it, write its weights once: "
            "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pt')"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about protocols of pickle: what cannot be read raises
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # torch and pickle raise many kinds
        raise WeightsError(f"{where}: {file} cannot be read as tensors alone ({reason(error)})") from error


def reason(error: Exception) -> str:
    """What a library says in a line; of PyTorch's refusals to unpickle without its advice to unpickle all the same."""
    _, refusal, why = str(error).partition("WeightsUnpickler error: ")
    return why.split(" was not ")[0].split("\n")[0] if refusal else one_line(error)


def state_dict_in(content: Any, file: Path, where: str) -> dict[str, Tensor]:
    """The tensors by name in what a pickle holds, out of the wrappers that training programs put around them.

    Raises:
        WeightsError: There are none.
    """
    import torch

    for _ in range(MOST_WRAPPERS):  # a pickle may hold itself
        if not isinstance(content, Mapping):
            break
        inner = next((content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping):
        raise WeightsError(f"{where}: {file} holds {type(content).__name__}, expected tensors by name")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise WeightsError(f"{where}: {file} holds no tensors by name")
    if all(name.startswith("module.") for name in tensors):  # of a model wrapped for several devices
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def damaged(file: Path, where: str, error: Exception) -> WeightsError:
    """The answer to a file that cannot be read."""
    return WeightsError(f"{where}: {file} cannot be read; is it damaged or half copied? ({reason(error)})")


def _tensors_of(file: Path, where: str, wanted: Wanted | None) -> Iterator[tuple[str, Tensor]]:
    if file.suffix == ".safetensors":
        yield from _of_safetensors(file, where, wanted)
        return
    for name, tensor in state_dict_in(unpickled(file, where, mmap=wanted is not None), file, where).items():
        if wanted is None or wanted(name):
            yield name, tensor


def _of_safetensors(file: Path, where: str, wanted: Wanted | None) -> Iterator[tuple[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - not a dict
                if wanted is None or wanted(name):
                    yield name, opened.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise damaged(file, where, error) from error


def _plain(name: str) -> bool:
    """Whether a name in an index stays inside the index's folder."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and not set(name) & set("\\:\0")
