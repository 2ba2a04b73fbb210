"""Foreign state dicts: recognised by their names, carried over so that the numbers stay, and back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from encoders.tiny_towers import text_shape, vision_shape
from parity.plain_clip import CustomTextClip, OpenAIClip
from parity.tiny.towers import Towers
from parity.tiny.weights import randomise
from triptych.encoders.published import Published
from triptych.errors import WeightsError
from triptych.formats import FORMATS, Format, Parts, recognise
from triptych.weights.names import NameMap

VISION: dict[str, Any] = {"size": 24, "patch": 8, "width": 16, "layers": 3, "heads": 2, "embed_dim": 12}
TEXT: dict[str, Any] = {"words": 30, "positions": 8, "width": 24, "layers": 2, "heads": 3, "embed_dim": 12}

KINDS = {
    "SigLIP": "siglip-b16",
    "EVA-01": "eva01-clip-g14",
    "EVA-02": "eva02-clip-b16",
}


format_called = {known.name: known for known in FORMATS}.__getitem__


def published(fmt: Format) -> str:
    return next((name for word, name in KINDS.items() if word in fmt.name), "clip-b32")


def our_state(fmt: Format, seed: int = 0) -> dict[str, Tensor]:
    """A state of ours that a format has names for: all of a dual encoder, or its image tower."""
    kind = published(fmt)
    bare = "BLIP-2" in fmt.name
    vision = vision_shape(kind, projection="none" if bare else vision_shape(kind).projection)
    model = Towers(Published(vision, text_shape(kind), 16))
    randomise(model, seed)
    state = dict(model.state_dict())
    whole = any(mine.startswith("text.") for mine in fmt.names.patterns.values())
    return state if whole else {name: tensor for name, tensor in state.items() if name.startswith("vision.")}


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_there_and_back(fmt: Format) -> None:
    """Ours to theirs is recognised as that format and comes back as it was; every tensor under another name."""
    state = our_state(fmt)
    theirs = fmt.theirs(state)
    assert recognise(theirs, "a test") is fmt
    back = fmt.ours(theirs)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_names_are_unique() -> None:
    assert len({fmt.name for fmt in FORMATS}) == len(FORMATS)


@pytest.mark.parametrize(("plain", "name"), [(OpenAIClip, "OpenAI CLIP"), (CustomTextClip, "open_clip CLIP with")])
@torch.no_grad()
def test_openai_and_open_clip_state_dicts(plain: type[Any], name: str) -> None:
    theirs = plain(VISION, TEXT).eval()
    options = {"width": 24, "heads": 3}
    ours = Towers(Published(vision_shape("clip-b32"), text_shape("clip-b32", **options), 12)).eval()
    fmt = recognise(theirs.state_dict(), "a test")
    assert fmt.name.startswith(name)
    pixels = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    ids = torch.tensor([[5, 9, 29, 0, 0, 0, 0, 0], [7, 1, 4, 3, 2, 6, 29, 0]])

    def compare() -> None:
        shown = ours.vision.normalise(pixels, torch.float32)
        torch.testing.assert_close(ours.vision.encode(pixels), theirs.visual(shown), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.text(ids, torch.tensor([3, 7])), theirs.encode(ids), atol=1e-5, rtol=1e-4)

    randomise(theirs, 1)
    numbers = {"input_resolution": torch.tensor(24), "context_length": torch.tensor(8), "vocab_size": torch.tensor(30)}
    ours.load_state_dict(fmt.ours({**theirs.state_dict(), **numbers}))
    compare()
    randomise(ours, 2)
    theirs.load_state_dict(fmt.theirs(ours.state_dict()))
    compare()


@torch.no_grad()
def test_open_clips_siglip_head() -> None:
    """timm's attention pooling, written out: a query of its own, keys and values of one matrix."""
    fmt = format_called("open_clip SigLIP")
    ours = Towers(Published(vision_shape("siglip-b16"), text_shape("siglip-b16"), 16)).eval()
    randomise(ours, 3)
    state = {
        name.removeprefix("visual.trunk.attn_pool."): tensor
        for name, tensor in fmt.theirs(ours.state_dict()).items()
        if name.startswith("visual.trunk.attn_pool.")
    }
    x = torch.randn(2, 9, 16)
    query = (state["latent"][0] @ state["q.weight"].t() + state["q.bias"]).reshape(1, 2, 8)
    keys, values = (x @ state["kv.weight"].t() + state["kv.bias"]).reshape(2, 9, 2, 2, 8).unbind(2)
    scores = torch.einsum("qhd,nthd->nhqt", query, keys) / 8**0.5
    pooled = torch.einsum("nhqt,nthd->nqhd", scores.softmax(-1), values).reshape(2, 16)
    pooled = pooled @ state["proj.weight"].t() + state["proj.bias"]
    normed = torch.nn.functional.layer_norm(pooled, (16,), state["norm.weight"], state["norm.bias"], 1e-6)
    inner = torch.nn.functional.gelu(normed @ state["mlp.fc1.weight"].t() + state["mlp.fc1.bias"], approximate="tanh")
    expected = pooled + inner @ state["mlp.fc2.weight"].t() + state["mlp.fc2.bias"]
    assert ours.vision.pool is not None
    torch.testing.assert_close(ours.vision.pool(x), expected, atol=1e-5, rtol=1e-4)


