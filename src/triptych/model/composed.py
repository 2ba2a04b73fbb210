"""The composed model: encoders, adapters and a language model on hinges.

    pixels ──► encoder ──► features [T, D_enc] ──► adapter ──► [T', D] ─┐
    ids ─────► token embeddings [R, L, D] ──────────────────────────────┴► splice ──► language model ──► hidden [R, L, D]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from triptych.adapters.adapter import Adapter
from triptych.conversation import Conversation, Image
from triptych.encoders.encoder import Encoder
from triptych.language.backbone import LanguageModel
from triptych.sequence import Batch, Layout, plan, splice
from triptych.sequence.config import SequenceConfig


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
        """The named parameters of a part that a stage may train: `adapters`, `adapters.image`, `language`, `language.lora`, …

        Raises:
            KeyError: There is no such part.
        """
        if name == "language.lora":
            return ((f"language.{key}", parameter) for key, parameter in self.language.lora_parameters())
        module: nn.Module = self
        for step in name.split("."):
            module = getattr(module, step) if not isinstance(module, nn.ModuleDict) else module[step]
        prefix = f"{name}."
        parameters = ((prefix + key, parameter) for key, parameter in module.named_parameters())
        if name != "language":
            return parameters
        lora = {id(parameter) for _, parameter in self.language.lora_parameters()}
        return ((key, parameter) for key, parameter in parameters if id(parameter) not in lora)

    def media_tokens(self, medium: Image) -> int:
        """How many positions of the sequence a medium takes: the encoder's and the adapter's word, before tensors exist."""
        return self.adapters["image"].output_tokens(self.encoders["image"].tokens(medium))

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

    def adapt(self, batch: Batch) -> list[Tensor]:
        """The adapted features `[T', D]` of the batch's media, encoding those that have no features yet."""
        if not batch.media:
            return []
        adapter, encoder = self.adapters["image"], self.encoders["image"]
        features = list(batch.features) or [None] * len(batch.media)
        live = [i for i, feature in enumerate(features) if feature is None]
        if live:
            pixels = [p.to(self.device) for i in live if (p := batch.pixels[i]) is not None]
            for i, feature in zip(live, encoder.encode(pixels), strict=True):
                features[i] = feature
        return self._adapt([f.to(self.device) for f in features if f is not None], adapter)

    def _adapt(self, features: Sequence[Tensor], adapter: nn.Module) -> list[Tensor]:
        """Run the adapter once per distinct length; features of one encoder mostly share it."""
        dtype = next((p.dtype for p in adapter.parameters()), self.language.embedding.weight.dtype)
        adapted: list[Tensor | None] = [None] * len(features)
        for length in {len(feature) for feature in features}:
            same = [i for i, feature in enumerate(features) if len(feature) == length]
            for i, tokens in zip(same, adapter(torch.stack([features[i] for i in same]).to(dtype)), strict=True):
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
