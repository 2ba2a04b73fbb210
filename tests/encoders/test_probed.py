"""Vision models that are described by trying them: features are those of transformers, lengths are known beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel

from triptych.conversation import Image
from triptych.encoders import HuggingFaceConfig, build
from triptych.encoders.config import PLAIN_TOWERS
from triptych.encoders.huggingface import FAMILIES
from triptych.encoders.probed import ProbedEncoder
from triptych.encoders.tower_inputs import inputs_of
from triptych.encoders.tower_outputs import in_rows, shape_of
from triptych.errors import RecipeError
from triptych.planner.activations import encoder_flops
from triptych.planner.parts import meta_encoder

Picture = Callable[[int, int], Image]

PLAIN: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
                         "image_size": 32, "patch_size": 8}  # fmt: skip
QWEN: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "depth": 2, "num_heads": 2, "patch_size": 8,
                        "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32,
                        "window_size": 32, "fullatt_block_indexes": [1]}  # fmt: skip
STAGES: dict[str, Any] = {"embed_dim": 8, "depths": [1, 1, 1], "num_heads": [1, 2, 2], "window_size": 2,
                          "image_size": 32, "patch_size": 2}  # fmt: skip
CONVOLUTIONS: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 16, 32], "depths": [1, 1, 1],
                                "layer_type": "basic"}  # fmt: skip

SEQUENCES: dict[str, tuple[dict[str, Any], int]] = {
    "dinov3_vit": ({**PLAIN, "num_register_tokens": 3}, 4),
    "deit": (PLAIN, 2),
    "beit": (PLAIN, 1),
    "swin": (STAGES, 0),
}
"""Model type → values, tokens in front of the grid."""


def need(kind: str) -> None:
    """Skip a test of what this version of transformers does not build by itself."""
    config = type(AutoConfig.for_model(kind))
    if config not in AutoModel._model_mapping:
        pytest.skip(f"this version of transformers has no AutoModel for {config.__name__}")


def tower(kind: str, **values: Any) -> PreTrainedModel:
    need(kind)
    torch.manual_seed(1)
    model: PreTrainedModel = AutoModel.from_config(AutoConfig.for_model(kind, **values)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def load(folder: Path, **options: Any) -> ProbedEncoder:
    encoder = build(HuggingFaceConfig(weights=f"file:{folder}", **{"precision": "float32", **options}))
    assert isinstance(encoder, ProbedEncoder)
    return encoder


def random(kind: str, values: dict[str, Any], **options: Any) -> HuggingFaceConfig:
    return HuggingFaceConfig(architecture={"model_type": kind, **values}, **{"precision": "float32", **options})


@pytest.mark.parametrize("kind", SEQUENCES)
@pytest.mark.parametrize("layer", [-2, -1, "output"])
def test_a_sequence_is_that_of_transformers_without_what_stands_in_front(
    picture: Picture, kind: str, layer: int | str, tmp_path: Path
) -> None:
    values, prefix = SEQUENCES[kind]
    model = tower(kind, **values)
    model.save_pretrained(tmp_path)
    encoder = load(tmp_path, layer=layer)
    pixels = encoder.prepare(picture(50, 40))[None]
    with torch.inference_mode():
        out = model(encoder.normalise(pixels, torch.float32), output_hidden_states=True)
        expected = out.last_hidden_state if layer == "output" else out.hidden_states[layer]
        torch.testing.assert_close(encoder(pixels), expected[:, prefix:])
    assert encoder.tokens(picture(50, 40)) == expected.shape[1] - prefix


def test_a_grid_is_read_row_by_row(picture: Picture, tmp_path: Path) -> None:
    model = tower("resnet", **CONVOLUTIONS)
    model.save_pretrained(tmp_path)
    encoder = load(tmp_path, layer="output", resolution=64)
    pixels = encoder.prepare(picture(64, 64))[None]
    with torch.inference_mode():
        grid = model(encoder.normalise(pixels, torch.float32)).last_hidden_state
        features = encoder(pixels)
    assert encoder.grid == tuple(grid.shape[2:]) and encoder.dim == grid.shape[1]
    torch.testing.assert_close(features[0, 1], grid[0, :, 0, 1])
    torch.testing.assert_close(features[0, encoder.grid[1]], grid[0, :, 1, 0])


def test_patches_of_qwen_are_those_of_its_own_processor() -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    model = tower("qwen2_5_vl_vision", **QWEN)
    picture = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    ours = inputs_of(model, 64).build((picture.float() / 255)[None])
    plain = {"do_resize": False, "do_normalize": False, "patch_size": 8, "merge_size": 2, "temporal_patch_size": 2}
    theirs = Qwen2VLImageProcessorPil(**plain)(picture.permute(1, 2, 0).numpy(), return_tensors="pt")
    torch.testing.assert_close(ours["hidden_states"], theirs["pixel_values"].float())
    assert ours["grid_thw"].tolist() == theirs["image_grid_thw"].tolist()


def test_patches_of_siglip2_are_those_of_its_own_processor() -> None:
    from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches

    values = {**PLAIN, "num_patches": 16}
    values.pop("image_size")
    picture = torch.rand(3, 32, 32)
    ours = inputs_of(tower("siglip2_vision_model", **values), 32).build(picture[None])
    theirs = torch.from_numpy(convert_image_to_patches(picture.numpy(), 8))
    torch.testing.assert_close(ours["pixel_values"][0], theirs)
    assert ours["spatial_shapes"].tolist() == [[4, 4]]


@pytest.mark.parametrize("side", [2, 4, 6])
def test_cells_that_come_in_blocks_are_put_in_rows(side: int) -> None:
    rows = torch.arange(side * side).view(1, side, side, 1)
    blocks = rows.view(1, side // 2, 2, side // 2, 2, 1).transpose(2, 3).reshape(1, side * side, 1)
    assert torch.equal(in_rows(blocks, side, 2), rows.view(1, side * side, 1))


def test_pictures_packed_in_one_row_do_not_see_each_other() -> None:
    need("qwen2_5_vl_vision")
    encoder = build(random("qwen2_5_vl_vision", QWEN, layer="output", resolution=64))
    pixels = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        together = encoder(pixels)
        other = pixels.clone()
        other[0] = 255 - other[0]
        torch.testing.assert_close(encoder(other)[1:], together[1:])
        torch.testing.assert_close(encoder(pixels[1:2]), together[1:2])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("dinov3_vit", PLAIN),
        ("swin", STAGES),
        ("resnet", CONVOLUTIONS),
        ("qwen2_5_vl_vision", QWEN),
        ("idefics3_vision", PLAIN),
    ],
)
def test_a_plan_sees_the_same_shapes_and_products_without_weights(kind: str, values: dict[str, Any]) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    need(kind)
    config = random(kind, values, layer="output", resolution=32 if "image_size" in values else 64)
    encoder, shape = build(config), meta_encoder(config, Path(), False)
    assert (shape.grid, shape.dim) == (encoder.grid, encoder.dim)
    size = encoder.preparation.size
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        encoder(torch.zeros(1, 3, size, size, dtype=torch.uint8))
    assert encoder_flops(shape) == counter.get_total_flops() > 0


@pytest.mark.parametrize(
    ("kind", "values", "layer", "reason"),
    [
        (
            "yolos",
            {**PLAIN, "image_size": [32, 32], "num_detection_tokens": 20},
            "output",
            "37 tokens .* no square grid",
        ),
        ("videomae", PLAIN, "output", "does not read pictures of 32 × 32 pixels"),
        ("bert", {}, "output", "takes no `pixel_values`"),
        ("llama4_vision_model", {**PLAIN, "intermediate_size": 128}, -2, "elsewhere than in front of it"),
        ("nobody", {}, -2, "`architecture` is not a configuration of nobody"),
        ("resnet", CONVOLUTIONS, 9, "`layer: 9` does not exist; ResNetModel has hidden states 0 to 3"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    kind: str, values: dict[str, Any], layer: int | str, reason: str
) -> None:
    with pytest.raises(RecipeError, match=reason) as refused:
        if kind == "llama4_vision_model":
            text = {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 9, "num_local_experts": 1}
            kind, values = "llama4", {"vision_config": {**values, "model_type": kind}, "text_config": text}
        build(random(kind, values, layer=layer))
    assert "\n" not in str(refused.value)


def test_two_tokens_beside_a_grid_are_found_at_any_size() -> None:
    for side in range(3, 20):
        state = torch.empty(2, side * side + 2, 8)
        shape = shape_of(state, 2, 16 * side, 16, "a tower")
        assert (shape.side, shape.prefix, shape.dim) == (side, 2, 8)


def test_the_families_that_are_cut_are_those_that_are_named() -> None:
    assert set(FAMILIES) >= PLAIN_TOWERS
    assert set(FAMILIES) - PLAIN_TOWERS == {"clip", "siglip", "blip-2", "instructblip"}  # models with another part


@pytest.mark.parametrize("nested", ["image_mean", 3, None, ["image_mean"]])
def test_a_preprocessor_of_another_shape_says_nothing(tmp_path: Path, nested: object) -> None:
    from triptych.encoders.towers import preprocessing

    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_processor": nested}), encoding="utf-8")
    assert preprocessing(tmp_path) == {}
