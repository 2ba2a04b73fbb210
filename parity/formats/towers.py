"""Towers in and back: files of other projects read as they are, and our weights under their names.

in:   reference, random ─► its file or folder ─► `checkpoints.read`, `load` ─► our towers ─► features against its own
out:  our towers, random ─► the same format backwards ─► reference, strictly ─► features against ours
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from parity.check import Check
from parity.compare import compare, largest_difference
from parity.eva import timm_eva, timm_tower
from parity.plain_clip import CustomTextClip, OpenAIClip, QuickGelu, Text
from parity.plain_eva import PlainEva
from parity.tiny.towers import Towers, text_shape, vision_shape
from parity.tiny.weights import randomise
from triptych.encoders import checkpoints
from triptych.encoders.architecture import TextArchitecture
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import HuggingFaceConfig
from triptych.encoders.published import Published
from triptych.formats import config_of, recognise
from triptych.weights.quiet import silent

SIDE, WORDS, LENGTHS = 24, 30, (8, 4, 6)
SPACE = 20

TIMM = {
    "attn.q_bias": "attn.q_proj.bias",
    "attn.v_bias": "attn.v_proj.bias",
    "attn.inner_attn_ln": "attn.norm",
    "mlp.ffn_ln": "mlp.norm",
    "mlp.w1": "mlp.fc1_g",
    "mlp.w2": "mlp.fc1_x",
    "mlp.w3": "mlp.fc2",
}
"""The EVA repository's names to timm's, as timm's own `checkpoint_filter_fn` has them (`timm/models/eva.py`)."""

OPENAI = "OpenAI's published code, written plainly"
EVA = "EVA's published code, written plainly"


@dataclass(frozen=True)
class Reference:
    """A model of another project.

    Args:
        format: What is read.
        name: Of what computes the numbers; says so where it stands in for a library that cannot be imported.
        model: It.
        towers: The shapes of ours.
        images: Normalised pixels `[N, 3, S, S]` → features `[N, E]`.
        texts: Ids `[N, L]` → features `[N, E]`; None where there is no text tower.
        save: Writes it into an empty folder, and returns what `weights: file:` names.
        others: Beginnings of its names that belong to no tower.
    """

    format: str
    name: str
    model: nn.Module
    towers: Published
    images: Callable[[Tensor], Tensor]
    texts: Callable[[Tensor], Tensor] | None
    save: Callable[[Path], Path]
    others: tuple[str, ...] = ()


def towers() -> Iterator[Check]:
    """Features of pictures and texts, of every format of towers, in both directions."""
    references: tuple[Callable[[], Reference], ...] = (
        partial(_of_transformers, "CLIP, folder of the hub", "clip-b32", "CLIPModel"),
        partial(_of_transformers, "SigLIP, folder of the hub", "siglip-b16", "SiglipModel"),
        _blip2,
        partial(_plain_clip, "OpenAI CLIP, state dict", OpenAIClip),
        partial(_plain_clip, "open_clip CLIP, state dict with a text tower of its own", CustomTextClip),
        partial(_eva_clip, "EVA-01-CLIP, state dict of the EVA repository", "eva01-clip-g14"),
        partial(_eva_clip, "EVA-02-CLIP, state dict of the EVA repository", "eva02-clip-b16"),
        _eva02_tower,
        _timm,
        _open_clip_eva02,
    )
    for make in references:
        with silent():
            checks = list(_both_ways(make()))
        yield from checks
    with silent():
        check = dinov2()
    yield check


@torch.no_grad()
def dinov2() -> Check:
    """A folder of DINOv2 as an encoder: hidden states of its last layer but one, class token left out."""
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8}
    theirs = Dinov2Model(Dinov2Config(**sizes)).eval()
    randomise(theirs, 1)
    with TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours: Any = build_encoder(HuggingFaceConfig(weights=f"file:{folder}", layer=-2, precision="float32"))
    pixels = _inputs()[0]
    expected = theirs(ours.normalise(pixels, torch.float32), output_hidden_states=True).hidden_states[-2][:, 1:]
    return compare(
        "in: DINOv2, folder of the hub, as an encoder: features", "transformers.Dinov2Model", ours(pixels), expected
    )


