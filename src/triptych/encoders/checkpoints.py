"""Weights of our own towers, from wherever they are: a run of Triptych, a folder or a file of a known format."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from triptych.encoders.architecture import Pixels, TextArchitecture, VisionArchitecture
from triptych.encoders.config import TextTransformerConfig, VisionTransformerConfig
from triptych.encoders.preparation import CLIP_MEAN, HALF, IMAGENET_MEAN
from triptych.errors import WeightsError, resume_command
from triptych.weights import fetch
from triptych.weights.formats import recognise

WRAPPERS = ("state_dict", "model", "module", "model_ema")
"""Names under which training programs put the state dict into a file."""

MEANS: dict[tuple[float, ...], Pixels] = {CLIP_MEAN: "clip", IMAGENET_MEAN: "imagenet", HALF: "half"}


@dataclass(frozen=True)
class Shapes:
    """What a place tells about its towers; None where it tells nothing.

    Args:
        vision: The image side's architecture.
        text: The text side's.
        embed_dim: Channels of the space that both share.
    """

    vision: VisionArchitecture | None = None
    text: TextArchitecture | None = None
    embed_dim: int | None = None


@dataclass(frozen=True)
class Weights:
    """What was found.

    Args:
        origin: Where, for messages.
        state: Tensors by our names: `vision.…`, `text.…`, `logit_scale`, `logit_bias`.
        shapes: What the place tells about them.
    """

    origin: str
    state: dict[str, Tensor]
    shapes: Shapes


def read(uri: str, base: Path | None = None) -> Weights:
    """The weights of a URI, by our names.

    Raises:
        WeightsError: There are none, or they are in no known format.
    """
    path = fetch(uri, base=base)
    where = f"weights {uri}"
    if _is_run(path):
        return Weights(where, _state_of_run(path, where), _shapes(path, where))
    tensors = _tensors(path, where)
    return Weights(where, recognise(tensors, where).ours(tensors), _shapes(path, where))


def shapes(uri: str, base: Path | None = None) -> Shapes:
    """What a URI tells about its towers, without reading weights.

    Raises:
        WeightsError: Nothing is there, or what it says is of no family of ours.
    """
    return _shapes(fetch(uri, base=base), f"weights {uri}")


def load(module: nn.Module, weights: Weights, side: str) -> None:
    """Put the weights of one side in place. What the module was built without is left out.

    Args:
        module: The tower, or the part of it that is needed.
        weights: As `read` found them.
        side: `vision` or `text`.

    Raises:
        WeightsError: A tensor is missing, or has another shape.
    """
    own = module.state_dict()
    found = {
        name.removeprefix(f"{side}."): tensor for name, tensor in weights.state.items() if name.startswith(f"{side}.")
    }
    if not found:
        raise WeightsError(f"{weights.origin}: there is no {side} tower in it")
    missing = [name for name in own if name not in found and name != "mask_token"]
    if missing:
        raise WeightsError(
            f"{weights.origin}: {len(missing)} tensors of the architecture are missing, among them "
            f"{', '.join(missing[:5])}; is it another `architecture`?"
        )
    known = set(own) | {name for name in found if _left_out(name, module)}
    if unknown := sorted(found.keys() - known):
        raise WeightsError(
            f"{weights.origin}: the architecture has no place for {len(unknown)} tensors, among them "
            f"{', '.join(unknown[:5])}; is it another `architecture`?"
        )
    shapes = [name for name in own if name in found and found[name].shape != own[name].shape]
    if shapes:
        name = shapes[0]
        raise WeightsError(
            f"{weights.origin}: {name} is {tuple(found[name].shape)}, and {tuple(own[name].shape)} in this architecture"
        )
    module.load_state_dict({name: found[name] for name in own if name in found}, strict=False)


def _left_out(name: str, module: nn.Module) -> bool:
    """Whether a tensor belongs to what is cut off behind the chosen layer, or to pretraining."""
    first, _, rest = name.partition(".")
    if first == "blocks":
        built: Any = module.blocks
        return int(rest.partition(".")[0]) >= len(built)
    return getattr(module, first, None) is None and first in {"norm", "pool", "projection", "mask_token"}


def _is_run(path: Path) -> bool:
    return (path / "recipe.yaml").is_file()


def _shapes(path: Path, where: str) -> Shapes:
    if _is_run(path):
        vision, text, embed_dim, base = _recipe(path, where)
        found = {"vision": vision.architecture, "text": text.architecture if text is not None else None}
        for side, config in (("vision", vision), ("text", text)):
            if config is not None and config.weights is not None and found[side] is None:
                found[side] = getattr(shapes(config.weights, base), side)
        return Shapes(found["vision"], found["text"], embed_dim)  # type: ignore[arg-type]
    if not (path / "config.json").is_file():
        return Shapes()
    from transformers import AutoConfig

    from triptych.encoders.transformers_shapes import dual_of, vision_of

    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{where}: {path} holds no configuration that transformers knows ({error})") from error
    if config.model_type in {"clip", "siglip"}:
        dual = dual_of(config, _pixels(path))
        return Shapes(dual.vision, dual.text, dual.embed_dim)
    return Shapes(vision_of(config, _pixels(path)))


def _state_of_run(path: Path, where: str) -> dict[str, Tensor]:
    """Of a dual encoder trained here. What its stages did not train is where its own recipe took it from."""
    vision, text, _, base = _recipe(path, where)
    file = path / "weights" / "model.safetensors"
    if not file.is_file():
        raise WeightsError(f"{where}: training has not finished; continue it with `{resume_command(path)}`")
    state: dict[str, Tensor] = {}
    for side, config in (("vision", vision), ("text", text)):
        if config is not None and config.weights is not None:
            before = read(config.weights, base).state
            state |= {name: tensor for name, tensor in before.items() if name.startswith(f"{side}.")}
    return {**state, **_tensors(file, where)}


def _recipe(path: Path, where: str) -> tuple[VisionTransformerConfig, TextTransformerConfig | None, int | None, Path]:
    """The towers of a run's recipe (None for a text side that is not ours), their shared space, and the base of paths."""
    recipe = yaml.safe_load((path / "recipe.yaml").read_text(encoding="utf-8"))
    model = recipe.get("model") or {}
    if model.get("kind") != "dual":
        raise WeightsError(
            f"{where}: its model is of kind {model.get('kind', 'composed')!r}; only a run of `kind: dual` has towers"
        )
    try:
        vision = VisionTransformerConfig.model_validate(model["vision"])
        own = model["text"].get("kind", "transformer") == "transformer"
        text = TextTransformerConfig.model_validate(model["text"]) if own else None
    except (KeyError, ValidationError) as error:
        raise WeightsError(f"{where}: its recipe does not say what its towers are ({error})") from error
    return vision, text, model.get("embed_dim"), path / recipe.get("base", ".")


