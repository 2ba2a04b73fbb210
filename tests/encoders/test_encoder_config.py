"""Which encoders a recipe can name, and encoders of one's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from triptych.conversation import Image
from triptych.encoders import EfficientNetConfig, EncoderConfig, HuggingFaceConfig, build
from triptych.errors import RecipeError
from triptych.registry import CustomConfig

UNION: TypeAdapter[EfficientNetConfig | HuggingFaceConfig | CustomConfig] = TypeAdapter(EncoderConfig)
Picture = Callable[[int, int], Image]

OWN = """
import torch
from triptych.encoders.image_encoder import ImageEncoder
from triptych.encoders.preparation import ImagePreparation

class Brightness(ImageEncoder):
    def __init__(self, side: int = 4) -> None:
        super().__init__(dim=1, grid=(side, side), preparation=ImagePreparation(side), identity={})
        self.gain = torch.nn.Parameter(torch.ones(()))

    def forward(self, pixels):
        return self.gain * pixels.float().mean(1).flatten(1)[..., None]

class NoEncoder:
    pass
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_encoders.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_encoders", raising=False)


def test_kinds_are_told_apart() -> None:
    assert UNION.validate_python({"kind": "efficientnet"}) == EfficientNetConfig()
    tower = UNION.validate_python({"kind": "huggingface", "weights": "hf:org/name", "layer": "output"})
    assert isinstance(tower, HuggingFaceConfig) and tower.layer == "output"
    assert isinstance(UNION.validate_python({"kind": "package.module:Class", "anything": 1}), CustomConfig)
    for config in (EfficientNetConfig(), tower):
        assert UNION.validate_python(config.model_dump()) == config


@pytest.mark.parametrize(
    "mistake",
    [
        {"kind": "efficientnet", "resolutoin": 224},
        {"kind": "efficientnet", "resolution": 8},
        {"kind": "clip"},
        {"kind": "huggingface"},
        {"kind": "huggingface", "weights": "hf:a/b", "architecture": {"model_type": "vit"}},
        {"kind": "huggingface", "architecture": {"hidden_size": 8}},
        {"kind": "not a path:Class"},
        {},
    ],
)
def test_mistakes_are_refused(mistake: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        UNION.validate_python(mistake)


@pytest.mark.usefixtures("own")
def test_an_encoder_of_ones_own(picture: Picture) -> None:
    encoder = build(UNION.validate_python({"kind": "own_encoders:Brightness", "side": 3}))
    image = picture(9, 9)
    assert encoder(encoder.prepare(image)[None]).shape == (1, encoder.tokens(image), 1)
    assert encoder.fingerprint != build(CustomConfig(kind="own_encoders:Brightness")).fingerprint
    assert not encoder.training


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("config", "answer"),
    [
        ({"kind": "no_such_package.module:Class"}, "no module 'no_such_package'"),
        ({"kind": "own_encoders:Brightnes"}, "did you mean Brightness"),
        ({"kind": "own_encoders:NoEncoder"}, "must be a subclass"),
        ({"kind": "own_encoders:Brightness", "size": 3}, "side: int = 4"),
    ],
)
def test_mistakes_with_ones_own_are_answered(config: dict[str, object], answer: str) -> None:
    with pytest.raises(RecipeError, match=answer):
        build(CustomConfig.model_validate(config))


def test_configs_import_without_torch() -> None:
    code = (
        "import sys; import triptych.encoders, triptych.adapters, triptych.weights; "
        "print([name for name in ('torch', 'transformers', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
