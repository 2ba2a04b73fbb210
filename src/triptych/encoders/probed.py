"""Any other vision model of transformers, described by trying it: two square pictures, of which only the shapes are real.

pixels ─► the arguments that its forward asks for ─► output or hidden state ─► grid, tokens in front ─► [N, T, D]
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from triptych.conversation import Image
from triptych.encoders import without_values
from triptych.encoders.config import PLAIN_TOWERS, HuggingFaceConfig
from triptych.encoders.encoder import Normalisation
from triptych.encoders.huggingface import HuggingFaceEncoder
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.preparation import IMAGENET_MEAN, IMAGENET_STD, ImagePreparation, mean_colour
from triptych.encoders.tower_inputs import Inputs, inputs_of, own_size, side_of
from triptych.encoders.tower_outputs import Shape, chosen_state, in_rows, sequence, shape_of
from triptych.encoders.towers import colour, description, model_type, random_tower, tower_of_folder
from triptych.errors import RecipeError
from triptych.kernels import packed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

USUAL = 224
"""Side in pixels where neither the model nor its preprocessor says one."""


class AnyTower:
    """What `kind: huggingface` builds: a tower cut off behind the chosen layer where its parts are known, else all of it."""

    @staticmethod
    def from_config(config: HuggingFaceConfig, base: Path | None = None) -> ImageEncoder:
        """See `HuggingFaceEncoder.from_config` and `ProbedEncoder.from_config`."""
        kind = HuggingFaceEncoder if model_type(config, base) in PLAIN_TOWERS else ProbedEncoder
        return kind.from_config(config, base)


PROBED = 2
"""Pictures that a model is tried on: with one alone, pictures side by side look like one behind the other."""

BILINEAR = 2
"""Pillow's number for bilinear interpolation, which preprocessor configs use."""


class ProbedEncoder(ImageEncoder):
    """A vision model as transformers runs it, with all of its layers.

    Args:
        model: The model.
        config: Which hidden state, how to prepare.
        pixels: The contents of the model's preprocessor config (mean, standard deviation, size).

    Raises:
        RecipeError: Its input or its output is nothing that a picture or features can be.
    """

    def __init__(self, model: PreTrainedModel, config: HuggingFaceConfig, pixels: dict[str, Any]) -> None:
        if config.unit:
            raise RecipeError(f"encoder: `unit` is for Kosmos' tower; {type(model).__name__} is another; leave it out")
        resolution = config.resolution or own_size(model.config) or _prepared_size(pixels) or USUAL
        inputs = inputs_of(model, resolution)
        if resolution % inputs.unit:
            near = max(1, round(resolution / inputs.unit)) * inputs.unit
            raise RecipeError(
                f"encoder: `resolution: {resolution}` is not a multiple of the tower's "
                f"patches of {inputs.unit} pixels; try {near}"
            )
        plain = pixels.get("do_normalize") is False
        mean = colour(pixels, "image_mean", (0.0,) * 3 if plain else IMAGENET_MEAN)
        std = colour(pixels, "image_std", (1.0,) * 3 if plain else IMAGENET_STD)
        shape = _probed(model, config, inputs, resolution)
        super().__init__(
            dim=shape.dim,
            grid=(shape.side, shape.side),
            preparation=ImagePreparation(
                resolution,
                config.fit,
                mean_colour(mean),
                bilinear=pixels.get("resample") == BILINEAR,
                background=config.background,
            ),
            identity={
                "tower": description(model.config),
                "layer": config.layer,
                "drop_cls": config.drop_cls,
                "mean": mean,
                "std": std,
            },
        )
        self.normalise = Normalisation(mean, std)
        packed.pack(model)
        self.model = model
        self._layer, self._inputs, self._prefix = config.layer, inputs, shape.prefix
        # What was merged already comes block by block, which is row by row.
        self._merge = inputs.merge if shape.side * inputs.unit == resolution * inputs.merge else 1
        registers = int(getattr(model.config, "num_register_tokens", 0) or 0)
        self._kept = 0 if config.drop_cls else max(0, shape.prefix - registers)

    @classmethod
    def from_config(cls, config: HuggingFaceConfig, base: Path | None = None) -> ProbedEncoder:
        """Load the tower, or make it with random weights that are the same in every process."""
        from triptych.encoders.precision import resolve

        model, pixels = random_tower(config) if config.weights is None else tower_of_folder(config, base)
        return cls(model, config, pixels).to(resolve(config.precision)).eval()

    def tokens(self, part: Image) -> int:
        """Cells of the grid, and the class tokens where they are kept (registers never are)."""
        return self._kept + super().tokens(part)

    def forward(self, pixels: Tensor) -> Tensor:
        """Features `[N, tokens, dim]` of pixels `[N, 3, H, W]` (0–255)."""
        state = _state(self.model, self._layer, self._inputs, self.normalise(pixels, self.dtype))
        hidden = sequence(state, len(pixels), type(self.model).__name__).to(self.dtype)
        cells = in_rows(hidden[:, self._prefix :], self.grid[0], self._merge)
        return torch.cat([hidden[:, : self._kept], cells], dim=1) if self._kept else cells


