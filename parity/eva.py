"""EVA-01 held against transformers' `Blip2VisionModel`, EVA-02 against a plain writing of the published code and timm's.

timm needs torchvision, which has no build beside every build of PyTorch: where timm cannot be imported, EVA-02 is
compared with the plain writing alone, and the name of the reference says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from parity.check import Check
from parity.compare import Outputs, both_ways
from parity.plain_eva import PlainEva
from parity.tiny.towers import Vision, vision_shape
from parity.tiny.weights import randomise
from triptych.encoders.architecture import VisionArchitecture
from triptych.formats import recognise

PLAIN = "EVA's published code, written plainly"


def eva01() -> Iterator[Check]:
    """EVA-01 without its last layer and projection is the image tower of BLIP-2."""
    from transformers import Blip2VisionConfig
    from transformers.models.blip_2.modeling_blip_2 import Blip2VisionModel

    shape = vision_shape("eva01-clip-g14", projection="none")
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
    pixels, normalised = _pixels(ours)

    def outputs() -> Iterator[tuple[str, Tensor, Tensor]]:
        expected = theirs(normalised).last_hidden_state
        yield "states", ours.vision(pixels), expected
        yield "class token", ours.vision.encode(pixels), expected[:, 0]  # their pooled output is normalised once more

    yield from _both_ways("EVA-01", "transformers.Blip2VisionModel", ours, theirs, outputs)


def eva01_plain() -> Iterator[Check]:
    """EVA-01 with its projection."""
    yield from _plain("EVA-01", vision_shape("eva01-clip-g14"))


def eva02() -> Iterator[Check]:
    """EVA-02's tower, with normalised attention (CLIP's) and without (that of pretraining with masks)."""
    lacking = "" if timm_eva() else "; timm cannot be imported here"
    yield from _plain("EVA-02", vision_shape("eva02-clip-b16"), PLAIN + lacking)
    yield from _plain(
        "EVA-02, plain attention", vision_shape("eva02-clip-b16", sub_norm="feed_forward", rope=4), PLAIN + lacking
    )
    yield from eva02_timm()


def _plain(what: str, shape: VisionArchitecture, reference: str = PLAIN) -> Iterator[Check]:
    ours, theirs = Vision(shape, 20), PlainEva(shape, 20)
    pixels, normalised = _pixels(ours)

    def outputs() -> Iterator[tuple[str, Tensor, Tensor]]:
        yield "states", ours.vision(pixels), theirs.states(normalised)
        yield "image features", ours.vision.encode(pixels), theirs(normalised)

    yield from _both_ways(what, reference, ours, theirs, outputs)


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
    shape = vision_shape("eva02-clip-b16")
    theirs = timm_tower(made, shape, 20)
    ours = Vision(shape, 20)
    pixels, normalised = _pixels(ours)

    def outputs() -> Iterator[tuple[str, Tensor, Tensor]]:
        x, turns = ours.vision.embed(pixels)
        rope = theirs.rope.get_embed()
        yield "a block", ours.vision.blocks[0](x, turns), theirs.blocks[0](x, rope=rope)
        yield "states", ours.vision(pixels), theirs.forward_features(normalised)
        yield "image features", ours.vision.encode(pixels), theirs(normalised)

    yield from _both_ways("EVA-02", "timm Eva", ours, theirs, outputs)


def _both_ways(what: str, reference: str, ours: Vision, theirs: nn.Module, outputs: Outputs) -> Iterator[Check]:
    names = recognise(theirs.state_dict(), reference)
    return both_ways(what, reference, ours, theirs, names, outputs, draw=randomise)


def _pixels(ours: Vision) -> tuple[Tensor, Tensor]:
    """Pictures in 0–255, and normalised."""
    side = ours.vision.architecture.image_size
    pixels = torch.randint(0, 256, (3, 3, side, side), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    return pixels, ours.vision.normalise(pixels, torch.float32)