@torch.no_grad()
def _both_ways(reference: Reference) -> Iterator[Check]:
    model = reference.model.eval()
    randomise(model, 1)
    pixels, ids, lengths = _inputs()
    with TemporaryDirectory() as folder:
        weights = checkpoints.read(f"file:{reference.save(Path(folder))}")
    shapes = weights.shapes
    if shapes.vision not in (None, reference.towers.vision) or shapes.text not in (None, reference.towers.text):
        raise AssertionError(f"{reference.format}: its folder was read as {shapes}, and it is {reference.towers}")
    ours = Towers(reference.towers).eval()
    whole = reference.texts is not None

    def difference() -> float:
        normalised = ours.vision.normalise(pixels, torch.float32)
        apart = largest_difference(ours.vision.encode(pixels), reference.images(normalised))
        if reference.texts is not None:
            apart = max(apart, largest_difference(ours.text(ids, lengths), reference.texts(ids)))
        return apart

    checkpoints.load(ours.vision, weights, "vision")
    if whole:
        checkpoints.load(ours.text, weights, "text")
    what = "image and text features" if whole else "image features"
    yield Check(f"in: {reference.format}: {what}", reference.name, difference())
    randomise(ours, 2)
    fmt = recognise(model.state_dict(), reference.format)
    state = {
        name: tensor
        for name, tensor in ours.state_dict().items()
        if name.startswith("vision.") or (whole and (name.startswith(("text.", "logit_"))))
    }
    back = fmt.theirs(state)
    lacking, strange = model.load_state_dict(back, strict=False)
    if left := [*strange, *(name for name in lacking if not name.startswith(reference.others))]:
        raise AssertionError(f"{reference.format}: carried back, {left[:5]} are left over")
    yield Check(f"out: {reference.format}: {what}", reference.name, difference())


def _inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, and texts of different lengths: the end token is the highest id, as in OpenAI's vocabulary."""
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (len(LENGTHS), 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    lengths = torch.tensor(LENGTHS)
    ids = torch.randint(3, WORDS - 1, (len(LENGTHS), max(LENGTHS)), generator=generator)
    ids[torch.arange(len(ids)), lengths - 1] = WORDS - 1
    return pixels, ids.masked_fill(torch.arange(ids.shape[1]) >= lengths[:, None], 1), lengths


def _tiny(name: str, **vision: Any) -> Published:
    """A published model at a tiny size."""
    shape = vision_shape(name, **vision)
    return Published(shape, text_shape(name), shape.width if shape.projection == "none" else SPACE)


def _of_transformers(format: str, name: str, kind: str) -> Reference:
    import transformers

    towers = _tiny(name)
    model = getattr(transformers, kind)(config_of(towers, WORDS - 1))
    return Reference(
        format,
        f"transformers.{kind}",
        model,
        towers,
        lambda pixels: model.get_image_features(pixels).pooler_output,
        lambda ids: model.get_text_features(ids).pooler_output,
        _folder(model),
    )


def _blip2() -> Reference:
    """A whole BLIP-2 folder, of which the image tower is taken: EVA-01."""
    from transformers import Blip2Config, Blip2Model

    towers = _tiny("eva01-clip-g14", projection="none", mlp_ratio=2.0)
    shape = towers.vision
    vision = {
        "hidden_size": shape.width, "intermediate_size": shape.hidden, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "image_size": SIDE, "patch_size": shape.patch_size,
    }  # fmt: skip
    qformer = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 24,
               "encoder_hidden_size": shape.width}  # fmt: skip
    text = {"model_type": "opt", "vocab_size": 30, "hidden_size": 16, "ffn_dim": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "word_embed_proj_dim": 16}  # fmt: skip
    model = Blip2Model(Blip2Config(vision_config=vision, qformer_config=qformer, text_config=text))
    return Reference(
        "BLIP-2, folder of the hub, its image tower",
        "transformers.Blip2Model",
        model,
        towers,
        lambda pixels: model.vision_model(pixels).last_hidden_state[:, 0],
        None,
        _folder(model),
        ("qformer.", "query_tokens", "language_"),
    )


def _folder(model: Any) -> Callable[[Path], Path]:
    """Writes a folder as the hub has it."""

    def save(folder: Path) -> Path:
        model.save_pretrained(folder)
        return folder

    return save


