"""Hugging Face towers: any layer equals transformers' own hidden state, and lengths are known beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    PreTrainedModel,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

from triptych.conversation import Image
from triptych.encoders import HuggingFaceConfig, build
from triptych.encoders.huggingface import HuggingFaceEncoder
from triptych.errors import RecipeError, WeightsError

Picture = Callable[[int, int], Image]

SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
MLP: dict[str, Any] = {"intermediate_size": 64}
TEXT = {**MLP, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99}

TOWERS: dict[str, tuple[type[PreTrainedModel], Any]] = {
    "clip": (CLIPVisionModel, CLIPVisionConfig(**SIZE, **MLP)),
    "siglip": (SiglipVisionModel, SiglipVisionConfig(**SIZE, **MLP)),
    "dinov2": (Dinov2Model, Dinov2Config(**SIZE)),
    "registers": (Dinov2WithRegistersModel, Dinov2WithRegistersConfig(**SIZE, num_register_tokens=3)),
    "vit": (ViTModel, ViTConfig(**SIZE, **MLP)),
}
PREFIX = {"clip": 1, "siglip": 0, "dinov2": 1, "registers": 4, "vit": 1}


def make(name: str) -> PreTrainedModel:
    """A tiny tower whose every tensor is random: what an initialiser leaves at one or zero would hide mistakes."""
    model_class, config = TOWERS[name]
    torch.manual_seed(1)
    model = model_class(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def save(model: PreTrainedModel, folder: Path, **preprocessor: Any) -> str:
    model.save_pretrained(folder)
    if preprocessor:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return f"file:{folder}"


def load(uri: str, **options: Any) -> HuggingFaceEncoder:
    encoder = build(HuggingFaceConfig(weights=uri, **{"precision": "float32", **options}))
    assert isinstance(encoder, HuggingFaceEncoder)
    return encoder


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("layer", [-2, -1, 0, 2, 4, -5, "output"])
def test_any_layer_equals_the_hidden_state_of_transformers(
    picture: Picture, name: str, layer: int | str, tmp_path: Path
) -> None:
    model = make(name)
    encoder = load(save(model, tmp_path), layer=layer)
    pixels = encoder.prepare(picture(50, 40))[None]
    with torch.inference_mode():
        output = model(encoder.normalise(pixels, torch.float32), output_hidden_states=True)
        expected = output.last_hidden_state if layer == "output" else output.hidden_states[layer]
        torch.testing.assert_close(encoder(pixels), expected[:, PREFIX[name] :])


@pytest.mark.parametrize("name", TOWERS)
def test_layers_that_are_not_needed_are_not_there(name: str, tmp_path: Path) -> None:
    uri = save(make(name), tmp_path)
    sizes = [sum(parameter.numel() for parameter in load(uri, layer=layer).parameters()) for layer in (1, 2, 3)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0]


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("drop_cls", [True, False])
@pytest.mark.parametrize("resolution", [None, 32, 48])
def test_tokens_are_known_before_there_are_any(
    picture: Picture, name: str, drop_cls: bool, resolution: int | None, tmp_path: Path
) -> None:
    encoder = load(save(make(name), tmp_path), drop_cls=drop_cls, resolution=resolution)
    image = picture(50, 40)
    rows = (resolution or 32) // 8
    assert encoder.grid == (rows, rows)
    with torch.inference_mode():
        assert encoder(encoder.prepare(image)[None]).shape == (1, encoder.tokens(image), encoder.dim)
    has_cls = name != "siglip"
    assert encoder.tokens(image) == rows * rows + (has_cls and not drop_cls)


@pytest.mark.parametrize("name", ["clip", "siglip", "vit"])
def test_another_resolution_interpolates_positions_as_transformers_does(
    picture: Picture, name: str, tmp_path: Path
) -> None:
    model = make(name)
    encoder = load(save(model, tmp_path), resolution=48, layer=-1)
    pixels = encoder.prepare(picture(48, 48))[None]
    with torch.inference_mode():
        options = {"interpolate_pos_encoding": True, "output_hidden_states": True}
        expected = model(encoder.normalise(pixels, torch.float32), **options).hidden_states[-1]
        torch.testing.assert_close(encoder(pixels), expected[:, PREFIX[name] :])


@pytest.mark.parametrize(
    "whole",
    [
        CLIPModel(CLIPConfig(text_config=TEXT, vision_config={**SIZE, **MLP}, projection_dim=16)),
        SiglipModel(SiglipConfig(text_config=TEXT, vision_config={**SIZE, **MLP})),
    ],
    ids=["clip", "siglip"],
)
def test_the_tower_is_taken_out_of_a_model_with_two(picture: Picture, whole: PreTrainedModel, tmp_path: Path) -> None:
    encoder = load(save(whole.eval(), tmp_path))
    pixels = encoder.prepare(picture(32, 32))[None]
    with torch.inference_mode():
        vision: Any = whole.vision_model
        hidden = vision(encoder.normalise(pixels, torch.float32), output_hidden_states=True).hidden_states[-2]
        torch.testing.assert_close(encoder(pixels), hidden[:, -16:])


def test_pixels_are_those_of_the_models_own_processor(picture: Picture, tmp_path: Path) -> None:
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 32},
        crop_size={"height": 32, "width": 32},
        image_mean=[0.1, 0.2, 0.3],
        image_std=[0.4, 0.5, 0.6],
    )
    processor.save_pretrained(tmp_path)
    encoder = load(save(make("clip"), tmp_path), fit="crop")
    image = picture(64, 96)
    ours = encoder.normalise(encoder.prepare(image)[None], torch.float32)
    theirs = processor(image.open(), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_interpolation_follows_the_preprocessor_config(tmp_path: Path) -> None:
    mean = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    bilinear = load(save(make("vit"), tmp_path / "a", resample=2, **mean))
    bicubic = load(save(make("vit"), tmp_path / "b", resample=3, **mean))
    assert bilinear.preparation.bilinear and not bicubic.preparation.bilinear
    assert bilinear.fingerprint != bicubic.fingerprint


def test_pickled_weights_load_without_being_executed(tmp_path: Path) -> None:
    model = make("clip")
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    pixels = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    with torch.inference_mode():
        encoder = load(f"file:{tmp_path}", layer="output")
        expected = model(encoder.normalise(pixels, torch.float32)).last_hidden_state[:, 1:]
        torch.testing.assert_close(encoder(pixels), expected)


def test_random_towers_need_an_architecture_only_and_are_the_same_everywhere() -> None:
    config = HuggingFaceConfig(architecture={"model_type": "clip_vision_model", **SIZE, **MLP}, precision="float32")
    state = torch.random.get_rng_state()
    first = build(config)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(123)
    assert build(config).fingerprint == first.fingerprint
    assert first.grid == (4, 4) and first.dim == 32


def test_the_fingerprint_follows_weights_layer_and_preparation(tmp_path: Path) -> None:
    model = make("clip")
    uri = save(model, tmp_path / "a")
    fingerprints = {load(uri, **options).fingerprint for options in ({}, {"layer": -3}, {"drop_cls": False})}
    fingerprints |= {load(uri, **options).fingerprint for options in ({"resolution": 48}, {"fit": "squash"})}
    fingerprints |= {load(uri, layer=layer).fingerprint for layer in (-1, "output")}
    assert len(fingerprints) == 7
    assert load(uri, layer=3).fingerprint in fingerprints  # -2 of four layers, said in another way
    with torch.no_grad():
        model.get_parameter("embeddings.class_embedding")[0] += 0.5
    assert load(save(model, tmp_path / "b")).fingerprint not in fingerprints


def test_gradients_reach_the_first_layer(tmp_path: Path) -> None:
    encoder = load(save(make("clip"), tmp_path))
    encoder(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)).sum().backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []


def test_mistakes_are_answered(tmp_path: Path) -> None:
    uri = save(make("clip"), tmp_path / "tower")
    with pytest.raises(RecipeError, match="not a multiple of the tower's patches of 8 pixels; try 48"):
        load(uri, resolution=50)
    with pytest.raises(RecipeError, match="hidden states 0 to 4"):
        load(uri, layer=5)
    with pytest.raises(RecipeError, match="BertModel is no vision model: its forward takes no `pixel_values`"):
        build(HuggingFaceConfig(architecture={"model_type": "bert"}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="no configuration"):
        load(f"file:{tmp_path}/empty")
    (tmp_path / "tower" / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="holds neither"):
        load(uri)


def test_missing_tensors_are_refused_instead_of_made_up(tmp_path: Path) -> None:
    model = make("clip")
    state = {key: value for key, value in model.state_dict().items() if "layers.1." not in key}
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(WeightsError, match=r"CLIPVisionModel: \d+ tensors are missing"):
        load(f"file:{tmp_path}")
