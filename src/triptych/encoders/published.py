"""Published dual encoders by name: the architectures of their towers. Importable without torch.

Sources: the model configurations of OpenAI CLIP and open_clip, of the EVA-CLIP repository, and of SigLIP's
`google/siglip-base-patch16-224`. The released EVA checkpoints write the feed-forward's ratio as 4.3637 and 2.6667.
"""

from __future__ import annotations

from dataclasses import dataclass

from triptych.encoders.architecture import TextArchitecture, VisionArchitecture


@dataclass(frozen=True)
class Published:
    """Two towers and the number of channels E of the space that they share."""

    vision: VisionArchitecture
    text: TextArchitecture
    embed_dim: int


def _clip(patch: int, width: int, layers: int, text: int, image_size: int = 224) -> Published:
    return Published(
        VisionArchitecture(
            image_size=image_size,
            patch_size=patch,
            width=width,
            layers=layers,
            heads=width // 64,
            activation="quick_gelu",
        ),
        TextArchitecture(vocabulary=49408, width=text, layers=12, heads=text // 64, activation="quick_gelu"),
        embed_dim=text,
    )


def _eva_text(width: int) -> TextArchitecture:
    return TextArchitecture(vocabulary=49408, width=width, layers=12, heads=width // 64)


def _eva02(patch: int, width: int, layers: int, text: int, image_size: int = 224) -> Published:
    return Published(
        VisionArchitecture(
            image_size=image_size,
            patch_size=patch,
            width=width,
            layers=layers,
            heads=width // 64,
            mlp_ratio=2.6667,
            activation="swiglu",
            norm_eps=1e-6,
            patch_bias=True,
            norm_pre=False,
            attention_bias="query_value",
            sub_norm="both",
            rope=16,
            projection="bias",
        ),
        _eva_text(text),
        embed_dim=text,
    )


PUBLISHED: dict[str, Published] = {
    "clip-b32": _clip(32, 768, 12, 512),
    "clip-b16": _clip(16, 768, 12, 512),
    "clip-l14": _clip(14, 1024, 24, 768),
    "clip-l14-336": _clip(14, 1024, 24, 768, image_size=336),
    "eva01-clip-g14": Published(
        VisionArchitecture(
            patch_size=14,
            width=1408,
            layers=40,
            heads=16,
            mlp_ratio=4.3637,
            norm_eps=1e-6,
            patch_bias=True,
            norm_pre=False,
            attention_bias="query_value",
            projection="bias",
        ),
        _eva_text(768),
        embed_dim=1024,
    ),
    "eva02-clip-b16": _eva02(16, 768, 12, 512),
    "eva02-clip-l14": _eva02(14, 1024, 24, 768),
    "eva02-clip-l14-336": _eva02(14, 1024, 24, 768, image_size=336),
    "siglip-b16": Published(
        VisionArchitecture(
            patch_size=16,
            width=768,
            layers=12,
            heads=12,
            activation="gelu_tanh",
            norm_eps=1e-6,
            class_token=False,
            patch_bias=True,
            norm_pre=False,
            pooling="attention",
            projection="none",
            pixels="half",
        ),
        TextArchitecture(
            vocabulary=32000,
            max_tokens=64,
            width=768,
            layers=12,
            heads=12,
            activation="gelu_tanh",
            norm_eps=1e-6,
            projection="bias",
            attention="bidirectional",
            pooling="last",
            pad=1,
        ),
        embed_dim=768,
    ),
}
"""Name → its towers. The same name stands for either tower in a recipe."""


def published(name: str) -> Published:
    """The published model of a name.

    Raises:
        ValueError: There is none; the message has the nearest one and all names.
    """
    found = PUBLISHED.get(name)
    if found is None:
        import difflib

        near = difflib.get_close_matches(name, PUBLISHED, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"no published architecture is called {name!r}; {hint}There are {', '.join(PUBLISHED)}")
    return found
