"""Documents with several media anywhere: packed rows, any split of a batch, and each document alone agree."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fusion.architectures import FUSIONS, composed
from fusion.conversations import batch_of, documents
from tiny_world import World
from triptych.conversation import Conversation, Image, assistant, user
from triptych.families.composed.next_token import NextTokenObjective
from triptych.fusion.config import CrossAttendConfig
from triptych.model.composed import MultimodalModel
from triptych.sequence.pack import Batch

KINDS = [(fusion, "llama") for fusion in FUSIONS] + [
    ("cross_attend", "mistral"), ("prompt", "mistral"), ("prompt, early", "qwen2"), ("cross_attend", "gpt2")
]  # fmt: skip


def loss_and_gradients(model: MultimodalModel, batches: list[Batch]) -> tuple[float, dict[str, Tensor]]:
    """Summed over batches."""
    model.zero_grad()
    total = 0.0
    for batch in batches:
        loss = NextTokenObjective()(model, batch).total
        loss.backward()
        total += float(loss.detach())
    return total, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("fusion", "kind"), KINDS)
def test_packed_split_and_alone_have_the_same_loss_and_gradients(world: World, fusion: str, kind: str) -> None:
    model = composed(world, FUSIONS[fusion], kind)
    made = documents(world, 7)
    packed = batch_of(model, *made)
    assert len(packed.ids) < len(made)
    assert max(len(document.media) for document in packed.conversations) > 1
    expected, gradients = loss_and_gradients(model, [batch_of(model, one) for one in made])
    count = sum(document.row == 0 for document in packed.conversations)
    assert count > 1
    for batches in ([packed], packed.split(1), packed.split(2)):
        found, others = loss_and_gradients(model, batches)
        assert found == pytest.approx(expected, rel=1e-5)
        assert others.keys() == gradients.keys()
        scale = max(float(gradient.abs().max()) for gradient in gradients.values())
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                others[name], gradient, rtol=1e-3, atol=1e-5 * scale, msg=lambda m, n=name: f"{n}: {m}"
            )


def hidden(model: MultimodalModel, *shown: Image) -> tuple[Tensor, Batch]:
    first, second = shown
    batch = batch_of(
        model,
        Conversation((user("what is this", first, "red"), assistant("Red."), user(second, "And?"), assistant("Blue."))),
    )
    with torch.no_grad():
        return model(batch)[0], batch


def test_flamingo_sees_only_the_last_medium_before_it(world: World) -> None:
    """With a block in front of the first layer only, nothing of an earlier picture reaches later text by other ways."""
    model = composed(world, CrossAttendConfig(every=9, heads=2, head_dim=8, sees="last"))
    model.fusion.marker.data.zero_()
    for layer in model.language.model.model.layers:
        layer.self_attn.o_proj.weight.data.zero_()  # no other way from token to token
    one, batch = hidden(model, world.picture(0), world.picture(2))
    other, _ = hidden(model, world.picture(1), world.picture(2))
    third, _ = hidden(model, world.picture(0), world.picture(3))
    early, late = (place.start for place in batch.placements)
    assert torch.equal(one[:early], other[:early])
    assert not torch.allclose(one[early:late], other[early:late], atol=1e-3)
    assert torch.equal(one[late:], other[late:])
    assert torch.equal(one[:late], third[:late])
    assert not torch.allclose(one[late:], third[late:], atol=1e-3)


def test_all_media_before_a_token_can_be_seen(world: World) -> None:
    model = composed(world, CrossAttendConfig(every=9, heads=2, head_dim=8, sees="all"))
    for layer in model.language.model.model.layers:
        layer.self_attn.o_proj.weight.data.zero_()
    one, batch = hidden(model, world.picture(0), world.picture(2))
    other, _ = hidden(model, world.picture(1), world.picture(2))
    late = batch.placements[1].start
    assert not torch.allclose(one[late:], other[late:], atol=1e-3)


def test_text_before_any_medium_gets_exactly_nothing_from_one(world: World) -> None:
    for name in ("cross_attend", "cross_attend, all"):
        model = composed(world, FUSIONS[name])
        one, batch = hidden(model, world.picture(0), world.picture(2))
        other, _ = hidden(model, world.picture(1), world.picture(2))
        start = batch.placements[0].start
        assert torch.equal(one[:start], other[:start])


@pytest.mark.parametrize("fusion", ["prompt", "prompt, early"])
def test_prompts_are_the_documents_and_nobody_elses(world: World, fusion: str) -> None:
    model = composed(world, FUSIONS[fusion])

    def read(shown: int) -> tuple[Tensor, Batch]:
        first = Conversation((user("what", world.picture(shown)), assistant("Red.")))
        second = Conversation((user(world.picture(5), "this", world.picture(6)), assistant("It is blue.")))
        batch = batch_of(model, first, second)
        assert len(batch.ids) == 1
        with torch.no_grad():
            return model(batch)[0], batch

    (one, batch), (other, _) = read(0), read(1)
    changed = next(i for i, document in enumerate(batch.conversations) if len(document.media) == 1)
    mine = batch.documents[0] == changed
    assert torch.equal(one[~mine], other[~mine])
    assert not torch.allclose(one[mine], other[mine], atol=1e-3)


@pytest.mark.parametrize(("fusion", "length"), [("splice", 4), ("cross_attend", 1), ("prompt", 0)])
def test_the_fusion_says_how_many_positions_a_medium_takes(world: World, fusion: str, length: int) -> None:
    model = composed(world, FUSIONS[fusion])
    layout = model.plan(Conversation((user(world.picture(0), "What?", world.picture(1)), assistant("Red."))))
    assert [span.length for span in layout.spans] == [length, length]
    assert [span.text for span in layout.spans] == ["What?", "What?"]


def test_an_adapter_that_reads_text_runs_for_every_text(world: World) -> None:
    """The same picture under two questions: its features differ, and each stands where its question is."""
    from triptych.adapters.adapter import Adapter

    class Reader(Adapter):
        reads_text = True

        def __init__(self) -> None:
            super().__init__(16, (4, 4), 32, 1.0)
            self.weight = torch.nn.Parameter(torch.ones(1))

        def output_tokens(self, n: int) -> int:
            return 2

        def forward(self, features: Tensor, texts: list[str] | None = None) -> Tensor:
            assert texts is not None
            seen.append(sorted(texts))
            sizes = torch.tensor([float(len(text)) for text in texts])
            return self.weight * sizes[:, None, None].expand(len(features), 2, 32)

    seen: list[list[str]] = []
    for fusion in ("splice", "prompt", "cross_attend"):
        seen.clear()
        model = composed(world, FUSIONS[fusion])
        model.adapters["image"] = Reader()
        shown = world.picture(0)
        batch = batch_of(
            model,
            Conversation((user(shown, "What?"), assistant("Red."), user(shown, "And now?"), assistant("Red."))),
            Conversation((user(shown, "What?"), assistant("Red."))),
        )
        assert len(batch.media) == 1
        embeddings = model.embeddings(batch)
        assert seen == [["And now?", "What?"]]
        if fusion == "splice":
            for place in batch.placements:
                stretch = embeddings[place.row, place.start : place.start + place.length]
                assert torch.equal(stretch, torch.full_like(stretch, float(len(place.text))))
        assert torch.isfinite(model(batch)).all()
