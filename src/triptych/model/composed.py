"""The composed model: encoders, adapters and a language model on hinges.

pixels ──► encoder ──► features [T, D_enc] ──► adapter ──► [T', D] ─┐
ids ─────► token embeddings [R, L, D] ──────────────────────────────┴► splice ──► language model ──► hidden [R, L, D]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from triptych.adapters.adapter import Adapter
from triptych.conversation import Conversation, Image
from triptych.encoders.encoder import Encoder
from triptych.language.backbone import LanguageModel
from triptych.sequence.config import SequenceConfig
from triptych.sequence.pack import Batch
from triptych.sequence.plan import Layout, Refusal, plan
from triptych.sequence.splice import splice


class MultimodalModel(nn.Module):
    """A multimodal language model with the `splice` fusion.

    Args:
        language: The language model.
        encoders: By modality.
        adapters: By modality; the same ones.
        sequence: Limits on sequences.
    """

    def __init__(
        self,
        language: LanguageModel,
        encoders: dict[str, Encoder],
        adapters: dict[str, Adapter],
        sequence: SequenceConfig,
    ) -> None:
        super().__init__()
        self.language = language
        self.encoders = nn.ModuleDict(encoders)
        self.adapters = nn.ModuleDict(adapters)
        self.sequence = sequence

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.language.embedding.weight.device

    def part(self, name: str) -> Iterator[tuple[str, nn.Parameter]]:
        """The named parameters of a part that a stage may train.

        `adapters`, `encoders`, each also with `.image` behind it; `language` (all but LoRA), `language.layers` (without
        the token embeddings and the head), `language.embeddings` (only these), `language.lora`.

        Raises:
            KeyError: There is no such part.
        """
        panel, _, rest = name.partition(".")
        if panel == "language":
            return ((f"language.{key}", parameter) for key, parameter in self.language.part(rest))
        module: nn.Module = {"adapters": self.adapters, "encoders": self.encoders}[panel]
        if rest:
            module = module[rest]  # type: ignore[index]
        return ((f"{name}.{key}", parameter) for key, parameter in module.named_parameters())

    def encoder(self, modality: str = "image") -> Encoder:
        """The encoder of a modality; KeyError where the model has none."""
        encoder = self.encoders[modality]
        assert isinstance(encoder, Encoder)
        return encoder

    def adapter(self, modality: str = "image") -> Adapter:
        """The adapter of a modality; KeyError where the model has none."""
        adapter = self.adapters[modality]
        assert isinstance(adapter, Adapter)
        return adapter

    def media_tokens(self, medium: Image) -> int:
        """How many positions of the sequence a medium takes, before tensors exist: the encoder's and adapter's word.

        Raises:
            Refusal: The model takes no such media.
        """
        if "image" not in self.encoders:
            raise Refusal("no encoder", f"{medium}: the model takes no images; its recipe has no model.encoders.image")
        return self.adapter().output_tokens(self.encoder().tokens(medium))

    def plan(self, conversation: Conversation, reply: bool = False) -> Layout:
        """The layout of a conversation in this model.

        Raises:
            Refusal: It cannot be used.
        """
        return plan(
            conversation,
            self.language.template,
            self.media_tokens,
            self.sequence.max_tokens,
            self.sequence.overflow,
            self.language.placeholder,
            reply,
        )

    def adapt(self, batch: Batch, content: bool = False) -> list[Tensor]:
        """The adapted features `[T', D]` of the batch's media, encoding those that have no features yet.

        Args:
            batch: Whose media.
            content: Leave out positions that do not depend on the medium (markers).
        """
        if not batch.media:
            return []
        adapter, encoder = self.adapter(), self.encoder()
        features = list(batch.features) or [None] * len(batch.media)
        live = [i for i, feature in enumerate(features) if feature is None]
        if live:
            pixels = [p.to(self.device) for i in live if (p := batch.pixels[i]) is not None]
            for i, feature in zip(live, encoder.encode(pixels), strict=True):
                features[i] = feature
        known = [feature.to(self.device) for feature in features if feature is not None]
        return self._adapt(known, adapter.content if content else adapter)

    def _adapt(self, features: Sequence[Tensor], adapter: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Run the adapter once per distinct length; features of one encoder mostly share it."""
        adapted: list[Tensor | None] = [None] * len(features)
        for length in {len(feature) for feature in features}:
            same = [i for i, feature in enumerate(features) if len(feature) == length]
            for i, tokens in zip(same, adapter(torch.stack([features[i] for i in same])), strict=True):
                adapted[i] = tokens
        return [tokens for tokens in adapted if tokens is not None]

    def embeddings(self, batch: Batch) -> Tensor:
        """What the language model reads: `[R, L, D]`."""
        return splice(self.language.embed(batch.ids.to(self.device)), batch.placements, self.adapt(batch))

    def forward(self, batch: Batch) -> Tensor:
        """The last hidden states `[R, L, D]`."""
        hidden: Tensor = self.language(
            self.embeddings(batch), batch.positions.to(self.device), batch.documents.to(self.device)
        )
        return hidden
