"""A dual encoder as transformers' `CLIPModel` or `SiglipModel`: what the two formats share."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from torch.nn.functional import pad as pad_rows

from triptych.encoders.published import Published
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.transformers_shapes import LEGACY_END, config_of
from triptych.encoders.vit import PIXELS, VisionTower
from triptych.errors import RecipeError
from triptych.export.finished import Finished
from triptych.export.pictures import image_processor
from triptych.families.dual.model import DualEncoder
from triptych.language.assembled import filled
from triptych.sequence.pairs import Words
from triptych.weights.formats import format_called

Family = Literal["CLIP", "SigLIP"]

END = "<|end_of_this_text|>"
"""The second end token of a vocabulary whose own has an id that transformers' CLIP misreads."""


def misfits_of(run: Finished, family: Family) -> Iterator[str]:
    """What of a run transformers' class of a family cannot hold."""
    model = run.model
    if not isinstance(model, DualEncoder):
        yield f"model.kind: {run.recipe.model.kind!r} has no two towers; a run of `kind: dual` has"
        return
    for side, tower, kind in (("vision", model.vision, VisionTower), ("text", model.text, TextTower)):
        if not isinstance(tower, kind):
            yield f"model.{side}: no tower of our own, which transformers' {family} has"
    if not (isinstance(model.vision, VisionTower) and isinstance(model.text, TextTower)):
        return
    shape = model.vision.architecture
    if (shape.pooling == "attention") != (family == "SigLIP"):
        theirs = "class" if family == "CLIP" else "attention"
        yield f"model.vision.architecture.pooling: `{shape.pooling}`; {family}'s is `{theirs}`"
        return
    if model.preparation.size != shape.image_size:
        yield (
            f"model.vision.resolution: {model.preparation.size} is not the tower's own {shape.image_size}, at which "
            "transformers reads pictures"
        )
    if family == "CLIP" and model.logit_bias is not None:
        yield "model.bias: CLIP's logits have none"
    if family == "SigLIP" and model.logit_bias is None:
        yield "model.bias: SigLIP's logits have one; set it, for example to 0, and train with it"
    try:
        config_of(towers_of(model), end_of(model))
    except RecipeError as error:
        yield f"model: {error}"


def end_of(model: DualEncoder) -> int:
    """The id of the end token as transformers' CLIP is to find it.

    CLIP's text tower takes an `eos_token_id` of 2 for a mistake of old configurations, and pools at the highest id instead. A
    vocabulary whose end token has this id gets a second one behind all others, with the same embedding.
    """
    words = model.words
    assert isinstance(model.text, TextTower)
    return len(words.tokenizer) if _moved(model) else words.end


def _moved(model: DualEncoder) -> bool:
    assert isinstance(model.text, TextTower)
    return model.text.architecture.pooling == "end" and model.words.end == LEGACY_END


def towers_of(model: DualEncoder) -> Published:
    """The shapes of both towers, with the vocabulary's size and without what is for training alone."""
    vision, text = model.vision, model.text
    assert isinstance(vision, VisionTower)
    assert isinstance(text, TextTower)
    return Published(
        vision.architecture.model_copy(update={"mask_token": False}),
        text.architecture.model_copy(update={"vocabulary": max(text.words.num_embeddings, end_of(model) + 1)}),
        text.embed_dim,
    )


def write_dual(run: Finished, folder: Path, shard: str, family: Family) -> str:
    """Write model, image processor and tokenizer."""
    import transformers

    model = run.model
    assert isinstance(model, DualEncoder)
    name, processor = ("CLIPModel", "CLIPProcessor") if family == "CLIP" else ("SiglipModel", "SiglipProcessor")
    towers = towers_of(model)
    config: Any = config_of(towers, end_of(model))
    moved = family == "CLIP" and _moved(model)
    tokenizer = tokenizer_of(model.words, towers.text.pad if family == "SigLIP" else None, END if moved else None)
    for kind in ("bos_token_id", "pad_token_id", *(["eos_token_id"] if family == "SigLIP" else [])):  # CLIP pools by it
        found = getattr(tokenizer, kind)
        setattr(config.text_config, kind, None if found is None else int(found))
    state = {
        key: tensor
        for key, tensor in model.state_dict().items()
        if key.startswith(("vision.", "text.", "logit_")) and key != "vision.mask_token"
    }
    if moved:
        state["text.words.weight"] = with_end(state["text.words.weight"], model.words.end, end_of(model))
    theirs = format_called(f"transformers {family}").theirs(state)
    filled(lambda: getattr(transformers, name)(config), theirs, run.dtype).save_pretrained(folder, max_shard_size=shard)
    mean, std = PIXELS[towers.vision.pixels]
    getattr(transformers, processor)(
        image_processor=image_processor(model.preparation, mean, std), tokenizer=tokenizer
    ).save_pretrained(folder)
    padding = ', padding="max_length"' if family == "SigLIP" else ", padding=True"
    return (
        f"from transformers import {name}, {processor}\n\n"
        f"model = {name}.from_pretrained(FOLDER)\n"
        f"processor = {processor}.from_pretrained(FOLDER)\n"
        f'# inputs = processor(text=[…], images=[…], return_tensors="pt"{padding}, truncation=True)'
    )


def with_end(table: Tensor, end: int, moved: int) -> Tensor:
    """The embeddings of words `[V, D]` with that of the end token at a second id, too."""
    out = pad_rows(table, (0, 0, 0, max(0, moved + 1 - len(table))))
    if out is table:
        out = table.clone()
    out[moved] = table[end]
    return out


def tokenizer_of(words: Words, pad: int | None, end: str | None = None) -> Any:
    """A copy of the tokenizer that begins, ends, cuts and pads texts as the text tower learnt them.

    Args:
        words: Texts → ids here.
        pad: The id that fills up; None takes the end token, which is read only where it first stands.
        end: A new end token, which gets the first id behind all others.
    """
    from tokenizers.processors import TemplateProcessing

    tokenizer = copy.deepcopy(words.tokenizer)
    if end is not None:
        tokenizer.add_special_tokens({"eos_token": end})
    begin, last = tokenizer.bos_token, tokenizer.eos_token
    special = {token: int(tokenizer.convert_tokens_to_ids(token)) for token in (begin, last) if token is not None}
    single = " ".join(filter(None, (begin, "$A", last)))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=list(special.items()))
    tokenizer.model_max_length = words.max_tokens
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    tokenizer.pad_token = last if pad is None else tokenizer.convert_ids_to_tokens(pad)
    tokenizer.chat_template = None
    return tokenizer
