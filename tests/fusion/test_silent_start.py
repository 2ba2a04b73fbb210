"""Inserted parts start silent: until something is trained, the language model computes what it computed before, bitwise."""

from __future__ import annotations

import pytest
import torch

from fusion.architectures import FUSIONS, KINDS, composed, language
from fusion.conversations import batch_of
from tiny_world import World, talk
from triptych.conversation import Conversation, assistant, user
from triptych.fusion.build import build
from triptych.fusion.config import CrossAttendConfig, PromptConfig, TuningConfig
from triptych.fusion.prompt import Prompt

INSERTED = [name for name in FUSIONS if name != "splice"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fusion", INSERTED)
def test_logits_are_those_of_the_language_model_alone(world: World, fusion: str, kind: str, dtype: torch.dtype) -> None:
    model = composed(world, FUSIONS[fusion], kind, dtype, shut=True)
    shown = Conversation((user(world.picture(0), "What colour is this?", world.picture(1)), assistant("It is red.")))
    batch = batch_of(model, shown, talk("Say hello.", "hello there"), row=160)
    assert len(batch.ids) == 1  # packed: a document with media beside one without
    embeddings = model.embeddings(batch)
    alone = language(kind, dtype)  # the same weights, nothing inserted
    for ours, theirs in zip(model.language.parameters(), alone.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with torch.no_grad():
        expected = alone.logits(alone(embeddings, batch.positions, batch.documents))
        found = model.language.logits(model(batch))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("fusion", INSERTED)
def test_they_speak_once_their_gates_are_open(world: World, fusion: str) -> None:
    shown = Conversation((user(world.picture(0), "What colour is this?"), assistant("It is red.")))
    other = Conversation((user(world.picture(1), "What colour is this?"), assistant("It is red.")))
    shut, model = composed(world, FUSIONS[fusion], shut=True), composed(world, FUSIONS[fusion])
    with torch.no_grad():
        silent, spoken = shut(batch_of(shut, shown)), model(batch_of(model, shown))
        assert not torch.allclose(silent, spoken, atol=1e-2)
        assert not torch.allclose(spoken, model(batch_of(model, other)), atol=1e-3)  # and of the picture


@pytest.mark.parametrize("fusion", INSERTED)
def test_gates_learn_from_the_first_step(world: World, fusion: str) -> None:
    model = composed(world, FUSIONS[fusion], shut=True)
    model.requires_grad_(False)
    model.fusion.requires_grad_(True)
    batch = batch_of(model, Conversation((user(world.picture(0), "What?"), assistant("It is red."))))
    model.language.logits(model(batch)).logsumexp(-1).sum().backward()
    gates = {name: p.grad for name, p in model.fusion.named_parameters() if "gate" in name and "projection" not in name}
    assert gates
    assert all(grad is not None and grad.abs().min() > 0 for grad in gates.values()), gates


@pytest.mark.parametrize("fusion", INSERTED)
def test_the_language_models_own_names_do_not_change(world: World, fusion: str) -> None:
    model, alone = composed(world, FUSIONS[fusion]), language()
    assert list(model.language.state_dict()) == list(alone.state_dict())
    assert [name for name, _ in model.language.named_modules()] == [name for name, _ in alone.named_modules()]


def test_random_gates_are_the_ablation_and_do_not_start_silent(world: World) -> None:
    model = composed(world, PromptConfig(length=3, layers=2, start="random"), shut=True)
    assert isinstance(model.fusion, Prompt)
    assert float(model.fusion.gates.detach().abs().min()) > 0


def test_prompts_start_as_published_or_at_the_scale_of_token_embeddings() -> None:
    published = build(PromptConfig(length=50, layers=3), language(), 0.2)
    scaled = build(PromptConfig(length=50, layers=3, std="embeddings"), language(), 0.2)
    assert isinstance(published, Prompt)
    assert isinstance(scaled, Prompt)
    assert float(published.prompts.weight.detach().std()) == pytest.approx(1.0, abs=0.05)
    assert float(scaled.prompts.weight.detach().std()) == pytest.approx(0.2, abs=0.01)


def test_every_linear_layer_of_the_decoder_is_tuned() -> None:
    """y = s · (W x + b)"""
    middle = language()
    fusion = build(PromptConfig(length=1, layers=1, tuning=TuningConfig()), middle, 0.2)
    assert isinstance(fusion, Prompt)
    assert fusion.tuning is not None
    assert [sorted(group) for group in fusion.tuning] == 3 * [  # type: ignore[arg-type]
        sorted([f"self_attn_{name}_proj" for name in "qkvo"] + [f"mlp_{name}_proj" for name in ("gate", "up", "down")])
    ]
    linear = middle.model.model.layers[0].mlp.down_proj
    tuned = fusion.tuning[0]["mlp_down_proj"]  # type: ignore[index]
    x = torch.randn(2, linear.in_features)
    with torch.no_grad():
        plain = linear(x)
        tuned.bias.fill_(0.5)
        tuned.scale.fill_(3.0)
        torch.testing.assert_close(linear(x), 3 * (plain + 0.5))


def test_the_marker_of_a_medium_starts_like_a_token_embedding() -> None:
    fusion = build(CrossAttendConfig(heads=2, head_dim=8), language(), 0.2)
    assert float(fusion.marker.detach().std()) == pytest.approx(0.2, rel=0.4)  # type: ignore[arg-type]


def test_a_text_alone_passes_the_same_blocks(world: World) -> None:
    """A text-only document computes the same beside a document with media as without it: what stands beside it is not its own."""
    for name in INSERTED:
        model = composed(world, FUSIONS[name])
        text, shown = talk("Say hello.", "hello there"), Conversation((user(world.picture(0), "?"), assistant("red")))
        together, alone = batch_of(model, text, shown, row=160), batch_of(model, text)
        mine = next(i for i, d in enumerate(together.conversations) if not d.media)
        with torch.no_grad():
            found = model(together)[together.documents == mine]
            expected = model(alone)[0]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
