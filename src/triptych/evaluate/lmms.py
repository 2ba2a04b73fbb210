"""The entry point by which lmms-eval finds Triptych: `lmms_eval --model triptych --model_args run=runs/quickstart`."""

from __future__ import annotations

from typing import Any


def manifest() -> Any:
    """What lmms-eval wants to know of the model; its group of entry points is `lmms_eval.models`.

    lmms-eval hands chat models conversations, and has no choices by likelihood for them; with `--force_simple` it hands
    out texts and pictures apart, choices by likelihood among them.
    """
    from lmms_eval.models.registry_v2 import ModelManifest  # type: ignore[import-not-found, unused-ignore]

    return ModelManifest(
        model_id="triptych",
        chat_class_path="triptych.evaluate.lmms_model.TriptychModel",
        simple_class_path="triptych.evaluate.lmms_model.TriptychSimpleModel",
    )
