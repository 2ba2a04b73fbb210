"""GGUF: its files as folders in the hub's format (converted once, then loaded like any other), and its names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from triptych.errors import WeightsError
from triptych.files import written_folder
from triptych.weights import file_sha256
from triptych.weights.pretrained import load_pretrained, load_tokenizer
from triptych.weights.quiet import quiet
from triptych.weights.tensor_files import damaged

ARCHITECTURES: dict[str, tuple[str, bool]] = {
    "llama": ("LLAMA", True),
    "mistral": ("LLAMA", True),
    "qwen2": ("QWEN2", False),
    "qwen3": ("QWEN3", False),
}
"""transformers' model type → gguf's architecture, and whether its heads are interleaved."""


def convert_gguf(path: Path, cache: Path) -> Path:
    """A folder with the dequantised weights (safetensors), the configuration and the tokenizer of a GGUF file.

    The conversion takes some twenty seconds and is kept in the cache under the hash of the file.

    Raises:
        WeightsError: transformers cannot read the file, or leaves tensors of it out.
        FolderError: The cache cannot be written.
    """
    folder = cache / "converted" / file_sha256(path)[:24]
    if folder.exists():
        return folder
    from transformers import AutoModelForCausalLM

    where = f"weights {path}"
    sizes = _sizes(path, where)
    tokenizer = load_tokenizer(path.parent, where, gguf_file=path.name)
    model = load_pretrained(AutoModelForCausalLM, path.parent, where, gguf_file=path.name)
    _require_all(sizes, model, where)
    with written_folder(folder, keep=True) as work:
        values = {key: value for key, value in model.config.to_dict().items() if key != "quantization_config"}
        plain = type(model)(type(model.config)(**values))  # transformers saves no model that it knows as quantised
        plain.load_state_dict(model.state_dict())
        with quiet():
            plain.save_pretrained(work)
            tokenizer.save_pretrained(work)
    return folder


def _sizes(path: Path, where: str) -> dict[str, int]:
    """How many numbers each tensor of a GGUF file has."""
    from gguf import GGUFReader

    try:
        return {tensor.name: int(tensor.n_elements) for tensor in GGUFReader(path).tensors}
    except Exception as error:  # the reader raises whatever NumPy does at a wrong offset
        raise damaged(path, where, error) from error


def _require_all(sizes: dict[str, int], model: Any, where: str) -> None:
    """Refuse what transformers would leave out of a file without a word.

    It renames, reorders and joins tensors, so that only how many numbers there are is the same in both. What is left out
    changes answers: `rope_freqs` scales the rotations of LLaMA 3.1 and later.

    Raises:
        WeightsError: The file has more numbers than the model.
    """
    own = [parameter.numel() for parameter in model.parameters()]
    if (beyond := sum(sizes.values()) - sum(own)) <= 0:
        return  # what the model lacked would have been reported as missing
    beside = Counter(own)
    left = []
    for name, size in sizes.items():
        if beside[size]:
            beside[size] -= 1
        else:
            left.append(name)
    raise WeightsError(
        f"{where}: transformers reads {beyond:,} of its numbers into no place of {type(model).__name__}"
        f"{' (' + ', '.join(left[:5]) + ')' if left else ''}, so it would answer otherwise; take the model in the hub's format"
    )
