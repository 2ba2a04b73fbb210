"""CLIP and SigLIP, and any dual encoder whose file in `triptych.formats` has a `DUAL`. Both directions."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.functional import pad as pad_rows

from triptych.encoders import checkpoints
from triptych.encoders.architecture import TextArchitecture, VisionArchitecture
from triptych.encoders.published import Published
from triptych.encoders.text_transformer import TextTower
from triptych.encoders.towers import preprocessing
from triptych.encoders.vit import PIXELS, VisionTower
from triptych.errors import RecipeError
from triptych.families.dual.model import DualEncoder
from triptych.formats import DUALS, Dual
from triptych.formats.clip import LEGACY_END
from triptych.interchange.errors import ImportFailed, expect
from triptych.interchange.finished import Finished
from triptych.interchange.format import Contents, Format, System
from triptych.interchange.language import between, filled
from triptych.interchange.parts import fit_of
from triptych.interchange.towers import image_processor
from triptych.sequence.pairs import Words
from triptych.weights.pretrained import load_tokenizer

END = "<|end_of_this_text|>"
"""The second end token of a vocabulary whose own has an id that transformers' CLIP misreads."""

TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model")
"""Files that a tokenizer is made of."""


def misfits(dual: Dual, run: Finished) -> Iterator[str]:
    """What of a run transformers' class of a family cannot hold."""
    model = run.model
    if not isinstance(model, DualEncoder):
        yield f"model.kind: {run.recipe.model.kind!r} has no two towers; a run of `kind: dual` has"
        return
    vision, text = model.vision, model.text
    for side, tower, kind in (("vision", vision, VisionTower), ("text", text, TextTower)):
        if not isinstance(tower, kind):
            yield f"model.{side}: no tower of our own, which transformers' {dual.name} has"
    if not (isinstance(vision, VisionTower) and isinstance(text, TextTower)):
        return
    shape, pooling = vision.architecture, dual.vision.fixed["pooling"]
    if shape.pooling != pooling:
        yield f"model.vision.architecture.pooling: `{shape.pooling}`; {dual.name}'s is `{pooling}`"
        return
    if model.preparation.size != shape.image_size:
        yield (
            f"model.vision.resolution: {model.preparation.size} is not the tower's own {shape.image_size}, at which "
            "transformers reads pictures"
        )
    biased = "logit_bias" in dual.tensors.names.patterns
    if model.logit_bias is not None and not biased:
        yield f"model.bias: {dual.name}'s logits have none"
    if model.logit_bias is None and biased:
        yield f"model.bias: {dual.name}'s logits have one; set it, for example to 0, and train with it"
    try:
        dual.config(towers_of(model), end_of(model))
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


def write(dual: Dual, run: Finished, folder: Path, shard: str) -> str:
    """Write model, image processor and tokenizer."""
    import transformers

    model = run.model
    assert isinstance(model, DualEncoder)
    name, processor = f"{dual.prefix}Model", f"{dual.prefix}Processor"
    towers = towers_of(model)
    config = dual.config(towers, end_of(model))
    padded = towers.text.pooling == "last"
    moved = _moved(model)
    tokenizer = tokenizer_of(model.words, towers.text.pad if padded else None, END if moved else None)
    for kind in ("bos_token_id", "pad_token_id", *(["eos_token_id"] if padded else [])):
        token = getattr(tokenizer, kind)
        setattr(config.text_config, kind, None if token is None else int(token))
    state = {
        key: tensor
        for key, tensor in model.state_dict().items()
        if key.startswith(("vision.", "text.", "logit_")) and key != "vision.mask_token"
    }
    if moved:
        state["text.words.weight"] = with_end(state["text.words.weight"], model.words.end, end_of(model))
    theirs = dual.tensors.theirs(state)
    filled(lambda: getattr(transformers, name)(config), theirs, run.dtype).save_pretrained(folder, max_shard_size=shard)
    mean, std = PIXELS[towers.vision.pixels]
    getattr(transformers, processor)(
        image_processor=image_processor(model.preparation, mean, std), tokenizer=tokenizer
    ).save_pretrained(folder)
    padding = ', padding="max_length"' if padded else ", padding=True"
    return (
        f"from transformers import {name}, {processor}\n\n"
        f"model = {name}.from_pretrained(FOLDER)\n"
        f"processor = {processor}.from_pretrained(FOLDER)\n"
        f'# inputs = processor(text=[…], images=[…], return_tensors="pt"{padding}, truncation=True)'
    )