def test_the_format_of_a_whole_model_wins_over_that_of_its_tower() -> None:
    theirs = format_called("transformers CLIP").theirs(our_state(format_called("transformers CLIP")))
    assert recognise(theirs, "a test").name == "transformers CLIP"
    tower = {name: tensor for name, tensor in theirs.items() if name.startswith("vision_model.")}
    assert recognise(tower, "a test").name == "transformers CLIP vision"


def test_a_whole_blip2_gives_its_image_tower() -> None:
    fmt = format_called("transformers BLIP-2 vision (EVA-01)")
    state = our_state(fmt)
    others = {
        "query_tokens": torch.zeros(1),
        "qformer.layernorm.weight": torch.zeros(1),
        "language_model.x": torch.zeros(1),
    }
    assert fmt.ours({**fmt.theirs(state), **others}).keys() == state.keys()


def test_keys_without_a_bias_have_one_of_zeros_in_blip2() -> None:
    fmt = format_called("transformers BLIP-2 vision (EVA-01)")
    bias = fmt.theirs(our_state(fmt))["vision_model.encoder.layers.1.self_attn.qkv.bias"]
    assert [bool(piece.any()) for piece in bias.chunk(3)] == [True, False, True]


def test_an_unknown_state_dict_is_answered_with_what_the_nearest_lacks() -> None:
    with pytest.raises(
        WeightsError, match=r"x\.pt: its 2 tensors .* are in no known format; for .* it lacks "
    ) as error:
        recognise(["visual.conv1.weight", "visual.proj"], "x.pt")
    assert "Known are transformers BLIP-2 vision (EVA-01)," in str(error.value)
    with pytest.raises(WeightsError, match=r"its 1 tensors \(the first are layer1\.0\.conv\) are in no known format\n"):
        recognise(["layer1.0.conv"], "x.pt")


def test_an_unknown_tensor_and_a_missing_piece_are_named() -> None:
    fmt = format_called("EVA-02 tower")
    theirs = fmt.theirs(our_state(fmt))
    with pytest.raises(WeightsError, match=r"fc_norm\.weight: no counterpart"):
        fmt.ours({**theirs, "fc_norm.weight": torch.zeros(16)})
    del theirs["blocks.1.attn.k_proj.weight"]
    with pytest.raises(WeightsError, match=r"blocks\.1\.attention\.key\.weight is not; the two belong together"):
        fmt.ours(theirs)


def test_pieces_must_divide_the_whole() -> None:
    fmt = Format("x", (), NameMap({"a": "b"}), parted=(Parts("b", ("c", "d"), shares=(1, 2)),))
    assert [len(tensor) for tensor in fmt.ours({"a": torch.zeros(6)}).values()] == [2, 4]
    with pytest.raises(WeightsError, match="7 rows cannot be cut into pieces of 1:2"):
        fmt.ours({"a": torch.zeros(7)})


def test_buffers_of_numbered_blocks_are_ignored() -> None:
    names = NameMap({"blocks.{}.w": "layers.{}.w"}, ignored=("blocks.{}.rope",))
    assert list(names.ours({"blocks.3.w": 1, "blocks.3.rope.freqs_cos": 2})) == ["layers.3.w"]
    with pytest.raises(WeightsError, match=r"blocks\.x\.rope"):
        names.ours({"blocks.x.rope": 2})
