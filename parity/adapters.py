"""Q-Former, Perceiver resampler and XConnector held against transformers' implementations.

Each check builds a tiny reference with random weights everywhere (queries, norms and biases too), carries them over by
name, compares; then carries weights of ours to the reference, and compares again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from parity.check import Check
from parity.compare import both_ways
from triptych.adapters.config import ConnectorConfig, PerceiverConfig, QFormerConfig
from triptych.adapters.connector import Connector
from triptych.adapters.perceiver import Perceiver
from triptych.adapters.qformer import QFormer
from triptych.adapters.qformer_adapter import QFormerAdapter
from triptych.formats.blip2 import ADAPTERS, qformer_names
from triptych.formats.idefics import RESAMPLER as IDEFICS
from triptych.formats.kosmos2 import ADAPTER as KOSMOS2
from triptych.weights.names import NameMap

BLIP2 = NameMap(
    {
        **qformer_names("qformer."),
        "qformer.layernorm": "norm",
        "embeddings.word_embeddings": "words",
        "embeddings.position_embeddings": "places",
    }
)
"""`Blip2ForImageTextRetrieval`'s `qformer` and `embeddings` to a `QFormer` with its text side."""

NORMALISED_ADAPTER = NameMap({**ADAPTERS[False].patterns, "vision_norm": "norm"})
"""The same with the normalisation in front, which is `vision_model.post_layernorm` in transformers."""

INSTRUCTBLIP = NameMap(
    {
        **qformer_names("", "qformer."),
        "embeddings.layernorm": "qformer.norm",
        "embeddings.word_embeddings": "qformer.words",
        "embeddings.position_embeddings": "qformer.places",
    }
)
"""`InstructBlipQFormerModel` to the querying transformer of the adapter."""

GRID = (2, 3)
"""Of the features in these checks."""


def qformer() -> Iterator[Check]:
    """BLIP-2's Q-Former in its three ways of reading, and as the adapter of the second stage."""
    from transformers import Blip2QFormerConfig
    from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel, Blip2TextEmbeddings

    sizes = _tiny_qformer(Blip2QFormerConfig, use_qformer_text_input=True)
    theirs = nn.ModuleDict({"qformer": Blip2QFormerModel(sizes), "embeddings": Blip2TextEmbeddings(sizes)})
    ours = QFormer(
        width=24, layers=3, heads=3, intermediate=40, cross_every=2, feature_dim=16, vocabulary=50, text_positions=9
    )
    features, queries, ids, text_mask, feature_mask = _qformer_inputs()
    both_mask = torch.cat([torch.ones(3, 4, dtype=torch.long), text_mask.long()], dim=1)

    def outputs() -> Iterator[tuple[str, Tensor, Tensor]]:
        encoder = {"encoder_hidden_states": features, "encoder_attention_mask": feature_mask.long()}
        alone = theirs["qformer"](query_embeds=queries, **encoder).last_hidden_state
        yield "queries", ours(queries, features, feature_mask=feature_mask).queries, alone

        embedded = theirs["embeddings"](input_ids=ids, query_embeds=queries)
        # With text, transformers 5.23 gives the mask of features a row for each word too, and its attention refuses it.
        expected = theirs["qformer"](
            query_embeds=embedded, query_length=4, attention_mask=both_mask, encoder_hidden_states=features
        ).last_hidden_state
        states = ours(queries, features, ids, text_mask=text_mask)
        yield "queries with text", states.queries, expected[:, :4]
        yield "text with queries", states.text, expected[:, 4:]

        embedded = theirs["embeddings"](input_ids=ids)
        expected = theirs["qformer"](query_embeds=embedded, query_length=0, attention_mask=text_mask.long())
        yield "text", ours(ids=ids, text_mask=text_mask).text, expected.last_hidden_state

    yield from both_ways("Q-Former", "transformers.Blip2QFormerModel", ours, theirs, BLIP2, outputs)

    reference = _Blip2SecondStage(Blip2QFormerModel(_tiny_qformer(Blip2QFormerConfig, use_qformer_text_input=False)))
    config = QFormerConfig(
        queries=4, layers=3, width=24, heads=3, intermediate=40, output_scale=None, normalise=True, positions=False
    )
    adapter = QFormerAdapter(config, 16, GRID, 20, 1.0)

    def adapted() -> Iterator[tuple[str, Tensor, Tensor]]:
        yield "output", adapter(features), reference(features)

    name = "transformers.Blip2ForConditionalGeneration (Q-Former and projection)"
    yield from both_ways("Q-Former adapter", name, adapter, reference, NORMALISED_ADAPTER, adapted)