def with_end(table: Tensor, end: int, moved: int) -> Tensor:
    """The embeddings of words `[V, D]` with that of the end token at a second id, too."""
    longer = pad_rows(table, (0, 0, 0, max(0, moved + 1 - len(table)))).clone()
    longer[moved] = table[end]
    return longer


def tokenizer_of(words: Words, pad: int | None, end: str | None = None) -> Any:
    """A copy of the tokenizer that begins, ends, cuts and pads texts as the text tower learnt them.

    Args:
        words: Texts → ids here.
        pad: The id that fills up; None takes the end token, which is read only where it first stands.
        end: A new end token, which gets the first id behind all others.
    """
    tokenizer = copy.deepcopy(words.tokenizer)
    if end is not None:
        tokenizer.add_special_tokens({"eos_token": end})
    last = tokenizer.eos_token
    tokenizer.pad_token = last if pad is None else tokenizer.convert_ids_to_tokens(pad)
    return between(tokenizer, tokenizer.bos_token, last, words.max_tokens)


def read(folder: Path, work: Path, precision: str | None) -> Contents:  # noqa: ARG001 - towers are kept in float32
    """Both towers, by the names of a dual encoder; the tokenizer goes into `parts/words`.

    Raises:
        ImportFailed: It is half a model, or its tokenizer has no end token.
        WeightsError: Its towers have something that ours do not have.
    """
    if not any((folder / name).is_file() for name in TOKENIZERS):  # transformers would make up an empty one
        raise ImportFailed(f"no tokenizer there; expected one of {', '.join(TOKENIZERS)}")
    tokenizer = load_tokenizer(folder, str(folder))
    loaded = checkpoints.read(f"file:{folder}")
    vision, text = loaded.shapes.vision, loaded.shapes.text
    whole = isinstance(vision, VisionArchitecture) and isinstance(text, TextArchitecture)
    expect(whole and "logit_scale" in loaded.state, "it has no two towers with a temperature")
    assert vision is not None and text is not None
    expect(tokenizer.eos_token_id is not None, "a tokenizer without an end token")
    expect(
        text.vocabulary is None or len(tokenizer) <= text.vocabulary,
        f"a tokenizer of {len(tokenizer)} ids for a text tower of {text.vocabulary}",
    )
    tokenizer.save_pretrained(work / "parts" / "words")
    model = {
        "kind": "dual",
        "vision": {
            "kind": "vit",
            "architecture": vision.model_dump(mode="json"),
            "fit": fit_of(preprocessing(folder, ImportFailed)),
        },
        "text": {"kind": "transformer", "architecture": text.model_dump(mode="json")},
        "embed_dim": loaded.shapes.embed_dim,
        "tokenizer": "file:parts/words",
        "precision": "float32",
        **({"bias": float(loaded.state["logit_bias"])} if "logit_bias" in loaded.state else {}),
    }
    return Contents(model, {name: tensor.float() for name, tensor in loaded.state.items()})


FORMATS = tuple(
    Format(
        dual.model_type,
        f"{dual.prefix}Model with its processor",
        partial(misfits, dual),
        partial(write, dual),
        task="zero-shot-image-classification",
    )
    for dual in DUALS.values()
)
SYSTEMS = tuple(System(dual.model_type, dual.name, read) for dual in DUALS.values())
