"""CLIP and SigLIP (`CLIPModel`, `SiglipModel`) as runs of dual encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from triptych.encoders import checkpoints
from triptych.encoders.architecture import TextArchitecture, VisionArchitecture
from triptych.encoders.towers import preprocessing
from triptych.importing.parts import ImportFailed, expect, fit_of

SYSTEMS = {"clip": "CLIP", "siglip": "SigLIP"}
"""Model type → its name."""


def dual_parts(folder: Path, tokenizer: Any, work: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a recipe says of the model, and its weights by the names of a dual encoder.

    Args:
        folder: In the hub's format.
        tokenizer: Of texts.
        work: The run's folder; the tokenizer goes into `parts/words`.

    Raises:
        ImportFailed: It is half a model, or its tokenizer has no end token.
        WeightsError: Its towers have something that ours do not have.
    """
    found = checkpoints.read(f"file:{folder}")
    vision, text = found.shapes.vision, found.shapes.text
    whole = isinstance(vision, VisionArchitecture) and isinstance(text, TextArchitecture)
    expect(whole and "logit_scale" in found.state, "it has no two towers with a temperature")
    assert vision is not None and text is not None
    expect(tokenizer.eos_token_id is not None, "a tokenizer without an end token")
    expect(
        text.vocabulary is None or len(tokenizer) <= text.vocabulary,
        f"a tokenizer of {len(tokenizer)} ids for a text tower of {text.vocabulary}",
    )
    tokenizer.save_pretrained(work / "parts" / "words")
    model = {
        "kind": "dual",
        "vision": {
            "kind": "vit",
            "architecture": vision.model_dump(mode="json"),
            "fit": fit_of(preprocessing(folder, ImportFailed)),
        },
        "text": {"kind": "transformer", "architecture": text.model_dump(mode="json")},
        "embed_dim": found.shapes.embed_dim,
        "tokenizer": "file:parts/words",
        "precision": "float32",
        **({"bias": float(found.state["logit_bias"])} if "logit_bias" in found.state else {}),
    }
    return model, {name: tensor.float() for name, tensor in found.state.items()}
