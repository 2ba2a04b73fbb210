"""Memory of one device in a stage of a composed model, item by item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from triptych.encoders.encoder import Encoder
from triptych.families.composed.next_token import CHUNK
from triptych.families.composed.objectives import NextToken
from triptych.model.composed import MultimodalModel
from triptych.planner import activations
from triptych.planner.devices import DeviceSpec
from triptych.planner.flops import learning
from triptych.planner.memory import MemoryItem, passing, standing
from triptych.training.config import StageConfig

LOGIT_BYTES = 14
"""Per logit at the peak: bfloat16, its float32 copy, the log-softmax that is kept, and the gradient of the copy."""


@dataclass(frozen=True)
class Load:
    """What passes through a model at one time: `rows` rows of `row` tokens and, of each modality, so many media in them."""

    rows: int
    row: int
    media: Mapping[str, int]
    supervised: float
    live: bool
    """Whether media are encoded in the step itself rather than read from the feature cache."""


def stage_memory(
    model: MultimodalModel,
    stage: StageConfig,
    trained: Mapping[str, Mapping[str, nn.Parameter]],
    load: Load,
    device: DeviceSpec,
    count: int,
) -> list[MemoryItem]:
    """Where the memory of a stage goes.

    Sharding is that of FSDP: parameters, gradients, masters and moments are cut evenly, a layer is gathered at a time.

    Args:
        model: On the meta device, frozen as the stage says.
        stage: Which stage.
        trained: Part → name → parameter.
        load: What one forward pass holds.
        device: What it runs on.
        count: How many devices share the parameters.
    """
    items = standing(model, trained, _layers(model), count)
    return [*items, *passing(_passing(model, stage, load, device), device)]


def _passing(model: MultimodalModel, stage: StageConfig, load: Load, device: DeviceSpec) -> dict[str, float]:
    """What is there only while a micro-batch passes through."""
    found: dict[str, float] = {}
    if isinstance(stage.objective, NextToken):
        learns = learning(model)
        kept = 0.0
        if learns.backward:
            adapted = [
                adapter.output_tokens(encoder.usual_tokens)
                for adapter, encoder, count in (
                    (model.adapter(name), model.encoder(name), load.media[name]) for name in model.adapters
                )
                for _ in range(count)
            ]
            kept = activations.language_bytes(model.language, load.rows, load.row, learns.below, model.fusion, adapted)
            kept += activations.spelled_out_bytes(model.language, load.rows, load.row) if device.is_cpu else 0
        head = model.language.model.get_output_embeddings().weight
        found["activations of the language model"] = kept
        found["logits, a chunk at a time"] = min(load.supervised, CHUNK) * head.shape[0] * LOGIT_BYTES
    for modality, encoder in model.encoders.items():
        assert isinstance(encoder, Encoder)
        count = load.media[modality]
        learns_encoder = any(parameter.requires_grad for parameter in encoder.parameters())
        if learns_encoder:
            found[f"activations of encoders.{modality}"] = activations.encoder_bytes(encoder, count)
        elif load.live:
            found[f"working memory of encoders.{modality}"] = activations.encoder_working_bytes(encoder)
        adapter = model.adapters[modality]
        if learns_encoder or any(parameter.requires_grad for parameter in adapter.parameters()):
            found[f"activations of adapters.{modality}"] = activations.adapter_bytes(adapter, encoder, count)
    return found


def _layers(model: MultimodalModel) -> list[nn.Module]:
    """Those that are gathered one at a time: the list with the most parameters, whatever it is called."""
    decoder: nn.Module = model.language.model.get_decoder()
    lists = [module for module in decoder.modules() if isinstance(module, nn.ModuleList)]
    return list(max(lists, key=lambda layers: sum(p.numel() for p in layers.parameters()), default=()))
