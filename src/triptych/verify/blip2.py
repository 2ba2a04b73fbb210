"""BLIP-2 held against transformers: the scores of its first stage, and the logits of its second.

Its captions and losses have no counterpart there; tests hold them against their formulas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from triptych.adapters.build import build as build_adapter
from triptych.adapters.config import QFormerConfig
from triptych.adapters.qformer_reader import QFormerReader
from triptych.conversation import Image
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import HuggingFaceConfig
from triptych.encoders.encoder import Encoder
from triptych.families.qformer.model import Blip2
from triptych.model.composed import MultimodalModel
from triptych.sequence.config import SequenceConfig
from triptych.sequence.pack import pack
from triptych.sequence.plan import Layout, Span
from triptych.sequence.read_words import DECODE, ReadWords
from triptych.verify.check import Check, largest_difference
from triptych.verify.llama import language_model, randomise
from triptych.weights.formats.systems import qformer_names
from triptych.weights.names import NameMap

RETRIEVAL = "transformers.Blip2ForImageTextRetrieval"
GENERATION = "transformers.Blip2ForConditionalGeneration"

TOWER = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
         "image_size": 16, "patch_size": 8}  # fmt: skip
SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40,
         "cross_attention_frequency": 2, "encoder_hidden_size": 16, "vocab_size": 50, "max_position_embeddings": 9}  # fmt: skip
QFORMER = QFormerConfig(
    queries=4, layers=3, width=24, heads=3, intermediate=40, text_tokens=9, output_scale=None, positions=False
)
SPACE, WORDS, IMAGE = 12, 80, 4
"""Channels of the shared space; the language model's vocabulary, and the id at the positions of a picture."""


FIRST = NameMap(
    {
        "vision_model.embeddings": "encoder.model.embeddings",
        "vision_model.encoder.layers.{}": "encoder.model.encoder.layers.{}",
        "vision_model.post_layernorm": "reader.norm",
        **qformer_names("qformer.", "reader.qformer."),
        "query_tokens": "reader.queries",
        "qformer.layernorm": "reader.qformer.norm",
        "embeddings.word_embeddings": "reader.qformer.words",
        "embeddings.position_embeddings": "reader.qformer.places",
        "vision_projection": "heads.vision",
        "text_projection": "heads.text",
        "itm_head": "heads.match",
    }
)
"""The parameters of `Blip2ForImageTextRetrieval` to those of our first stage."""

SECOND = NameMap(
    {
        "vision_model.embeddings": "encoders.image.model.embeddings",
        "vision_model.encoder.layers.{}": "encoders.image.model.encoder.layers.{}",
        "vision_model.post_layernorm": "adapters.image.norm",
        **qformer_names("qformer.", "adapters.image.qformer."),
        "query_tokens": "adapters.image.queries",
        "qformer.layernorm": "adapters.image.qformer.norm",
        "language_projection": "adapters.image.projection",
        "language_model": "language.model",
    }
)
"""The parameters of `Blip2ForConditionalGeneration` to those of a composed model."""


class _Vocabulary:
    """Of a tokenizer its size and its special tokens; the checks bring their own ids."""

    cls_token_id, sep_token_id, bos_token_id, eos_token_id = 1, 2, None, None

    def __len__(self) -> int:
        return int(SIZES["vocab_size"])

    def get_added_vocab(self) -> dict[str, int]:
        return {DECODE: 3}


@torch.no_grad()
def retrieval() -> Iterator[Check]:
    """Cosines and matching logits of pictures with texts of several lengths, weights carried over in both directions."""
    theirs, ours = _their_first(), _our_first()
    pixels, ids, lengths = _pictures(), _texts(), torch.tensor([9, 4, 6])
    shown = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    pixel_values = _normalised(ours.encoder, pixels)

    def compare(which: str) -> Iterator[Check]:
        found = theirs(pixel_values=pixel_values, input_ids=ids, attention_mask=shown)
        seen = ours.look(ours.features(pixels))
        images, _ = ours.read_pictures(seen)
        texts = ours.read_texts(ids, lengths)
        cosines = ours.scores(images, texts)
        yield Check(
            f"BLIP-2: directions of queries, {which}", RETRIEVAL, largest_difference(images, found.image_embeds)
        )
        yield Check(f"BLIP-2: directions of texts, {which}", RETRIEVAL, largest_difference(texts, found.text_embeds))
        yield Check(f"BLIP-2: contrast, {which}", RETRIEVAL, largest_difference(cosines, found.logits_per_image))
        judged = theirs(
            pixel_values=pixel_values, input_ids=ids, attention_mask=shown, use_image_text_matching_head=True
        ).logits_per_image
        matches = ours.match(seen, ids, lengths)
        yield Check(f"BLIP-2: matching, {which}", RETRIEVAL, largest_difference(matches, judged))

    own = {
        name for name, _ in ours.named_parameters() if name.startswith(("heads.transform", "heads.bias", "logit_sc"))
    }
    yield from _to_ours("BLIP-2's first stage", RETRIEVAL, theirs, ours, FIRST, own)
    yield from compare("their weights")
    yield from _to_theirs("BLIP-2's first stage", RETRIEVAL, theirs, ours, FIRST, own)
    yield from compare("our weights")


