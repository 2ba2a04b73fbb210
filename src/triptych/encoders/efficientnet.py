"""EfficientNet-Lite2 (Tan and Le, 2019; Lite: no squeeze-and-excitation, ReLU6), in plain PyTorch.

    pixels [N, 3, S, S] ─► stem ─► 21 inverted residual blocks ─► last [352] ─► head [1280] ─► [N, (S/32)², dim]

Every convolution carries its batch normalisation folded into it: a frozen encoder has no use for the two apart.
The layout follows the reference implementation of the Lite models in TensorFlow
(`SAME` padding, stem and head not widened, pixels normalised as (x - 127) / 128).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.encoders.config import EfficientNetConfig
from triptych.encoders.encoder import Level, Normalisation
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.precision import resolve
from triptych.encoders.preparation import ImagePreparation, mean_colour
from triptych.errors import RecipeError, WeightsError
from triptych.weights import fetch
from triptych.weights.accounting import Difference, fill, matches, places_of
from triptych.weights.tensor_files import read_tensors

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
BATCH_NORM_EPS = 1e-3
NORM = ("weight", "bias", "running_mean", "running_var")
UNUSED = ("*.num_batches_tracked", "_fc.weight", "_fc.bias")
"""Of the packaged weights: counters of training, and the classifier behind the features."""
STEM, LAST, HEAD, CLASSES = 32, 352, 1280, 1000

STAGES = (
    # repeats, kernel, stride, expansion, channels: EfficientNet-B0's, deepened by 1.2 and widened by 1.1
    # (to multiples of 8), the first and last stage not deepened
    (1, 3, 1, 1, 16),
    (3, 3, 2, 6, 24),
    (3, 5, 2, 6, 48),
    (4, 3, 2, 6, 88),
    (4, 5, 1, 6, 120),
    (5, 5, 2, 6, 208),
    (1, 3, 1, 6, LAST),
)


PYRAMID = {6: Level(48, 4), 14: Level(120, 2), 20: Level(LAST, 1)}
"""Block → what `features: pyramid` keeps of its output: the last block at strides 8, 16 and 32."""

CHANNELS = {"head": HEAD, "last": LAST, "pyramid": sum(level.size for level in PYRAMID.values())}


class Convolution(nn.Conv2d):
    """A convolution with TensorFlow's `SAME` padding (the odd pixel at the right and bottom), then ReLU6 if asked."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """`[N, inputs, H, W]` to `[N, outputs, ⌈H / stride⌉, ⌈W / stride⌉]`."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = _same(x.shape[-2], kernel, stride)
        left, right = _same(x.shape[-1], kernel, stride)
        padding: tuple[int, int] = (top, left)
        if (top, left) != (bottom, right):
            x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
        x = F.conv2d(x, self.weight, self.bias, self.stride, padding, 1, self.groups)
        return F.relu6(x, inplace=True) if self.act else x


