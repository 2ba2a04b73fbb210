"""Whether both sides compute the same, in float32 on a tiny model: only then their times can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def losses(folder: str, count: int) -> dict[str, Any]:
    """The same conversations through both: tokens, labels, and the loss per supervised token, in batches of different cuts."""
    import torch

    from benchmarks import llava
    from benchmarks.setting import conversations
    from triptych.families.composed.next_token import NextTokenObjective
    from triptych.model.build import build
    from triptych.recipe import load_recipe
    from triptych.training.data import stage_data
    from triptych.training.parts import freeze
    from triptych.training.progress import Console

    recipe = load_recipe(
        Path(folder) / "recipe.yaml", ["stages.0.steps=1", "stages.0.epochs=null", f"stages.0.batch_size={count}"]
    )
    model = build(recipe)
    freeze(model, recipe.stages[1])
    batch = stage_data(model, recipe, recipe.stages[0], Console(quiet=True)).reader(0).batch
    assert batch is not None
    other, tokenizer = llava.load(Path(folder) / "llava", "float32")
    drawn = conversations(recipe, count)
    examples = [llava.example(one, tokenizer, other.config.image_seq_length) for one in drawn]
    for conversation, example in zip(drawn, examples, strict=True):
        layout = model.plan(conversation)
        image = torch.tensor([any(s.start <= i < s.start + s.length for s in layout.spans) for i in range(len(layout))])
        same = (torch.tensor(layout.ids) == example["input_ids"]) | image
        if not same.all() or list(layout.labels) != example["labels"].tolist():
            raise AssertionError(f"{conversation.id}: the sides do not plan the same tokens and labels")
    llava.freeze(other, "instruct", "float32")
    inputs = llava.Collator(tokenizer.pad_token_id, torch.float32)(examples)
    theirs = other(**inputs).loss
    theirs.backward()
    rows = {}
    for micro in (1, 4, len(batch.ids)):
        model.zero_grad()
        total = torch.zeros(())
        for part in batch.split(micro):
            loss = NextTokenObjective()(model, part).total / batch.supervised
            loss.backward()
            total += loss.detach()
        rows[micro] = total.item(), _gradients(model, other)
    differences = {str(micro): abs(loss - theirs.item()) / theirs.item() for micro, (loss, _) in rows.items()}
    gradients = {str(micro): gradient for micro, (_, gradient) in rows.items()}
    worst = max(*differences.values(), *gradients.values())
    if worst > 1e-4 or max(differences.values()) > 1e-5:
        raise AssertionError(f"the sides do not compute the same: loss {differences}, gradient {gradients}")
    return {
        "conversations": count,
        "loss": theirs.item(),
        "loss_difference_by_micro_rows": differences,
        "gradient_difference_by_micro_rows": gradients,
        "largest_difference": max(differences.values()),
    }


def _gradients(model: Any, other: Any) -> float:
    """Largest difference of the gradients, relative to the largest gradient of that weight."""
    import torch

    linear = [layer for layer in model.adapters["image"].projection if isinstance(layer, torch.nn.Linear)]
    projector = other.model.multi_modal_projector
    pairs = [(linear[0].weight, projector.linear_1.weight), (linear[1].weight, projector.linear_2.weight)]
    mine = dict(model.language.model.get_decoder().named_parameters())
    pairs += [(mine[name], weight) for name, weight in other.model.language_model.named_parameters()]
    return max(((a.grad - b.grad).abs().max() / b.grad.abs().max()).item() for a, b in pairs)