def _state(model: Any, layer: int | str, inputs: Inputs, pictures: Tensor) -> Tensor:
    def arguments(pixels: Tensor) -> dict[str, Any]:
        found = inputs.build(pixels)
        if layer != "output":
            found["output_hidden_states"] = True
        if "return_dict" in inspect.signature(type(model).forward).parameters:
            found["return_dict"] = True
        return found

    out = without_values.run(model, arguments, pictures) if pictures.is_meta else model(**arguments(pictures))
    return chosen_state(out, layer, type(model).__name__).to(pictures.device)


def _probed(model: Any, config: HuggingFaceConfig, inputs: Inputs, resolution: int) -> Shape:
    """The shape of one picture's features."""
    name = type(model).__name__
    model.eval()
    tensor = next(model.parameters())
    pictures = torch.zeros(PROBED, 3, resolution, resolution, dtype=tensor.dtype, device=tensor.device)
    try:
        with torch.no_grad():
            state = _state(model, config.layer, inputs, pictures)
    except RecipeError:
        raise
    except Exception as error:  # whatever a model's code raises at a picture that it does not take
        first = (str(error).strip().splitlines() or [""])[0]
        raise RecipeError(
            f"encoder: {name} does not read pictures of {resolution} × {resolution} pixels "
            f"({type(error).__name__}: {first}); try another `resolution`"
        ) from error
    shape = shape_of(state, PROBED, resolution, side_of(getattr(model.config, "patch_size", None), None), name)
    if shape.prefix and not tensor.is_meta:
        _require_in_front(model, inputs, pictures[:1], shape, name)
    return shape


def _require_in_front(model: Any, inputs: Inputs, picture: Tensor, shape: Shape, name: str) -> None:
    """The tokens beside the grid stand in front of it: what the picture's last corner changes first is the last token.

    Raises:
        RecipeError: They stand elsewhere.
    """
    corner = picture.clone()
    corner[..., -1:, -1:] = 4.0
    try:
        with torch.no_grad():
            plain, changed = (sequence(_state(model, 0, inputs, x), 1, name) for x in (picture, corner))
    except RecipeError:
        return  # no hidden states to look at
    if plain.shape[1] != shape.side**2 + shape.prefix:
        return  # a tower with stages: its first state has another grid
    last = int((changed - plain).abs().sum(dim=(0, 2)).argmax())
    if last != plain.shape[1] - 1:
        raise RecipeError(
            f"encoder: {name} puts {shape.prefix} tokens beside the grid elsewhere than in front of it "
            f"(the last patch is token {last} of {plain.shape[1]}); set `layer: output`"
        )


def _prepared_size(pixels: dict[str, Any]) -> int | None:
    """The side of the pictures that a preprocessor config makes."""
    for name in ("crop_size", "size"):
        size = pixels.get(name)
        if isinstance(size, dict):
            size = side_of([size.get("height"), size.get("width")], None) or size.get("shortest_edge")
        if isinstance(size, int):
            return size
    return None