class Block(nn.Module):
    """An inverted residual block (MobileNetV2): widen, filter each channel, narrow; a residual where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = Convolution(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = Convolution(inner, inner, kernel, stride, groups=inner)
        self.project = Convolution(inner, outputs, 1, act=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """`[N, inputs, H, W]` to `[N, outputs, ⌈H / stride⌉, ⌈W / stride⌉]`."""
        y: Tensor = self.expand(x) if self.expand is not None else x
        y = self.project(self.depthwise(y))
        return y + x if self.residual else y


class EfficientNet(ImageEncoder):
    """EfficientNet-Lite2 as an encoder: the feature map before pooling, one position per 32 × 32 pixels.

    Args:
        config: Resolution, which features, how a picture becomes square. The weights are `from_config`'s or `load`'s.
    """

    def __init__(self, config: EfficientNetConfig) -> None:
        side = -(-config.resolution // 32)
        if config.features == "pyramid" and config.resolution % 32:
            raise RecipeError(
                f"encoder: `features: pyramid` needs a `resolution` that is a multiple of 32, got {config.resolution}; "
                f"try {32 * side}"
            )
        super().__init__(
            dim=CHANNELS[config.features],
            grid=(side, side),
            preparation=ImagePreparation(
                config.resolution, config.fit, mean_colour(MEAN), background=config.background
            ),
            identity={"features": config.features},
        )
        self.pyramid = config.features == "pyramid"
        self.normalise = Normalisation(MEAN, STD)
        self.stem = Convolution(3, STEM, 3, stride=2)
        blocks, inputs = [], STEM
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(LAST, HEAD, 1) if config.features == "head" else None

    @property
    def levels(self) -> tuple[Level, ...]:
        """Strides 8, 16 and 32 with `features: pyramid`, the last of them alone without."""
        return tuple(PYRAMID.values()) if self.pyramid else super().levels

    @classmethod
    def from_config(cls, config: EfficientNetConfig, base: Path | None = None) -> EfficientNet:
        """Build it with its weights (random ones, the same in every process, where the config has none)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            encoder = cls(config)
        if config.weights is not None:
            encoder.load(read_state(config.weights, base))
        encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return encoder.to(resolve(config.precision)).eval()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Fold and load the packaged weights.

        Raises:
            WeightsError: Keys or shapes are not those of EfficientNet-Lite2.
        """
        try:
            folded = fold(state)
        except KeyError as error:
            raise WeightsError(f"not the weights of an EfficientNet-Lite: there is no tensor {error}") from error
        ours = {
            name: tensor for name, tensor in folded.items() if self.head is not None or not name.startswith("head.")
        }
        fill(places_of(self), ours, "not the weights of EfficientNet-Lite2")

    def forward(self, pixels: Tensor) -> Tensor:
        """Features `[N, rows * columns, dim]` of pixels `[N, 3, H, W]` (0–255)."""
        x: Tensor = self.normalise(pixels, self.dtype).contiguous(memory_format=torch.channels_last)
        x = self.stem(x)
        kept: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if self.pyramid and number in PYRAMID:
                kept.append(_folded(x, PYRAMID[number].fineness))
        if self.pyramid:
            return torch.cat(kept, dim=-1)
        if self.head is not None:
            x = self.head(x)
        return x.permute(0, 2, 3, 1).flatten(1, 2)  # channels are last in memory, so this is a view


def _folded(x: Tensor, factor: int) -> Tensor:
    """`[N, C, f · rows, f · columns]` as `[N, rows · columns, f · f · C]`; see `Level`."""
    count, channels, height, width = x.shape
    cells = x.permute(0, 2, 3, 1).reshape(count, height // factor, factor, width // factor, factor, channels)
    return cells.permute(0, 1, 3, 2, 4, 5).flatten(3).flatten(1, 2)


def logits(features: Tensor, state: Mapping[str, Tensor]) -> Tensor:
    """ImageNet-1k logits `[N, 1000]` from `head` features `[N, T, 1280]` and the packaged weights."""
    pooled = features.float().mean(1)
    return F.linear(pooled, state["_fc.weight"], state["_fc.bias"])


def read_state(uri: str, base: Path | None = None) -> dict[str, Tensor]:
    """The packaged state dict, read without unpickling anything but tensors.

    Raises:
        WeightsError: The file cannot be had or is no state dict.
    """
    return read_tensors(fetch(uri, base=base), f"weights {uri}")


def fold(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From the packaged names to ours, with g / √(var + eps) of each batch normalisation as a factor in its weights.

    In float64, so that the result does not depend on the machine's vector units.

    Raises:
        WeightsError: A tensor has no place in the encoder.
        KeyError: A tensor is missing.
    """
    folded: dict[str, Tensor] = {}
    used: set[str] = set()

    def put(name: str, convolution: str, norm: str) -> None:
        used.update({f"{convolution}.weight", *(f"{norm}.{part}" for part in NORM)})
        gain = state[f"{norm}.weight"].double() / (state[f"{norm}.running_var"].double() + BATCH_NORM_EPS).sqrt()
        weight = state[f"{convolution}.weight"].double() * gain.view(-1, 1, 1, 1)
        bias = state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * gain
        folded[f"{name}.weight"], folded[f"{name}.bias"] = weight.float(), bias.float()

    put("stem", "_conv_stem", "_bn0")
    number = 0
    while f"_blocks.{number}._project_conv.weight" in state:
        block = f"_blocks.{number}"
        if f"{block}._expand_conv.weight" in state:
            put(f"blocks.{number}.expand", f"{block}._expand_conv", f"{block}._bn0")
        put(f"blocks.{number}.depthwise", f"{block}._depthwise_conv", f"{block}._bn1")
        put(f"blocks.{number}.project", f"{block}._project_conv", f"{block}._bn2")
        number += 1
    put("head", "_conv_head", "_bn1")
    left = tuple(name for name in state if name not in used and not matches(name, UNUSED))
    Difference(unexpected=left).require_none("not the weights of an EfficientNet-Lite")
    return folded


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