def _file(model: nn.Module, **more: Tensor) -> Callable[[Path], Path]:
    """Writes a state dict as PyTorch does, wrapped as training programs do."""

    def save(folder: Path) -> Path:
        torch.save({"state_dict": {**model.state_dict(), **more}}, folder / "tower.pt")
        return folder / "tower.pt"

    return save


def _plain_clip(format: str, kind: type[Any]) -> Reference:
    towers = _tiny("clip-b32")
    vision, text = towers.vision, towers.text
    model = kind(
        {"size": SIDE, "patch": 8, "width": vision.width, "layers": 3, "heads": vision.heads, "embed_dim": SPACE},
        _text(text),
    )
    numbers = {"input_resolution": torch.tensor(SIDE), "context_length": torch.tensor(text.max_tokens)}
    return Reference(format, OPENAI, model, towers, model.visual, model.encode, _file(model, **numbers))


def _text(shape: TextArchitecture) -> dict[str, Any]:
    return {
        "words": WORDS, "positions": shape.max_tokens, "width": shape.width, "layers": shape.layers, "heads": shape.heads,
        "embed_dim": SPACE, "gelu": QuickGelu if shape.activation == "quick_gelu" else nn.GELU,
    }  # fmt: skip


class _EvaClip(nn.Module):
    """A dual encoder of the EVA repository."""

    def __init__(self, towers: Published) -> None:
        super().__init__()
        self.visual, self.text = PlainEva(towers.vision, SPACE), Text(**_text(towers.text))
        self.logit_scale = nn.Parameter(torch.zeros(()))


def _eva_clip(format: str, name: str) -> Reference:
    towers = _tiny(name)
    model = _EvaClip(towers)
    return Reference(format, EVA, model, towers, model.visual, model.text.encode, _file(model))


def _eva02_tower() -> Reference:
    towers = _tiny("eva02-clip-b16")
    model = PlainEva(towers.vision, SPACE)
    format = "EVA-02 tower, state dict of the EVA repository"
    return Reference(format, EVA, model, towers, model, None, _file(model))


class _Renamed(nn.Module):
    """A model whose state dict has other names.

    Args:
        model: It.
        names: Their names of its tensors, by its own.
    """

    def __init__(self, model: nn.Module, names: Callable[[str], str]) -> None:
        super().__init__()
        self.inner = model
        self.names = {name: names(name) for name in model.state_dict()}

    def state_dict(self, *arguments: Any, **options: Any) -> Any:  # noqa: ARG002 - of the inner one
        return {self.names[name]: tensor for name, tensor in self.inner.state_dict().items()}

    def load_state_dict(self, state: Any, strict: bool = True, assign: bool = False) -> Any:
        own = {other: name for name, other in self.names.items()}
        return self.inner.load_state_dict({own.get(name, name): t for name, t in state.items()}, strict, assign)


def _timm_name(name: str) -> str:
    for before, after in TIMM.items():
        name = name.replace(before, after)
    return name


def _missing(library: str) -> str:
    return f"{EVA} (its names as {library} has them; {library} cannot be imported here)"


def _timm() -> Reference:
    towers = _tiny("eva02-clip-b16")
    plain = PlainEva(towers.vision, SPACE)
    format = "EVA-02 tower, state dict of timm"
    if (made := timm_eva()) is not None:
        model = timm_tower(made, towers.vision, SPACE)
        return Reference(format, "timm Eva", model, towers, model, None, _file(model))
    renamed = _Renamed(plain, _timm_name)
    return Reference(format, _missing("timm"), renamed, towers, plain, None, _file(renamed))


def _open_clip_eva02() -> Reference:
    """open_clip keeps timm's tower as `visual.trunk`."""
    towers = _tiny("eva02-clip-b16")
    model = _EvaClip(towers)
    renamed = _Renamed(
        model,
        lambda name: _timm_name(name).replace("visual.", "visual.trunk.", 1) if name.startswith("visual.") else name,
    )
    name, texts = _missing("open_clip"), model.text.encode
    return Reference("EVA-02-CLIP, state dict of open_clip", name, renamed, towers, model.visual, texts, _file(renamed))
