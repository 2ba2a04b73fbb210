"""Weights of Q-Formers that others, or an earlier recipe, have trained.

a run with a Q-Former ─────────────┐
BLIP-2, InstructBLIP of the hub ───┴─► names of ours ─► what the adapter has ─► in place
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.errors import WeightsError
from triptych.formats.blip2 import HUB
from triptych.weights import fetch
from triptych.weights.accounting import fill
from triptych.weights.run_folder import is_run, recipe_values, weights_file
from triptych.weights.tensor_files import read_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

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

ROWS = ("qformer.places.weight", "qformer.words.weight")
"""Tables of which a part serves."""

NOT_NEEDED = (
    "heads.*",
    "gain",
    "scale",
    "norm.*",
    "projection.*",
    "qformer.words.*",
    "qformer.places.*",
    "qformer.layers.*.text_feed_forward.*",
)
"""What a Q-Former may have that an adapter or the first stage has no use for: heads, a projection, the text side."""

OWN = ("reader.", "adapters.image.")
"""What stands in front of a Q-Former's names in runs: of BLIP-2's first stage, and of composed models."""


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
        All that was read, as `read_qformer` does.

    Raises:
        WeightsError: There is no Q-Former, or one of another shape.
    """
    loaded, where = read_qformer(uri, base), f"weights {uri}"
    foreign = not is_run(fetch(uri, base=base))
    own = {name: parameter for name, parameter in adapter.named_parameters() if name != "gain"}
    for name, option in (("positions", "positions"), ("norm.weight", "normalise")):
        # In the hub's checkpoints the normalisation may be the tower's last, which it is there with `layer: output`.
        if name in loaded and name not in own and not (name == "norm.weight" and foreign):
            raise WeightsError(f"{where}: it was trained with `{option}: true`; set it here, too")
    fill(
        own,
        _fitted(loaded, own, where),
        where,
        may_lack=("projection.*", "positions"),
        may_have=NOT_NEEDED,
        hint="Has its Q-Former other `layers` or `cross_every`, `normalise`, or no text side?",
    )
    return loaded


def _fitted(loaded: Mapping[str, Tensor], own: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """The tensors without dimensions of one in front; of words and places the shared rows; no projection of another model."""
    import torch

    given = {}
    for name, tensor in loaded.items():
        place = own.get(name)
        while place is not None and tensor.dim() > place.dim() and len(tensor) == 1:
            tensor = tensor[0]
        if place is not None and name in ROWS and tensor.shape[1:] == place.shape[1:]:
            rows = min(len(place), len(tensor))
            if len(place) > rows and name == "qformer.places.weight":
                raise WeightsError(f"{where}: it reads texts of {rows} tokens; set `text_tokens` to at most that")
            tensor = torch.cat([tensor[:rows].to(place), place[rows:].detach()])
        given[name] = tensor
    weight = own.get("projection.weight")
    if weight is not None and "projection.weight" in given and given["projection.weight"].shape != weight.shape:
        del given["projection.weight"], given["projection.bias"]
    return given


def read_qformer(uri: str, base: Path | None = None) -> dict[str, Tensor]:
    """The tensors of a Q-Former by the adapter's names, and those of the first stage's `heads.` where they are there.

    Raises:
        WeightsError: There is none.
    """
    path, where = fetch(uri, base=base), f"weights {uri}"
    if is_run(path):
        state = read_tensors(weights_file(path, where), where, lambda name: name.startswith((*OWN, "heads.")))
        loaded = {name.removeprefix(OWN[0]).removeprefix(OWN[1]): tensor for name, tensor in state.items()}
        if "queries" not in loaded:
            kind = recipe_values(path, where)["model"].get("kind", "composed")
            raise WeightsError(f"{where}: its model is of kind {kind!r}, without a Q-Former")
        return loaded
    state = read_tensors(path, where, lambda name: name.removeprefix("model.").startswith(BEGINNINGS))
    loaded = HUB.ours({name.removeprefix("model."): tensor for name, tensor in state.items()})
    if "queries" not in loaded:
        raise WeightsError(f"{where}: there is no Q-Former in it; expected BLIP-2 or InstructBLIP as the hub has them")
    return loaded