def instructblip_qformer() -> Iterator[Check]:
    """InstructBLIP's Q-Former, which reads the instruction: several lengths in a batch, and the adapter's own path."""
    from transformers import InstructBlipQFormerConfig
    from transformers.models.instructblip.modeling_instructblip import InstructBlipQFormerModel

    theirs = InstructBlipQFormerModel(_tiny_qformer(InstructBlipQFormerConfig))
    config = QFormerConfig(
        queries=4, layers=3, width=24, heads=3, intermediate=40, instruction=True, text_tokens=9, output_scale=None,
        normalise=False,
    )  # fmt: skip
    ours = QFormerAdapter(config, 16, GRID, 20, 1.0, lambda text: [int(word) for word in text.split()], 50)
    features, queries, ids, text_mask, feature_mask = _qformer_inputs()
    texts = [" ".join(str(int(i)) for i in row[mask]) for row, mask in zip(ids, text_mask, strict=True)]

    def expected(embeds: Tensor, mask: Tensor | None) -> Tensor:
        out: Tensor = theirs(
            input_ids=ids,
            attention_mask=torch.cat([torch.ones(3, 4, dtype=torch.long), text_mask.long()], dim=1),
            query_embeds=embeds,
            encoder_hidden_states=features,
            encoder_attention_mask=mask,
        ).last_hidden_state
        return out

    def outputs() -> Iterator[tuple[str, Tensor, Tensor]]:
        states = ours.qformer(queries, features, ids, text_mask=text_mask, feature_mask=feature_mask)
        reference = expected(queries, feature_mask.long())
        yield "queries with text", states.queries, reference[:, :4]
        yield "text with queries", states.text, reference[:, 4:]
        reference = expected(ours.queries.expand(3, -1, -1), None)[:, :4]
        yield "adapter's output", ours(features, texts), ours.projection(reference)

    own = ("queries", "projection")
    yield from both_ways(
        "Q-Former with instruction", "transformers.InstructBlipQFormerModel", ours, theirs, INSTRUCTBLIP, outputs, own
    )


def perceiver() -> Iterator[Check]:
    """Flamingo's Perceiver resampler, with and without Idefics' normalised queries and keys."""
    from transformers import IdeficsConfig
    from transformers.models.idefics.perceiver import IdeficsPerceiverResampler

    for normalised in (False, True):
        sizes = IdeficsConfig(
            vision_config={"embed_dim": 16}, perceiver_config={"qk_layer_norms_perceiver": normalised}
        )
        theirs = IdeficsPerceiverResampler(sizes, embed_dim=16, depth=2, n_heads=3, head_dim=8, n_latents=5)
        config = PerceiverConfig(
            latents=5, depth=2, heads=3, head_dim=8, activation="relu", qk_norm=normalised, project=False,
            output_scale=None,
        )  # fmt: skip
        ours = Perceiver(config, 16, GRID, 16, 1.0)
        features = torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(2))

        def outputs(
            ours: nn.Module = ours, theirs: nn.Module = theirs, features: Tensor = features
        ) -> Iterator[tuple[str, Tensor, Tensor]]:
            yield "output", ours(features), theirs(features)

        what = "Perceiver resampler" + (" with normalised queries and keys" if normalised else "")
        yield from both_ways(what, "transformers.IdeficsPerceiverResampler", ours, theirs, IDEFICS, outputs)


def connector() -> Iterator[Check]:
    """Kosmos-2's XConnector."""
    from transformers import Kosmos2Config
    from transformers.models.kosmos2.modeling_kosmos2 import Kosmos2ImageToTextProjection

    sizes = Kosmos2Config(
        text_config={"embed_dim": 24, "attention_heads": 3}, vision_config={"hidden_size": 16}, latent_query_num=5
    )
    sizes.text_config._attn_implementation = "eager"
    theirs = Kosmos2ImageToTextProjection(sizes)
    config = ConnectorConfig(latents=5, heads=3, normalise=False, output_scale=None)
    ours = Connector(config, 16, GRID, 24, 1.0)
    features = torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(2))

    def outputs() -> Iterator[tuple[str, Tensor, Tensor]]:
        yield "output", ours(features), theirs(features)[0]

    yield from both_ways("XConnector", "transformers.Kosmos2ImageToTextProjection", ours, theirs, KOSMOS2, outputs)


def _qformer_inputs() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Features, queries, ids, and masks of texts of three lengths and of hidden features."""
    generator = torch.Generator().manual_seed(2)
    features, queries = torch.randn(3, 6, 16, generator=generator), torch.randn(3, 4, 24, generator=generator)
    ids = torch.randint(1, 50, (3, 7), generator=generator)
    text_mask = torch.arange(7) < torch.tensor([7, 4, 1])[:, None]
    feature_mask = torch.arange(6) < torch.tensor([6, 5, 2])[:, None]
    return features, queries, ids, text_mask, feature_mask


def _tiny_qformer(kind: Callable[..., Any], **more: bool) -> Any:
    return kind(
        vocab_size=50, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=40,
        max_position_embeddings=9, cross_attention_frequency=2, encoder_hidden_size=16, **more,
    )  # fmt: skip


class _Blip2SecondStage(nn.Module):
    """The lines of `Blip2ForConditionalGeneration` between the vision tower and the language model."""

    def __init__(self, qformer: nn.Module) -> None:
        super().__init__()
        self.vision_norm = nn.LayerNorm(16)
        self.query_tokens = nn.Parameter(torch.zeros(4, 24))
        self.qformer = qformer
        self.language_projection = nn.Linear(24, 20)

    def forward(self, features: Tensor) -> Tensor:
        hidden_states = self.qformer(
            query_embeds=self.query_tokens.expand(len(features), -1, -1),
            encoder_hidden_states=self.vision_norm(features),
        ).last_hidden_state
        out: Tensor = self.language_projection(hidden_states)
        return out
