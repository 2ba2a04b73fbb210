"""`triptych verify formats`: every format is there, within its bound; and mistakes in any of them are noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

import triptych.formats.llama
import triptych.interchange.language
from parity import Check
from parity.formats import exports, imports, languages, towers
from triptych.interchange.catalogue import FORMATS, SYSTEMS

FUNCTIONS: list[tuple[Callable[[], Iterator[Check]], tuple[str, ...]]] = [
    (
        towers.towers,
        ("CLIP, folder", "SigLIP, folder", "DINOv2", "OpenAI CLIP", "open_clip CLIP", "EVA-02-CLIP, state dict of the EVA",
         "EVA-02 tower, state dict of the EVA", "state dict of timm", "state dict of open_clip"),
    ),
    (languages.consolidated, ("LLaMA, one shard", "LLaMA, two shards", "LLaMA 3")),
    (languages.gguf, ("GGUF",)),
    (exports.exported, tuple(found.name for found in FORMATS)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "named"), FUNCTIONS)
def test_every_format_is_compared_and_equal(function: Callable[[], Iterator[Check]], named: tuple[str, ...]) -> None:
    found = list(function())
    assert all(check.equal for check in found), [check for check in found if not check.equal]
    assert [name for name in named if not any(name in check.what for check in found)] == []
    if function in (towers.towers, languages.consolidated):
        there = {check.what.removeprefix("in: ").partition(" (")[0] for check in found if check.what.startswith("in: ")}
        back = {
            check.what.removeprefix("out: ").partition(" (")[0] for check in found if check.what.startswith("out: ")
        }
        assert {name for name in there - back if "DINOv2" not in name} == set()


def test_every_system_that_is_imported_is_compared() -> None:
    """The comparisons themselves are made, system by system, by the tests of `triptych import`; dual encoders' by exports."""
    names = {name.partition(",")[0].lower() for name in (*imports.SYSTEMS, *exports.DUAL)}
    assert names == set(SYSTEMS)


def test_rows_in_the_other_order_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triptych.formats.llama, "separate", lambda rows, heads: rows)
    assert not any(check.equal for check in languages.consolidated() if check.what.startswith("in:"))


def test_shards_joined_in_another_order_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = triptych.formats.llama.joined
    monkeypatch.setattr(triptych.formats.llama, "joined", lambda name, pieces, width: right(name, pieces[::-1], width))
    wrong = [check.what for check in languages.consolidated() if check.what.startswith("in:") and not check.equal]
    assert len(wrong) == 2 and all("two shards" in what for what in wrong)


def test_lora_that_is_not_merged_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triptych.interchange.language, "lora_layers", lambda language: iter(()))
    wrong = [check.what for check in exports.exported() if not check.equal]
    assert {what.partition(",")[0] for what in wrong} >= {
        "out: llava",
        "out: blip2",
        "out: instructblip",
        "out: hf-language",
    }
    assert not any("peft" in what for what in wrong)


def test_a_wrong_name_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(towers.TIMM, "mlp.w1", "mlp.fc1_x")  # gate and value change places
    monkeypatch.setitem(towers.TIMM, "mlp.w2", "mlp.fc1_g")
    with torch.no_grad():
        found = {check.what: check.equal for check in towers.towers()}
    wrong = {what for what, equal in found.items() if not equal}
    assert wrong == {what for what in found if "of timm" in what or "of open_clip:" in what} or towers.timm_eva()
