"""BLIP-2 held against transformers: the scores of its first stage, and the logits of its second.

Its captions and losses have no counterpart there; tests hold them against their formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from parity.check import Check
from parity.compare import compare
from parity.composed import composed, packed_logits
from parity.llama import language_model, randomise
from parity.tiny import systems
from triptych.adapters.config import QFormerConfig
from triptych.adapters.qformer_reader import QFormerReader
from triptych.conversation import Image
from triptych.encoders.build import build as build_encoder
from triptych.encoders.config import HuggingFaceConfig
from triptych.encoders.image_encoder import ImageEncoder
from triptych.families.qformer.model import Blip2
from triptych.formats.blip2 import ADAPTERS, qformer_names
from triptych.formats.format import prefixed
from triptych.model.composed import MultimodalModel
from triptych.sequence.plan import Layout, Span
from triptych.sequence.read_words import DECODE, ReadWords
from triptych.weights.names import NameMap

RETRIEVAL = "transformers.Blip2ForImageTextRetrieval"
GENERATION = "transformers.Blip2ForConditionalGeneration"

TOWER = {**systems.TOWER, "intermediate_size": 24, "num_hidden_layers": 2, "image_size": 16}
SIZES = {**systems.QFORMER, "cross_attention_frequency": 2, "vocab_size": 50, "max_position_embeddings": 9}
QFORMER = QFormerConfig(
    queries=4, layers=3, width=24, heads=3, intermediate=40, text_tokens=9, output_scale=None, positions=False
)
SPACE, WORDS, IMAGE = 12, 80, 4
"""Channels of the shared space; the language model's vocabulary, and the id at the positions of a picture."""


Checks = Callable[[str], Iterator[Check]]
"""Compares both, and says by whose weights."""

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
        **prefixed(ADAPTERS[False].patterns, "", "adapters.image."),
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
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    pixel_values = ours.encoder.normalise(pixels, torch.float32)  # type: ignore[operator]

    def checks(which: str) -> Iterator[Check]:
        expected = theirs(pixel_values=pixel_values, input_ids=ids, attention_mask=mask)
        features = ours.look(ours.features(pixels))
        images, _ = ours.read_pictures(features)
        texts = ours.read_texts(ids, lengths)
        cosines = ours.scores(images, texts)
        yield compare(f"BLIP-2: directions of queries, {which}", RETRIEVAL, images, expected.image_embeds)
        yield compare(f"BLIP-2: directions of texts, {which}", RETRIEVAL, texts, expected.text_embeds)
        yield compare(f"BLIP-2: contrast, {which}", RETRIEVAL, cosines, expected.logits_per_image)
        logits = theirs(
            pixel_values=pixel_values, input_ids=ids, attention_mask=mask, use_image_text_matching_head=True
        ).logits_per_image
        matches = ours.match(features, ids, lengths)
        yield compare(f"BLIP-2: matching, {which}", RETRIEVAL, matches, logits)

    own = {
        name for name, _ in ours.named_parameters() if name.startswith(("heads.transform", "heads.bias", "logit_sc"))
    }
    yield from _both_ways("BLIP-2's first stage", RETRIEVAL, theirs, ours, FIRST, own, checks)


@torch.no_grad()
def conditional_generation() -> Iterator[Check]:
    """Logits of two documents behind their pictures, in OPT, weights carried over in both directions."""
    theirs, ours = _their_second(), _our_second()
    pixels = _pictures()[:2]
    pixel_values = ours.encoder("image").normalise(pixels, torch.float32)  # type: ignore[operator]
    ids = [[IMAGE] * 4 + [7 + (11 * number + 3 * place) % 60 for place in range(6 + number)] for number in range(2)]

    def checks(which: str) -> Iterator[Check]:
        layouts = [
            Layout(tuple(row), tuple(row), (Span(0, 4, Image(bytes([number]))),), id=str(number))
            for number, row in enumerate(ids)
        ]
        packed = packed_logits(ours, layouts, [[one] for one in pixels])
        for number, (own, mine) in enumerate(zip(ids, packed, strict=True)):
            expected = theirs(input_ids=torch.tensor([own]), pixel_values=pixel_values[number : number + 1]).logits[0]
            yield compare(f"BLIP-2: logits of document {number + 1}, {which}", GENERATION, mine, expected)

    yield from _both_ways("BLIP-2", GENERATION, theirs, ours, SECOND, set(), checks)


def _both_ways(
    what: str, reference: str, theirs: Any, ours: Any, names: NameMap, own: set[str], checks: Checks
) -> Iterator[Check]:
    """Their parameters drawn anew and copied to ours, then ours to theirs; how many have no counterpart."""
    randomise(theirs, 1)
    yield _copied(f"{what}: parameters that are not carried over", reference, names.ours(_named(theirs)), ours, own)
    yield from checks("their weights")
    randomise(ours, 2)
    state = names.theirs({name: parameter for name, parameter in _named(ours).items() if name not in own})
    yield _copied(f"{what}: parameters that are not carried back", reference, state, theirs, set())
    yield from checks("our weights")


def _copied(what: str, reference: str, state: Mapping[str, Tensor], target: Any, own: set[str]) -> Check:
    parameters = _named(target)
    for name in parameters.keys() & state.keys():
        parameters[name].copy_(state[name].reshape(parameters[name].shape))
    return Check(what, reference, float(len((parameters.keys() - own) ^ state.keys())), bound=0.0)


def _named(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters())


def _config(**more: Any) -> Any:
    from transformers import Blip2Config

    text = {**systems.OPT, "vocab_size": WORDS, "max_position_embeddings": 64}
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


def _encoder() -> ImageEncoder:
    architecture = {"model_type": "blip_2_vision_model", **TOWER}
    return build_encoder(HuggingFaceConfig(architecture=architecture, layer=-1, drop_cls=False, precision="float32"))


def _our_first() -> Blip2:
    encoder = _encoder()
    words = ReadWords(_Vocabulary(), 9)
    return Blip2(encoder, QFormerReader(QFORMER, encoder.dim, encoder.grid, words.vocabulary), words, SPACE).eval()


def _our_second() -> MultimodalModel:
    from transformers import OPTForCausalLM

    encoder = _encoder()
    return composed(language_model(OPTForCausalLM(_config().text_config).eval()), encoder, QFORMER)


def _pictures() -> Tensor:
    return torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def _texts() -> Tensor:
    ids = torch.randint(5, 50, (3, 9), generator=torch.Generator().manual_seed(4))
    ids[:, 0] = 1
    return ids
