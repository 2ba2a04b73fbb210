"""What of a run foreign classes cannot hold, as far as several formats share it: `field: what, and what would fit`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from triptych.families.composed.config import ModelConfig
from triptych.fusion.config import PromptConfig
from triptych.interchange.finished import Finished
from triptych.language import kosmos
from triptych.language.backbone import LanguageModel
from triptych.model.composed import MultimodalModel


def misfits_of_composed(run: Finished, system: str) -> Iterator[str]:
    """What beside its tower and adapter a system of tower, adapter and language model in one cannot hold."""
    yield from misfits_of_language(run)
    model = run.recipe.model
    if not isinstance(model, ModelConfig) or run.language is None:
        return
    if run.language.config.model_type == kosmos.MODEL_TYPE:
        yield f"model.language: Kosmos' decoder is none of transformers' language models for {system}"
    if model.fusion.kind != "splice":
        yield f"model.fusion: {model.fusion.kind!r}; {system} puts features into the sequence: `splice`"


def misfits_of_language(run: Finished) -> Iterator[str]:
    """What of the language model transformers' own classes cannot hold."""
    model = run.recipe.model
    if not isinstance(model, ModelConfig) or run.language is None:
        yield f"model.kind: {model.kind!r} has no language model"
        return
    if isinstance(model.fusion, PromptConfig) and model.fusion.tuning is not None:
        yield "model.fusion.tuning: biases and scales of linear layers have no place in the language model's own class"
    if isinstance(run.model, MultimodalModel) and run.model.regions is not None:
        yield "model.regions: the decoders of boxes and masks have no place in transformers' classes"
    elif run.language.regions is not None:
        yield (
            f"model.regions: {len(run.language.regions)} tokens for regions were learnt beside the vocabulary, and the language "
            "model's own class has no rows for them; `format: shikra` and `format: json` need none"
        )


def untied_head(language: LanguageModel) -> Iterator[str]:
    """What between hidden states and logits a class with a bare head cannot hold."""
    head = language.model.get_output_embeddings()
    if getattr(head, "bias", None) is not None:
        yield f"model.language: the head of {type(language.model).__name__} has a bias"
    for name in ("logit_scale", "logits_scaling", "final_logit_softcapping"):
        if getattr(language.config, name, None) is not None:
            yield f"model.language: its logits are changed by `{name}`"


def misfits_of_adapter(adapter: Any, system: str) -> Iterator[str]:
    """What around the layers of an adapter a system's bare projector cannot hold."""
    where = "model.adapters.image"
    if adapter.pool > 1:
        yield f"{where}.pool: {adapter.pool}; {system} takes every position"
    if adapter.positions is not None and bool(adapter.positions.any()):
        yield f"{where}.positions: they were learnt, and {system} has none behind the tower"
    if adapter.gain is not None:
        yield f"{where}.output_scale: `normalised`; {system} has no normalisation behind the projector"