@torch.no_grad()
def conditional_generation() -> Iterator[Check]:
    """Logits of two documents behind their pictures, in OPT, weights carried over in both directions."""
    theirs, ours = _their_second(), _our_second()
    pixels = _pictures()[:2]
    pixel_values = _normalised(ours.encoder(), pixels)
    ids = [[IMAGE] * 4 + [7 + (11 * number + 3 * place) % 60 for place in range(6 + number)] for number in range(2)]

    def compare(which: str) -> Iterator[Check]:
        layouts = [
            Layout(tuple(row), tuple(row), (Span(0, 4, Image(bytes([number]))),), id=str(number))
            for number, row in enumerate(ids)
        ]
        batch = pack(layouts, 64)
        shown = {
            span.medium.content_hash: one for layout, one in zip(layouts, pixels, strict=True) for span in layout.spans
        }
        batch = replace(batch, pixels=tuple(shown[medium.content_hash] for medium in batch.media))
        row = ours.language.logits(ours(batch))[0]
        for number, own in enumerate(ids):
            expected = theirs(input_ids=torch.tensor([own]), pixel_values=pixel_values[number : number + 1]).logits[0]
            found = row[batch.documents[0] == [d.id for d in batch.conversations].index(str(number))]
            yield Check(
                f"BLIP-2: logits of document {number + 1}, {which}", GENERATION, largest_difference(found, expected)
            )

    yield from _to_ours("BLIP-2", GENERATION, theirs, ours, SECOND, set())
    yield from compare("their weights")
    yield from _to_theirs("BLIP-2", GENERATION, theirs, ours, SECOND, set())
    yield from compare("our weights")


def _to_ours(what: str, reference: str, theirs: Any, ours: Any, names: NameMap, own: set[str]) -> Iterator[Check]:
    """Their parameters drawn anew and put into ours; how many of ours have no counterpart."""
    randomise(theirs, 1)
    found = names.ours(dict(theirs.named_parameters()))
    places = dict(ours.named_parameters())
    for name, parameter in places.items():
        if name in found:
            parameter.copy_(found[name].reshape(parameter.shape))
    left = (places.keys() - found.keys() - own) | (found.keys() - places.keys())
    yield Check(f"{what}: parameters that are not carried over", reference, float(len(left)), bound=0.0)


def _to_theirs(what: str, reference: str, theirs: Any, ours: Any, names: NameMap, own: set[str]) -> Iterator[Check]:
    """Our parameters drawn anew and put into theirs; how many of theirs have no counterpart."""
    randomise(ours, 2)
    found = names.theirs({name: p for name, p in ours.named_parameters() if name not in own})
    places = dict(theirs.named_parameters())
    for name, parameter in places.items():
        if name in found:
            parameter.copy_(found[name].reshape(parameter.shape))
    left = places.keys() ^ found.keys()
    yield Check(f"{what}: parameters that are not carried back", reference, float(len(left)), bound=0.0)


def _config(**more: Any) -> Any:
    from transformers import Blip2Config

    text = {"model_type": "opt", "vocab_size": WORDS, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "word_embed_proj_dim": 32, "max_position_embeddings": 64}  # fmt: skip
    return Blip2Config(vision_config=TOWER, qformer_config=SIZES | more, text_config=text, num_query_tokens=4)


def _their_first() -> Any:
    from transformers import Blip2ForImageTextRetrieval

    config = _config(use_qformer_text_input=True)
    config.image_text_hidden_size = SPACE
    config.image_token_index = None
    return Blip2ForImageTextRetrieval(config).eval()


def _their_second() -> Any:
    from transformers import Blip2ForConditionalGeneration

    config = _config()
    config.image_token_index = IMAGE
    return Blip2ForConditionalGeneration(config).eval()


def _encoder() -> Encoder:
    architecture = {"model_type": "blip_2_vision_model", **TOWER}
    return build_encoder(HuggingFaceConfig(architecture=architecture, layer=-1, drop_cls=False, precision="float32"))


def _our_first() -> Blip2:
    encoder = _encoder()
    words = ReadWords(_Vocabulary(), 9)
    return Blip2(encoder, QFormerReader(QFORMER, encoder.dim, encoder.grid, words.vocabulary), words, SPACE).eval()


def _our_second() -> MultimodalModel:
    from transformers import OPTForCausalLM

    encoder = _encoder()
    language = language_model(OPTForCausalLM(_config().text_config).eval())
    adapter = build_adapter(QFORMER, encoder.dim, encoder.grid, language.dim, 1.0)
    return MultimodalModel(language, {"image": encoder}, {"image": adapter}, SequenceConfig(max_tokens=64)).eval()


def _pictures() -> Tensor:
    return torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def _texts() -> Tensor:
    ids = torch.randint(5, 50, (3, 9), generator=torch.Generator().manual_seed(4))
    ids[:, 0] = 1
    return ids


def _normalised(encoder: Any, pixels: Tensor) -> Tensor:
    found: Tensor = encoder.normalise(pixels, torch.float32)
    return found