def _tensors(path: Path, where: str) -> dict[str, Tensor]:
    """All tensors of a file or folder; nothing else is unpickled."""
    files = [path]
    if path.is_dir():
        files = sorted(path.glob("*.safetensors")) or sorted([*path.glob("*.bin"), *path.glob("*.pt")])
        if not files:
            raise WeightsError(f"{where}: {path} holds neither .safetensors nor .bin nor .pt files")
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors |= load_file(file) if file.suffix == ".safetensors" else _unwrapped(_unpickled(file))
        except (OSError, SafetensorError, RuntimeError, ValueError) as error:
            raise WeightsError(f"{where}: {file} cannot be read ({error})") from error
    return tensors


def _unpickled(file: Path) -> Any:
    if zipfile.is_zipfile(file) and any("/code/" in name for name in zipfile.ZipFile(file).namelist()):
        raise WeightsError(
            f"{file}: a TorchScript program, as OpenAI publishes CLIP; programs from outside are not run here. "
            "Where you trust it, write its weights once: "
            "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pt')"
        )
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise many kinds
        raise WeightsError(f"{file}: cannot be read as tensors alone ({error})") from error


def _unwrapped(found: Any) -> dict[str, Tensor]:
    while isinstance(found, Mapping):
        inner = next((found[name] for name in WRAPPERS if isinstance(found.get(name), Mapping)), None)
        if inner is None:
            break
        found = inner
    if not isinstance(found, Mapping):
        raise ValueError("expected tensors by name")
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if tensors and all(name.startswith("module.") for name in tensors):  # of a model wrapped for several devices
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def _pixels(path: Path) -> Pixels | None:
    """The word for a folder's mean of pixels; None where it says nothing.

    Raises:
        WeightsError: The mean is none of ours.
    """
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (path / name).is_file():
            try:
                found = json.loads((path / name).read_text(encoding="utf-8"))
            except ValueError as error:
                raise WeightsError(f"{path / name}: not valid JSON ({error})") from error
            mean = found.get("image_processor", found).get("image_mean")
            if mean is None:
                continue
            near = [
                word for ours, word in MEANS.items() if max(abs(a - b) for a, b in zip(ours, mean, strict=True)) < 1e-3
            ]
            if not near:
                raise WeightsError(
                    f"{path / name}: pixels have the mean {mean}, which is neither CLIP's, ImageNet's nor one half; "
                    "take `kind: huggingface` for this encoder"
                )
            return near[0]
    return None
