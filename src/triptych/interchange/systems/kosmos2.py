"""Kosmos-2 (`Kosmos2ForConditionalGeneration`), which is read as a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from triptych.formats import kosmos2
from triptych.interchange.format import System
from triptych.interchange.language import filled
from triptych.interchange.parts import PLAIN, Parts, composed

REGIONS = {
    "kind": "text",
    "format": "kosmos2",
    "bins": 32,
    "frame": "input",
    "prompt": "<grounding><phrase>{expression}</phrase>",
    "caption_prompt": "<grounding>An image of",
}
"""How it was taught to point (Peng et al. 2023, and the published model's page): what is asked for stands in the answer's tags."""


def parts(model: Any, folder: Path, dtype: torch.dtype) -> Parts:  # noqa: ARG001 - others need the folder
    """The parts of a loaded model; its tower is CLIP's."""
    config = model.config
    connector = {name: tensor.float() for name, tensor in model.image_to_text_projection.state_dict().items()}
    return Parts(
        language=model.text_model.to(dtype),
        vision=clip_tower(model.vision_model.model.state_dict(), config.vision_config),
        encoder={"layer": "output", "unit": True, "drop_cls": False},
        adapter={
            "kind": "connector",
            "latents": config.latent_query_num,
            "heads": config.text_config.attention_heads,
            "normalise": False,
            "positions": PLAIN["positions"],
            "output_scale": None,
        },
        state={f"adapters.image.{name}": tensor for name, tensor in kosmos2.ADAPTER.ours(connector).items()},
        template="kosmos-2",
        regions=REGIONS,
    )


def clip_tower(state: dict[str, torch.Tensor], config: Any) -> Any:
    """A `CLIPVisionModel` of the weights of a tower that is one by another name."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    sizes = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
    shape = {name: getattr(config, name) for name in (*sizes, "hidden_act", "layer_norm_eps")}
    weights = {name: tensor for name, tensor in state.items() if not name.endswith("position_ids")}
    return filled(lambda: CLIPVisionModel(CLIPVisionConfig(**shape)), weights, torch.float32)


SYSTEMS = (System("kosmos-2", "Kosmos-2", composed("Kosmos2ForConditionalGeneration", parts)),)
