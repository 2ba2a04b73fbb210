"""Weights of Q-Formers that others, or an earlier recipe, have trained.

run of `kind: blip2` ──────────────┐
BLIP-2, InstructBLIP of the hub ───┴─► names of ours ─► what the adapter has ─► in place
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from triptych.errors import WeightsError, resume_command
from triptych.weights import fetch
from triptych.weights.formats.systems import qformer_names
from triptych.weights.names import NameMap

HUB = NameMap(
    {
        **qformer_names("qformer.", "qformer."),
        "query_tokens": "queries",
        "vision_model.post_layernorm": "norm",
        "qformer.layernorm": "qformer.norm",
        "embeddings.word_embeddings": "qformer.words",
        "embeddings.position_embeddings": "qformer.places",
        "qformer.embeddings.layernorm": "qformer.norm",
        "qformer.embeddings.word_embeddings": "qformer.words",
        "qformer.embeddings.position_embeddings": "qformer.places",
        "language_projection": "projection",
        "vision_projection": "heads.vision",
        "text_projection": "heads.text",
        "itm_head": "heads.match",
    },
    ignored=("embeddings.position_ids", "qformer.embeddings.position_ids"),
)
"""`Blip2ForConditionalGeneration`, `Blip2ForImageTextRetrieval` and `InstructBlipForConditionalGeneration` to the adapter,
and to the heads of the first stage."""

BEGINNINGS = (
    "qformer.",
    "embeddings.",
    "query_tokens",
    "vision_model.post_layernorm.",
    "language_projection.",
    "vision_projection.",
    "text_projection.",
    "itm_head.",
)
"""Of what is read in such a checkpoint; the towers beside it are gigabytes."""

STAGE = "reader."
"""What stands in front of the Q-Former's names in a run of `kind: blip2`."""


def load_qformer(adapter: nn.Module, uri: str, base: Path | None = None) -> dict[str, Tensor]:
    """Put the weights of a Q-Former in place, in an adapter or in BLIP-2's first stage.

    What the adapter has no use for (a text side, heads) is left out. A projection is taken along where it is made for a
    language model of that width; without one it keeps its random start. Of learned places the first are taken, and of
    words those that both vocabularies have.

    Args:
        adapter: A `QFormerAdapter` or `QFormerReader`.
        uri: `run:`, `hf:` or `file:`.
        base: The folder that relative paths start from.

    Returns:
        All that was found, as `read_qformer` does.

    Raises:
        WeightsError: There is no Q-Former, or one of another shape.
    """
    found, where = read_qformer(uri, base), f"weights {uri}"
    own = {name: parameter for name, parameter in adapter.named_parameters() if name != "gain"}
    missing = [name for name in own if name not in found and name.split(".")[0] not in {"projection", "positions"}]
    if missing:
        raise WeightsError(
            f"{where}: {len(missing)} tensors of the Q-Former are missing, among them {', '.join(missing[:4])}; has it "
            "other `layers` or `cross_every`, `normalise`, or no text side?"
        )
    for name, option in (("positions", "positions"), ("norm.weight", "normalise")):
        # In the hub's checkpoints the normalisation may be the tower's last, which it is there with `layer: output`.
        if name in found and name not in own and not (name == "norm.weight" and _is_hub(uri, base)):
            raise WeightsError(f"{where}: it was trained with `{option}: true`; set it here, too")
    with torch.no_grad():
        for name, parameter in own.items():
            if name in found:
                _put(parameter, found[name].reshape(found[name].shape[-parameter.dim() :]), name, where)
    return found


def _is_hub(uri: str, base: Path | None) -> bool:
    return not (fetch(uri, base=base) / "recipe.yaml").is_file()


def _put(parameter: Tensor, tensor: Tensor, name: str, where: str) -> None:
    if name in {"qformer.places.weight", "qformer.words.weight"} and parameter.shape[1:] == tensor.shape[1:]:
        rows = min(len(parameter), len(tensor))
        if len(parameter) > rows and name == "qformer.places.weight":
            raise WeightsError(f"{where}: it reads texts of {rows} tokens; set `text_tokens` to at most that")
        parameter[:rows].copy_(tensor[:rows])
        return
    if parameter.shape != tensor.shape:
        if name.startswith("projection."):
            return  # of another language model
        raise WeightsError(f"{where}: {name} is {tuple(tensor.shape)}, and {tuple(parameter.shape)} in this recipe")
    parameter.copy_(tensor)


def read_qformer(uri: str, base: Path | None = None) -> dict[str, Tensor]:
    """The tensors of a Q-Former by the adapter's names, and those of the first stage's `heads.` where they are there.

    Raises:
        WeightsError: There is none.
    """
    path, where = fetch(uri, base=base), f"weights {uri}"
    if (path / "recipe.yaml").is_file():
        return _of_run(path, where)
    state = dict(_tensors(path, where, lambda name: name.removeprefix("model.").startswith(BEGINNINGS)))
    found = HUB.ours({name.removeprefix("model."): tensor for name, tensor in state.items()})
    if "queries" not in found:
        raise WeightsError(f"{where}: there is no Q-Former in it; expected BLIP-2 or InstructBLIP as the hub has them")
    return found


def _of_run(path: Path, where: str) -> dict[str, Tensor]:
    model = (yaml.safe_load((path / "recipe.yaml").read_text(encoding="utf-8")) or {}).get("model") or {}
    kind = model.get("kind", "composed")
    adapter = ((model.get("adapters") or {}).get("image") or {}).get("kind")
    if kind != "blip2" and adapter != "qformer":
        raise WeightsError(f"{where}: its model is of kind {kind!r}, without a Q-Former")
    file, starts = path / "weights" / "model.safetensors", (STAGE, "heads.", "adapters.image.")
    if not file.is_file():
        raise WeightsError(f"{where}: training has not finished; continue it with `{resume_command(path)}`")
    own = _tensors(file, where, lambda name: name.startswith(starts))
    return {name.removeprefix(STAGE).removeprefix("adapters.image."): tensor for name, tensor in own}


def _tensors(path: Path, where: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Tensor]]:
    """The wanted tensors of a file or folder; nothing else is read, and nothing is unpickled but tensors."""
    files = [path]
    if path.is_dir():
        files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
        if not files:
            raise WeightsError(f"{where}: {path} holds neither .safetensors nor .bin files")
    for file in files:
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt") as shard:
                    yield from ((name, shard.get_tensor(name)) for name in shard.keys() if wanted(name))  # noqa: SIM118
            else:
                state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
                yield from ((name, tensor) for name, tensor in state.items() if wanted(name))
        except (OSError, SafetensorError, RuntimeError, ValueError) as error:
            raise WeightsError(f"{where}: {file} cannot be read ({error})") from error
