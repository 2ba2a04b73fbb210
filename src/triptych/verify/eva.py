"""EVA-01 held against transformers' `Blip2VisionModel`, EVA-02 against a plain writing of the published code and timm's.

timm needs torchvision, which has no build beside every build of PyTorch: where timm cannot be imported, EVA-02 is
compared with the plain writing alone, and the name of the reference says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from triptych.encoders.architecture import VisionArchitecture
from triptych.encoders.published import PUBLISHED
from triptych.encoders.vit import VisionTower
from triptych.verify.check import Check, largest_difference
from triptych.verify.clip import randomise
from triptych.verify.plain_eva import PlainEva
from triptych.weights.formats import Format, recognise

PLAIN = "EVA's published code, written plainly"

Compare = Callable[[Tensor], Iterator[tuple[str, Tensor, Tensor]]]
"""From pixels in 0–255: what is compared, our numbers and theirs."""


class Vision(nn.Module):
    """A tower by the names that formats know."""

    def __init__(self, architecture: VisionArchitecture, embed_dim: int) -> None:
        super().__init__()
        self.vision = VisionTower(architecture, embed_dim)


def eva01() -> Iterator[Check]:
    """EVA-01 without its last layer and projection is the image tower of BLIP-2."""
    from transformers import Blip2VisionConfig
    from transformers.models.blip_2.modeling_blip_2 import Blip2VisionModel

    shape = _tiny("eva01-clip-g14", projection="none")
    theirs = Blip2VisionModel(
        Blip2VisionConfig(
            hidden_size=shape.width,
            intermediate_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            image_size=shape.image_size,
            patch_size=shape.patch_size,
        )
    )
    ours = Vision(shape, shape.width)

    def compare(pixels: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
        shown = ours.vision.normalise(pixels, torch.float32)
        expected = theirs(shown).last_hidden_state
        yield "states", ours.vision(pixels), expected
        yield "class token", ours.vision.encode(pixels), expected[:, 0]  # their pooled output is normalised once more

    yield from _both_ways("EVA-01", "transformers.Blip2VisionModel", ours, theirs, compare)


def eva01_plain() -> Iterator[Check]:
    """EVA-01 with its projection."""
    yield from _plain("EVA-01", _tiny("eva01-clip-g14"))


def eva02() -> Iterator[Check]:
    """EVA-02's tower, with normalised attention (CLIP's) and without (that of pretraining with masks)."""
    lacking = "" if timm_eva() else "; timm cannot be imported here"
    yield from _plain("EVA-02", _tiny("eva02-clip-b16"), PLAIN + lacking)
    yield from _plain(
        "EVA-02, plain attention", _tiny("eva02-clip-b16", sub_norm="feed_forward", rope=4), PLAIN + lacking
    )
    yield from eva02_timm()


def _plain(what: str, shape: VisionArchitecture, reference: str = PLAIN) -> Iterator[Check]:
    ours, theirs = Vision(shape, 20), PlainEva(shape, 20)

    def compare(pixels: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
        shown = ours.vision.normalise(pixels, torch.float32)
        yield "states", ours.vision(pixels), theirs.states(shown)
        yield "image features", ours.vision.encode(pixels), theirs(shown)

    yield from _both_ways(what, reference, ours, theirs, compare)


def timm_eva() -> Any:
    """timm's class, or None where timm cannot be imported."""
    try:
        from timm.models.eva import Eva  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except (ImportError, RuntimeError):  # a torchvision built for another PyTorch raises RuntimeError
        return None
    return Eva


def timm_tower(made: Any, shape: VisionArchitecture, embed_dim: int) -> Any:
    """timm's class with the shape of EVA-02-CLIP's tower."""
    return made(
        img_size=shape.image_size,
        patch_size=shape.patch_size,
        num_classes=embed_dim,
        global_pool="token",
        embed_dim=shape.width,
        depth=shape.layers,
        num_heads=shape.heads,
        qkv_fused=False,
        mlp_ratio=shape.mlp_ratio,
        swiglu_mlp=True,
        scale_mlp=True,
        scale_attn_inner=True,
        use_rot_pos_emb=True,
        ref_feat_shape=(shape.rope, shape.rope),
    )


def eva02_timm() -> Iterator[Check]:
    """EVA-02's tower and one of its blocks against timm; nothing where timm cannot be imported."""
    made = timm_eva()
    if made is None:
        return
    shape = _tiny("eva02-clip-b16")
    theirs = timm_tower(made, shape, 20)
    ours = Vision(shape, 20)

    def compare(pixels: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
        shown = ours.vision.normalise(pixels, torch.float32)
        x, turns = ours.vision.embed(pixels)
        rope = theirs.rope.get_embed()
        yield "a block", ours.vision.blocks[0](x, turns), theirs.blocks[0](x, rope=rope)
        yield "states", ours.vision(pixels), theirs.forward_features(shown)
        yield "image features", ours.vision.encode(pixels), theirs(shown)

    yield from _both_ways("EVA-02", "timm Eva", ours, theirs, compare)


@torch.no_grad()
def _both_ways(what: str, reference: str, ours: Vision, theirs: nn.Module, compare: Compare) -> Iterator[Check]:
    ours.eval()
    theirs.eval()
    size = ours.vision.architecture.image_size
    pixels = torch.randint(0, 256, (3, 3, size, size), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    fmt: Format = recognise(theirs.state_dict(), reference)
    randomise(theirs, 1)
    ours.load_state_dict(fmt.ours(theirs.state_dict()))
    for part, mine, other in compare(pixels):
        yield Check(f"{what}: {part}, their weights", reference, largest_difference(mine, other))
    randomise(ours, 2)
    theirs.load_state_dict(fmt.theirs(ours.state_dict()))
    for part, mine, other in compare(pixels):
        yield Check(f"{what}: {part}, our weights", reference, largest_difference(mine, other))


def _tiny(name: str, **options: Any) -> VisionArchitecture:
    """A published tower at a tiny size, on a grid of 3 × 3 that is not that of pretraining."""
    tiny = {"image_size": 24, "patch_size": 8, "width": 48, "layers": 3, "heads": 4}
    return VisionArchitecture(**{**PUBLISHED[name].vision.model_dump(), **tiny, **options})
