"""EfficientNet-Lite2: the packaged weights fit, folding changes nothing, and it recognises photographs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.conversation import Image
from triptych.encoders import EfficientNetConfig, build
from triptych.encoders.efficientnet import BATCH_NORM_EPS, STAGES, EfficientNet, fold, logits, read_state
from triptych.errors import RecipeError, WeightsError

Picture = Callable[[int, int], Image]

RANDOM = EfficientNetConfig(weights=None, resolution=64, precision="float32")
COCO = Path(__file__).parents[3] / "shared" / "data" / "coco-mini"

IMAGENET = {
    # COCO's name of a thing: the indices of ImageNet-1k that it may be
    "airplane": {404, 895},
    "banana": {954},
    "bear": set(range(294, 298)),
    "broccoli": {937},
    "bus": {654, 779, 874},
    "cat": set(range(281, 287)),
    "clock": {409, 530, 892},
    "dog": set(range(151, 269)),
    "elephant": {101, 385, 386},
    "laptop": {620, 681},
    "pizza": {963},
    "refrigerator": {760},
    "sheep": {348, 349},
    "teddy bear": {850},
    "toilet": {861},
    "train": {466, 547, 705, 820},
    "zebra": {340},
}


def unfolded(state: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """The network as published, written again from the tensors alone: batch normalisation apart, padding explicit."""

    def convolve(x: Tensor, name: str, stride: int = 1, depthwise: bool = False) -> Tensor:
        weight = state[f"{name}.weight"]
        kernel = weight.shape[-1]
        over = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:]]
        x = F.pad(x, (over[1] // 2, over[1] - over[1] // 2, over[0] // 2, over[0] - over[0] // 2))
        return F.conv2d(x, weight, stride=stride, groups=len(weight) if depthwise else 1)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=BATCH_NORM_EPS)

    x = (pixels.float() - 127) / 128
    x = F.relu6(norm(convolve(x, "_conv_stem", 2), "_bn0"))
    number = 0
    for repeats, _, stride, expansion, _ in STAGES:
        for repeat in range(repeats):
            block = f"_blocks.{number}"
            y = x
            if expansion > 1:
                y = F.relu6(norm(convolve(y, f"{block}._expand_conv"), f"{block}._bn0"))
            step = stride if repeat == 0 else 1
            y = F.relu6(norm(convolve(y, f"{block}._depthwise_conv", step, depthwise=True), f"{block}._bn1"))
            y = norm(convolve(y, f"{block}._project_conv"), f"{block}._bn2")
            x = x + y if y.shape == x.shape and step == 1 else y
            number += 1
    x = F.relu6(norm(convolve(x, "_conv_head"), "_bn1"))
    return x.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("resolution", [260, 224])
def test_folded_equals_the_network_as_published(picture: Picture, lite2: str, resolution: int) -> None:
    encoder = build(EfficientNetConfig(weights=lite2, resolution=resolution, precision="float32"))
    pixels = encoder.prepare(picture(300, 200))[None]
    with torch.inference_mode():
        expected = unfolded(read_state(lite2), pixels)
        torch.testing.assert_close(encoder(pixels), expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.1  # features, not zeros


@pytest.mark.parametrize(("resolution", "side"), [(260, 9), (224, 7), (64, 2), (65, 3)])
@pytest.mark.parametrize(("features", "dim"), [("head", 1280), ("last", 352)])
def test_tokens_are_known_before_there_are_any(
    picture: Picture, resolution: int, side: int, features: str, dim: int
) -> None:
    config = EfficientNetConfig(weights=None, resolution=resolution, features=features, precision="float32")  # type: ignore[arg-type]
    encoder = build(config)
    image = picture(90, 60)
    assert encoder.grid == (side, side)
    with torch.inference_mode():
        assert encoder(encoder.prepare(image)[None]).shape == (1, encoder.tokens(image), encoder.dim)
    assert encoder.dim == dim


def test_positions_run_row_by_row() -> None:
    encoder = build(EfficientNetConfig(weights=None, resolution=320, precision="float32"))
    pixels = torch.full((1, 3, 320, 320), 127, dtype=torch.uint8)
    bright = pixels.clone()
    bright[..., 288:, :32] = 255  # the bottom left cell, whose neighbours see it, too
    with torch.inference_mode():
        change = (encoder(bright) - encoder(pixels)).norm(dim=-1)[0]
    rows, columns = encoder.grid
    row, column = divmod(int(change.argmax()), columns)
    assert row >= rows // 2 and column < columns // 2


def test_bfloat16_keeps_the_features(picture: Picture, lite2: str) -> None:
    precise = build(EfficientNetConfig(weights=lite2, precision="float32"))
    fast = build(EfficientNetConfig(weights=lite2, precision="bfloat16"))
    pixels = precise.prepare(picture(260, 260))[None]
    with torch.inference_mode():
        a, b = precise(pixels), fast(pixels)
    assert b.dtype == torch.bfloat16
    assert F.cosine_similarity(a, b.float(), dim=-1).mean() > 0.95


def test_it_recognises_annotated_photographs(lite2: str) -> None:
    if not COCO.is_dir():
        pytest.skip(f"needs the photographs of {COCO.name} in ../shared/data")
    state, encoder = read_state(lite2), build(EfficientNetConfig(weights=lite2, precision="float32"))
    first = among_five = count = 0
    for split in ("train2017", "val2017"):
        annotations = json.loads((COCO / "annotations" / f"instances_{split}.json").read_text())
        names = {category["id"]: category["name"] for category in annotations["categories"]}
        sizes = {image["id"]: (image["file_name"], image["width"] * image["height"]) for image in annotations["images"]}
        wanted: dict[str, set[int]] = {}
        for annotation in annotations["annotations"]:
            name, (file, area) = names[annotation["category_id"]], sizes[annotation["image_id"]]
            if name in IMAGENET and annotation["area"] > 0.15 * area:
                wanted.setdefault(file, set()).update(IMAGENET[name])
        for file, allowed in sorted(wanted.items()):
            with torch.inference_mode():
                features = encoder(encoder.prepare(Image(COCO / split / file))[None])
                best = logits(features, state)[0].topk(5).indices.tolist()
            count += 1
            first += best[0] in allowed
            among_five += bool(allowed & set(best))
    assert count >= 20
    # Chance is below 0.1; the model's own top-1 on ImageNet is 0.77, and these photographs show other things as well.
    assert first / count >= 0.6
    assert among_five / count >= 0.8


def test_the_fingerprint_follows_everything_that_features_depend_on() -> None:
    def changed(**options: object) -> EfficientNet:
        built = build(RANDOM.model_copy(update=options))
        assert isinstance(built, EfficientNet)
        return built

    encoder = changed()
    assert encoder.fingerprint == changed().fingerprint
    variants = [
        changed(resolution=96),
        changed(features="last"),
        changed(fit="squash"),
        changed(precision="bfloat16"),
        changed().to(torch.bfloat16),
    ]
    assert variants[3].fingerprint == variants[4].fingerprint
    assert len({encoder.fingerprint, *[variant.fingerprint for variant in variants]}) == 5


def test_the_fingerprint_follows_training() -> None:
    encoder = build(RANDOM)
    before = encoder.fingerprint
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=1e-3)
    encoder(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).sum().backward()
    optimiser.step()
    assert encoder.fingerprint != before


def test_gradients_reach_the_first_layer() -> None:
    encoder = build(RANDOM)
    assert isinstance(encoder, EfficientNet)
    encoder(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)).square().sum().backward()
    assert encoder.stem.weight.grad is not None and encoder.stem.weight.grad.abs().sum() > 0


def test_other_weights_are_refused(tmp_path: Path, lite2: str) -> None:
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="there is no tensor"):
        build(EfficientNetConfig(weights=f"file:{tmp_path}/other.pth"))
    state = read_state(lite2)
    torch.save({key: value for key, value in state.items() if "_blocks.20." not in key}, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"missing \(blocks\.20"):
        build(EfficientNetConfig(weights=f"file:{tmp_path}/short.pth"))
    torch.save(state | {"_blocks.99._bn0.bias": torch.zeros(2)}, tmp_path / "long.pth")
    with pytest.raises(WeightsError, match=r"no place for 1 tensor \(_blocks\.99\._bn0\.bias\)"):
        build(EfficientNetConfig(weights=f"file:{tmp_path}/long.pth"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(WeightsError, match="cannot be read as tensors alone"):
        build(EfficientNetConfig(weights=f"file:{tmp_path}/text.pth"))


class Trap:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle from outside was executed",))


def test_nothing_from_outside_is_executed(tmp_path: Path) -> None:
    torch.save({"_conv_stem.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(WeightsError, match="cannot be read as tensors alone"):
        build(EfficientNetConfig(weights=f"file:{tmp_path}/trap.pth"))


def test_folding_uses_every_packaged_tensor(lite2: str) -> None:
    state = read_state(lite2)
    convolutions = [key for key in state if key.endswith(".weight") and state[key].ndim == 4]
    assert len([key for key in fold(state) if key.endswith(".weight")]) == len(convolutions)


def test_a_pyramid_holds_what_is_behind_strides_8_16_and_32() -> None:
    """Each cell of each level is found again where `Level` says that it is."""
    encoder = EfficientNet.from_config(RANDOM.model_copy(update={"features": "pyramid"}))
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    seen = {}
    for number in (6, 14, 20):
        encoder.blocks[number].register_forward_hook(lambda _, __, out, n=number: seen.__setitem__(n, out.clone()))
    with torch.no_grad():
        features = encoder(pixels)
    assert encoder.grid == (2, 2)
    assert features.shape == (2, 4, encoder.dim)
    assert sum(level.size for level in encoder.levels) == encoder.dim == 16 * 48 + 4 * 120 + 352
    start = 0
    for level, (number, stride) in zip(encoder.levels, {6: 8, 14: 16, 20: 32}.items(), strict=True):
        assert seen[number].shape == (2, level.channels, 64 // stride, 64 // stride)
        for y in range(64 // stride):
            for x in range(64 // stride):
                f = level.fineness
                position, inside = (y // f) * 2 + x // f, (y % f) * f + x % f
                cell = features[:, position, start + inside * level.channels :][:, : level.channels]
                torch.testing.assert_close(cell, seen[number][:, :, y, x])
        start += level.size


def test_a_pyramid_needs_whole_cells() -> None:
    with pytest.raises(RecipeError, match="multiple of 32"):
        EfficientNet(EfficientNetConfig(weights=None, features="pyramid", resolution=260))
