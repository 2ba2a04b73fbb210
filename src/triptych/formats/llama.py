"""LLaMA as Meta published it (`params.json`, `consolidated.00.pth`, …) as a folder in the hub's format.

    shards ─► joined along the dimension that was cut ─► queries and keys reordered ─► safetensors, a file a layer

A layer at a time is in memory. Layout after `llama/model.py` and `fairscale`'s parallel layers; the order of rows is
explained in `rotary_order`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.errors import WeightsError
from triptych.files import read_object, written_folder
from triptych.formats.rotary_order import heads_of, separate
from triptych.weights import file_sha256
from triptych.weights.names import NameMap
from triptych.weights.tensor_files import unpickled

if TYPE_CHECKING:
    from torch import Tensor

NAMES = NameMap(
    {
        "tok_embeddings": "model.embed_tokens",
        "norm": "model.norm",
        "output": "lm_head",
        "layers.{}.attention.wq": "model.layers.{}.self_attn.q_proj",
        "layers.{}.attention.wk": "model.layers.{}.self_attn.k_proj",
        "layers.{}.attention.wv": "model.layers.{}.self_attn.v_proj",
        "layers.{}.attention.wo": "model.layers.{}.self_attn.o_proj",
        "layers.{}.feed_forward.w1": "model.layers.{}.mlp.gate_proj",
        "layers.{}.feed_forward.w2": "model.layers.{}.mlp.down_proj",
        "layers.{}.feed_forward.w3": "model.layers.{}.mlp.up_proj",
        "layers.{}.attention_norm": "model.layers.{}.input_layernorm",
        "layers.{}.ffn_norm": "model.layers.{}.post_attention_layernorm",
    },
    ignored=("rope", "layers.{}.attention.inner_attention.rope"),
)
"""Meta's names to those of transformers' `LlamaForCausalLM`."""

ROWS = ("wq", "wk", "wv", "w1", "w3", "output")
COLUMNS = ("wo", "w2")
"""Layers that are cut along their outputs, and along their inputs, where there are several shards."""

LONGEST = {1e-6: 2048, 1e-5: 4096}
"""Tokens that LLaMA and LLaMA 2 were trained on, told apart by what their norms add: files do not say it."""


def is_there(folder: Path) -> bool:
    """Whether a folder holds LLaMA in Meta's layout, and no model in the hub's."""
    return (
        (folder / "params.json").is_file()
        and not (folder / "config.json").is_file()
        and any(folder.glob("consolidated.*.pth"))
    )


def convert(folder: Path, cache: Path) -> Path:
    """The same model in the hub's format, converted once and kept under the hash of its files.

    `tokenizer.model` comes along from the folder, or from the one above it, where Meta put LLaMA's.

    Raises:
        WeightsError: The files do not belong together, or have something that LLaMA 1 to 3 have not.
    """
    places = (folder / "tokenizer.model", folder.parent / "tokenizer.model")
    words = [path for path in places if path.is_file()][:1]
    made_of = [folder / "params.json", *_shards(folder), *words]
    key = hashlib.sha256(" ".join(file_sha256(path) for path in made_of).encode()).hexdigest()[:24]
    target = cache / "converted" / key
    if target.exists():
        return target
    with written_folder(target, keep=True) as work:
        _write(folder, work)
        for path in words:
            shutil.copyfile(path, work / "tokenizer.model")
            (work / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}) + "\n")
    return target


def configuration(folder: Path) -> dict[str, Any]:
    """The values of a `LlamaConfig` for a folder in Meta's layout; no weights are read, only their shapes.

    Raises:
        WeightsError: It is no LLaMA 1, 2 or 3, or says too little.
    """
    return _configuration(_params(folder), [_read(path) for path in _shards(folder)])


def _configuration(params: Mapping[str, Any], shards: list[dict[str, Tensor]]) -> dict[str, Any]:
    if params.get("use_scaled_rope"):
        raise WeightsError(
            "params.json: `use_scaled_rope`, of LLaMA 3.1 and later; by how much its rotations are scaled stands in no "
            "file of this layout. Take the same model in the hub's format"
        )
    if "moe" in params or "quantization_args" in params:
        raise WeightsError("params.json: `moe` or `quantization_args`; only dense layers in full precision are read")
    heads, norm, theta = int(params["n_heads"]), float(params["norm_eps"]), float(params.get("rope_theta") or 10_000.0)
    tables = [shard["tok_embeddings.weight"] for shard in shards]
    cut_by_rows = tables[0].shape[1] == int(params["dim"])
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": sum(map(len, tables)) if cut_by_rows else len(tables[0]),
        "hidden_size": int(params["dim"]),
        "intermediate_size": sum(len(shard["layers.0.feed_forward.w1.weight"]) for shard in shards),
        "num_hidden_layers": int(params["n_layers"]),
        "num_attention_heads": heads,
        "num_key_value_heads": int(params.get("n_kv_heads") or heads),
        "rms_norm_eps": norm,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "max_position_embeddings": int(
            params.get("max_seq_len") or (8192 if theta > 10_000 else LONGEST.get(norm, 2048))
        ),
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        "dtype": str(tables[0].dtype).removeprefix("torch."),
    }


def joined(name: str, pieces: list[Tensor], width: int) -> Tensor:
    """One tensor of its pieces on several shards.

    Args:
        name: Meta's.
        pieces: In the order of the shards.
        width: Of the model. LLaMA's table of embeddings is cut along it, LLaMA 3's along its rows.
    """
    import torch

    *_, layer, kind = name.split(".")
    if len(pieces) == 1 or kind != "weight":
        return pieces[0]
    if layer == "tok_embeddings":
        return torch.cat(pieces, dim=0 if pieces[0].shape[1] == width else 1)
    if layer in ROWS:
        return torch.cat(pieces)
    return torch.cat(pieces, dim=1) if layer in COLUMNS else pieces[0]  # norms are the same on all


def _write(folder: Path, work: Path) -> None:
    from safetensors.torch import save_file

    params, paths = _params(folder), _shards(folder)
    shards = [_read(path) for path in paths]
    names = [name for name in shards[0] if not name.endswith("rope.freqs")]
    for path, shard in zip(paths, shards, strict=True):
        if lacking := [name for name in names if name not in shard]:
            raise WeightsError(f"{path}: lacks {lacking[0]}, which {paths[0].name} has; are these shards of one model?")
        if extra := [name for name in shard if name not in shards[0]]:
            raise WeightsError(f"{path}: has {extra[0]}, which {paths[0].name} lacks; are these shards of one model?")
    values = _configuration(params, shards)
    layers = int(values["num_hidden_layers"])
    weight_map: dict[str, str] = {}
    for number, group in enumerate(_groups(names, layers)):
        state = NAMES.ours(
            {name: joined(name, [shard[name] for shard in shards], values["hidden_size"]) for name in group}
        )
        for name, tensor in state.items():
            heads = heads_of(name.removesuffix(".weight"), values)
            state[name] = (tensor if heads is None else separate(tensor, heads)).contiguous().clone()
        file = f"model-{number + 1:05}-of-{layers + 1:05}.safetensors"
        save_file(state, work / file, {"format": "pt"})
        weight_map |= dict.fromkeys(state, file)
    (work / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (work / "config.json").write_text(json.dumps(values, indent=1) + "\n")


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("consolidated.*.pth"))


def _params(folder: Path) -> dict[str, Any]:
    found = read_object(folder / "params.json", WeightsError)
    if lacking := [name for name in ("dim", "n_layers", "n_heads", "norm_eps") if name not in found]:
        raise WeightsError(f"{folder / 'params.json'}: says nothing about {', '.join(lacking)}")
    numbers = ("dim", "n_layers", "n_heads", "norm_eps", "n_kv_heads", "rope_theta", "max_seq_len")
    for name in numbers:
        value = found.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
            raise WeightsError(f"{folder / 'params.json'}: {name} is {value!r}, expected a positive number")
    return found


def _groups(names: list[str], layers: int) -> Iterator[list[str]]:
    """The names of each layer, and at the end those of none.

    Raises:
        WeightsError: A layer is not there, or one more.
    """
    beyond = [
        name for name in names if name.startswith("layers.") and name.split(".")[1] not in map(str, range(layers))
    ]
    if beyond:
        raise WeightsError(f"params.json says {layers} layers, and the shards have {beyond[0]}")
    for layer in range(layers):
        own = [name for name in names if name.startswith(f"layers.{layer}.")]
        if not own:
            raise WeightsError(f"params.json says {layers} layers, and the shards have no layer {layer}")
        yield own
    yield [name for name in names if not name.startswith("layers.")]


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a shard, mapped into memory; nothing else is unpickled."""
    from torch import Tensor

    found = unpickled(path, "LLaMA of Meta's layout", mmap=True)
    if not (isinstance(found, Mapping) and all(isinstance(tensor, Tensor) for tensor in found.values())):
        found = {}
    marks = ("tok_embeddings.weight", "layers.0.feed_forward.w1.weight", "norm.weight")
    if lacking := [name for name in marks if name not in found]:
        raise WeightsError(f"{path}: holds no LLaMA of Meta's layout (no {lacking[0]})")
    return dict(found)
