"""Our own vision transformer as an encoder: weights of several origins, any layer, and honest errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Blip2VisionConfig, CLIPConfig, CLIPModel, CLIPVisionModel, SiglipConfig, SiglipModel
from transformers.models.blip_2.modeling_blip_2 import Blip2VisionModel

from encoders.tiny_towers import pictures, text_shape, vision_shape, vision_tower
from parity.tiny.weights import randomise
from triptych.conversation import Image
from triptych.encoders import HuggingFaceConfig, VisionTransformerConfig, build
from triptych.encoders.checkpoints import dual_of, load, read, shapes, text_of, vision_of
from triptych.encoders.published import PUBLISHED, Published
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.vit import VisionTower
from triptych.encoders.vit_encoder import VisionTransformerEncoder
from triptych.errors import RecipeError, WeightsError
from triptych.formats import FORMATS, config_of

Picture = Callable[[int, int], Image]

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
}
TOWER = {**SIZES, "image_size": 24, "patch_size": 8}
WORDS = {**SIZES, "vocab_size": 30, "max_position_embeddings": 8}
FAMILIES: dict[str, Callable[[], Any]] = {
    "clip": lambda: CLIPModel(
        CLIPConfig(vision_config=TOWER, text_config={**WORDS, "eos_token_id": 9}, projection_dim=12)
    ),
    "siglip": lambda: SiglipModel(SiglipConfig(vision_config=TOWER, text_config={**WORDS, "pad_token_id": 1})),
    "clip vision": lambda: CLIPVisionModel(CLIPConfig(vision_config=TOWER).vision_config),
    "blip-2 vision": lambda: Blip2VisionModel(Blip2VisionConfig(**TOWER)),
}


def saved(family: str, folder: Path) -> str:
    model = FAMILIES[family]()
    randomise(model, 1)
    model.save_pretrained(folder)
    return f"file:{folder}"


def encoder(**options: Any) -> VisionTransformerEncoder:
    made = build(VisionTransformerConfig(**{"precision": "float32", **options}))
    assert isinstance(made, VisionTransformerEncoder)
    return made


@pytest.mark.parametrize("layer", [-2, 0, 1, 3, "output"])
@pytest.mark.parametrize("family", ["clip", "clip vision", "siglip", "blip-2 vision"])
def test_any_layer_is_that_of_transformers_tower(family: str, layer: int | str, tmp_path: Path) -> None:
    """The same folder by both kinds of encoders; `output` of CLIP is normalised here only, so it is left out."""
    uri = saved(family, tmp_path)
    if "clip" in family and layer == "output":
        pytest.skip("transformers gives CLIP's output before its normalisation")
    if family == "blip-2 vision":
        theirs = Blip2VisionModel.from_pretrained(tmp_path).eval()
        ours = encoder(weights=uri, layer=layer)
        states = theirs(ours.tower.normalise(pictures(), torch.float32), output_hidden_states=True)
        expected = states.last_hidden_state if layer == "output" else states.hidden_states[layer]
        torch.testing.assert_close(ours(pictures()), expected[:, 1:], atol=1e-5, rtol=1e-4)
        return
    other = build(HuggingFaceConfig(weights=uri, layer=layer, precision="float32"))  # type: ignore[arg-type]
    ours = encoder(weights=uri, layer=layer)
    torch.testing.assert_close(ours(pictures()), other(pictures()), atol=1e-5, rtol=1e-4)
    assert ours.preparation.colour == other.preparation.colour


def test_layers_behind_the_chosen_one_are_not_built(tmp_path: Path) -> None:
    made = encoder(weights=saved("clip", tmp_path), layer=1)
    assert len(made.tower.blocks) == 1
    assert made.tower.norm is None


@pytest.mark.parametrize("name", ["clip-b32", "siglip-b16"])
def test_a_published_name_is_a_shape(name: str) -> None:
    config = VisionTransformerConfig(architecture=name)  # type: ignore[arg-type]
    assert config.architecture == PUBLISHED[name].vision
    assert VisionTransformerConfig.model_validate(config.model_dump()) == config


def test_a_typo_in_a_published_name() -> None:
    with pytest.raises(ValidationError, match="did you mean clip-b32"):
        VisionTransformerConfig(architecture="clip-b23")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="give `architecture`"):
        VisionTransformerConfig()


@pytest.mark.parametrize("drop_cls", [False, True])
def test_length_is_known_beforehand(drop_cls: bool, picture: Picture) -> None:
    made = encoder(architecture=vision_shape("clip-b32"), resolution=32, drop_cls=drop_cls)
    image = picture(50, 40)
    assert made.grid == (4, 4)
    assert made.encode([made.prepare(image)])[0].shape == (made.tokens(image), made.dim) == (16 + (not drop_cls), 16)


def test_random_weights_are_the_same_everywhere_and_told_by_the_fingerprint() -> None:
    shape = vision_shape("eva02-clip-b16")
    torch.manual_seed(1)
    one, other = encoder(architecture=shape), encoder(architecture=shape)
    assert one.fingerprint == other.fingerprint
    different = (
        encoder(architecture=shape, layer=1),
        encoder(architecture=shape, drop_cls=False),
        encoder(architecture=shape, resolution=32),
        encoder(architecture=shape.model_copy(update={"rope": 4})),
    )
    assert len({one.fingerprint, *(made.fingerprint for made in different)}) == 5


def test_what_it_is_encoded_with_changes_nothing(picture: Picture) -> None:
    made = encoder(architecture=vision_shape("eva02-clip-b16"))
    shown = [made.prepare(picture(20 + i, 30)) for i in range(6)]
    together = made.encode(shown)
    assert all(torch.equal(made.encode([shown[i]])[0], together[i]) for i in range(6))


def test_a_file_of_a_known_format_needs_its_shape(tmp_path: Path) -> None:
    shape = vision_shape("eva02-clip-b16")
    tower = vision_tower("eva02-clip-b16")
    state = {f"vision.{name}": tensor for name, tensor in tower.state_dict().items()}
    theirs = next(known for known in FORMATS if known.name == "EVA-02 tower").theirs(state)
    torch.save({"module": {**theirs, "rope.freqs_cos": torch.zeros(3)}}, tmp_path / "eva.pt")
    made = encoder(weights=f"file:{tmp_path / 'eva.pt'}", architecture=shape, layer="output")
    torch.testing.assert_close(made(pictures()), tower(pictures())[:, 1:])
    with pytest.raises(RecipeError, match="do not say what shape they have; give `architecture`"):
        encoder(weights=f"file:{tmp_path / 'eva.pt'}")
    with pytest.raises(WeightsError, match=r"positions \(10, 16\) instead of \(17, 16\)"):
        encoder(weights=f"file:{tmp_path / 'eva.pt'}", architecture=vision_shape("eva02-clip-b16", patch_size=6))
    with pytest.raises(WeightsError, match=r"1 tensor is missing .*attention.qkv.bias"):
        options = {"attention_bias": "all", "layers": 1}
        encoder(weights=f"file:{tmp_path / 'eva.pt'}", architecture=vision_shape("eva02-clip-b16", **options), layer=1)
    with pytest.raises(WeightsError, match="no place for 12 tensors"):
        shape = vision_shape("eva02-clip-b16", sub_norm="none")
        encoder(weights=f"file:{tmp_path / 'eva.pt'}", architecture=shape, layer="output")


class Program(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_programs_are_not_run(tmp_path: Path) -> None:
    torch.jit.script(Program()).save(tmp_path / "ViT-B-32.pt")  # type: ignore[no-untyped-call]
    with pytest.raises(WeightsError, match="a TorchScript program, as OpenAI publishes CLIP"):
        encoder(weights=f"file:{tmp_path / 'ViT-B-32.pt'}", architecture=vision_shape("clip-b32"))
    torch.save({"x": Program()}, tmp_path / "pickle.pt")
    with pytest.raises(WeightsError, match="cannot be read as tensors alone"):
        encoder(weights=f"file:{tmp_path / 'pickle.pt'}", architecture=vision_shape("clip-b32"))


def run(folder: Path, vision: dict[str, Any], trained: dict[str, Tensor], kind: str = "dual") -> str:
    """A finished run of a dual encoder, as far as its towers go."""
    (folder / "weights").mkdir(parents=True)
    text = {"kind": "transformer", "architecture": text_shape("clip-b32").model_dump()}
    model = {"kind": kind, "vision": vision, "text": text, "embed_dim": 16}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"model": model, "base": str(folder)}))
    save_file(trained, folder / "weights" / "model.safetensors")
    return f"run:{folder}"


def test_a_trained_run_is_an_encoder(tmp_path: Path) -> None:
    tower = vision_tower("clip-b32")
    trained = {f"vision.{name}": tensor for name, tensor in tower.state_dict().items()}
    uri = run(tmp_path / "clip", {"kind": "vit", "architecture": tower.architecture.model_dump()}, trained)
    made = encoder(weights=uri, layer="output")
    torch.testing.assert_close(made(pictures()), tower(pictures())[:, 1:])
    assert shapes(uri).text == text_shape("clip-b32")
    whole = VisionTower(tower.architecture, 16)
    load(whole, read(uri), "vision")
    torch.testing.assert_close(whole.encode(pictures()), tower.encode(pictures()))


def test_what_a_run_did_not_train_is_where_it_came_from(tmp_path: Path) -> None:
    before = saved("clip", tmp_path / "hub")
    trained = {"vision.norm.bias": torch.arange(16.0)}
    uri = run(tmp_path / "tuned", {"kind": "vit", "weights": before}, trained)
    one, other = encoder(weights=before, layer="output"), encoder(weights=uri, layer="output")
    assert one.tower.norm is not None
    torch.testing.assert_close(one(pictures()) - one.tower.norm.bias + torch.arange(16.0), other(pictures()))


def test_a_run_without_towers(tmp_path: Path) -> None:
    uri = run(tmp_path / "llava", {"kind": "vit"}, {"x": torch.zeros(1)}, kind="composed")
    with pytest.raises(WeightsError, match=r"kind 'composed'; only a run of `kind: dual` has towers"):
        encoder(weights=uri)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_whole_models_are_read_as_two_towers(family: str, tmp_path: Path) -> None:
    uri = saved(family, tmp_path)
    found = read(uri)
    assert found.shapes.vision and found.shapes.text and found.shapes.embed_dim
    load(VisionTower(found.shapes.vision, found.shapes.embed_dim), found, "vision")
    load(TextTower(found.shapes.text, found.shapes.embed_dim), found, "text")
    towers = {name for name in found.state if name.startswith(("vision.", "text."))}
    assert set(found.state) - towers == ({"logit_scale"} if family == "clip" else {"logit_scale", "logit_bias"})
    dual = Published(found.shapes.vision, found.shapes.text, found.shapes.embed_dim)
    assert dual_of(config_of(dual, end=9)) == dual


def test_pixels_are_normalised_as_the_folder_says(tmp_path: Path) -> None:
    uri = saved("clip", tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5, 0.5, 0.5]}))
    assert encoder(weights=uri).tower.architecture.pixels == "half"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.1, 0.5, 0.5]}))
    with pytest.raises(WeightsError, match="neither CLIP's, ImageNet's nor one half"):
        encoder(weights=uri)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_in_transformers_words(name: str) -> None:
    if name.startswith("eva"):
        with pytest.raises(RecipeError, match=r"has no such towers.*vision\.patch_bias, vision\.norm_pre"):
            config_of(PUBLISHED[name], end=49407)
    else:
        assert dual_of(config_of(PUBLISHED[name], end=49407)) == PUBLISHED[name]


def test_transformers_configurations_that_are_not_ours() -> None:
    clip = CLIPConfig(vision_config={**TOWER, "hidden_act": "relu"})
    with pytest.raises(WeightsError, match="activation 'relu' is not among"):
        vision_of(clip)
    with pytest.raises(WeightsError, match="'siglip_vision_model' is no text tower"):
        text_of(SiglipConfig().vision_config)
    with pytest.raises(RecipeError, match="end token's id is 2"):
        config_of(PUBLISHED["clip-b32"], end=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 30}, "not a multiple of the tower's patches of 8 pixels; try 32"),
        ({"layer": 7}, r"`layer: 7` does not exist; a tower of 3 layers"),
    ],
)
def test_mistakes_in_a_recipe(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        encoder(architecture=vision_shape("clip-b32"), **options)
