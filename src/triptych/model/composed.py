"""The composed model: encoders, adapters and a language model.

media ───► encoder ──► features [T, D_enc] ──► adapter ──► [T', D] ──► fusion ─┐ (places in the sequence, or a memory)
ids ─────► token embeddings [R, L, D] ────────────────────────────────────────┴► language model ──► hidden [R, L, D]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Tensor, nn

from triptych.adapters.adapter import Adapter
from triptych.conversation import Conversation, Image, Medium
from triptych.encoders.encoder import Encoder
from triptych.encoders.image_encoder import ImageEncoder
from triptych.fusion.fusion import Fusion, Splice
from triptych.fusion.memory import Memory, Spot
from triptych.language.backbone import LanguageModel
from triptych.language.cache import Transcript
from triptych.language.regions import Unfolder
from triptych.language.template import ChatTemplate
from triptych.model.pointing import RegionPanel
from triptych.sequence.config import SequenceConfig
from triptych.sequence.pack import Batch, Input, Placement
from triptych.sequence.plan import Layout, Refusal, plan, unroll
from triptych.sequence.splice import splice

if TYPE_CHECKING:
    from transformers import Cache


REGIONS = "regions"
"""The slot of the encoder that decoders of regions look at, where it is another one than that of images."""


class MultimodalModel(nn.Module):
    """A multimodal language model.

    Its encoders have *slots*: one for each modality, of the same name, and `regions`. Cached features and the inputs of a batch
    are kept by slot.

    Args:
        language: The language model.
        encoders: By modality.
        adapters: By modality; the same ones.
        sequence: Limits on sequences.
        fusion: How media meet the language model, already put into it; `splice` by default.
        regions: Decoders of regions, where the model points by embedding.
        region_encoder: Whose features they look at, where it is not that of images.
    """

    def __init__(
        self,
        language: LanguageModel,
        encoders: dict[str, Encoder],
        adapters: dict[str, Adapter],
        sequence: SequenceConfig,
        fusion: Fusion | None = None,
        regions: RegionPanel | None = None,
        region_encoder: ImageEncoder | None = None,
    ) -> None:
        super().__init__()
        self.language = language
        self.encoders = nn.ModuleDict(encoders)
        self.adapters = nn.ModuleDict(adapters)
        self.fusion = fusion if fusion is not None else Splice()
        self.sequence = sequence
        self.regions = regions
        self.region_encoder = region_encoder

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.language.embedding.weight.device

    @property
    def part_names(self) -> list[str]:
        """The parts that together are the whole model; LoRA is named apart."""
        names = [f"encoders.{m}" for m in self.encoders] + [f"adapters.{m}" for m in self.adapters] + ["language"]
        if self.language.regions is not None:
            names.append("language.regions")
        if next(self.language.part("lora"), None) is not None:
            names.append("language.lora")
        names += [f"fusion.{part}" for part in self.fusion.parts]
        names += ["regions.encoder"] if self.region_encoder is not None else []
        return names + (["regions"] if self.regions is not None else [])

    @property
    def saved(self) -> tuple[str, ...]:
        """Beginnings of the names of parameters that a run holds even where no stage trained them."""
        return ("adapters.", "fusion.", "language.regions.", "regions.")

    def after_step(self) -> dict[str, float]:
        """Decoders of regions learn how hidden states are spread."""
        if self.regions is not None and self.regions.training:
            self.regions.decoder.after_step()
        return {}

    def describe(self, batch: Batch) -> list[dict[str, Any]]:
        """The conversations of a batch in words."""
        return [
            {
                "id": document.id,
                "text": self.language.tokenizer.decode(batch.ids[batch.documents == number].tolist()),
                "media": [str(batch.media[medium]) for medium in document.media],
            }
            for number, document in enumerate(batch.conversations)
        ]

    def part(self, name: str) -> Iterator[tuple[str, nn.Parameter]]:
        """The named parameters of a part that a stage may train.

        `adapters`, `encoders`, each also with `.image` (and the name of a module inside) behind it; `fusion`, also with one of its own parts behind it;
        `language` (all but LoRA), and `language.` with one of its parts behind it (`LanguageModel.part`).

        Raises:
            KeyError: There is no such part.
        """
        panel, _, rest = name.partition(".")
        if panel == "regions":
            owner = {"": self.regions, "encoder": self.region_encoder}.get(rest)
            if owner is None:
                raise KeyError(name)
            beginning = "region_encoder" if rest else "regions"
            return ((f"{beginning}.{key}", parameter) for key, parameter in owner.named_parameters())
        if panel == "language":
            return ((f"language.{key}", parameter) for key, parameter in self.language.part(rest))
        if panel == "fusion":
            if rest and rest not in self.fusion.parts:
                raise KeyError(rest)
            return (
                (f"fusion.{key}", parameter)
                for key, parameter in self.fusion.named_parameters()
                if not rest or key.split(".")[0] == rest
            )
        module: nn.Module = {"adapters": self.adapters, "encoders": self.encoders}[panel]
        if rest:
            try:
                module = module.get_submodule(rest)
            except AttributeError:
                raise KeyError(name) from None
        return ((f"{name}.{key}", parameter) for key, parameter in module.named_parameters())

    def slots(self) -> dict[str, Encoder]:
        """See `Trainable.slots`."""
        slots = {modality: self.encoder(modality) for modality in self.encoders}
        return slots if self.region_encoder is None else {**slots, REGIONS: self.region_encoder}

    @overload
    def encoder(self, modality: Literal["image"]) -> ImageEncoder: ...

    @overload
    def encoder(self, modality: str) -> Encoder: ...

    def encoder(self, modality: str) -> Encoder:
        """The encoder of a modality; KeyError where the model has none."""
        encoder = self.encoders[modality]
        assert isinstance(encoder, Encoder)
        return encoder

    def adapter(self, modality: str) -> Adapter:
        """The adapter of a modality; KeyError where the model has none."""
        adapter = self.adapters[modality]
        assert isinstance(adapter, Adapter)
        return adapter

    def media_tokens(self, medium: Medium) -> int:
        """How many positions of the sequence a medium takes, before tensors exist: the encoder's, adapter's, fusion's word.

        Raises:
            Refusal: The model takes no such media, or none of this length.
        """
        modality = medium.modality
        if modality not in self.encoders:
            taken = f"media of the modality {modality!r}" if modality != Image.modality else "images"
            raise Refusal(
                "no encoder", f"{medium}: the model takes no {taken}; its recipe has no model.encoders.{modality}"
            )
        encoder = self.encoder(modality)
        if not isinstance(medium, encoder.medium):
            raise Refusal(
                "no encoder",
                f"{medium}: is a {type(medium).__name__}, and model.encoders.{modality} takes a {encoder.medium.__name__}",
            )
        return self.fusion.positions(adapted_tokens(medium, encoder, self.adapter(modality)))

    def plan(self, conversation: Conversation, reply: bool = False, template: ChatTemplate | None = None) -> Layout:
        """The layout of a conversation in this model, written by its own template or another.

        Raises:
            Refusal: It cannot be used.
        """
        template = template or self.language.template
        if isinstance(template.regions, Unfolder):
            conversation = template.regions.unfold(conversation)
        return plan(
            conversation,
            template,
            self.media_tokens,
            self.sequence.max_tokens,
            self.sequence.overflow,
            self.language.placeholder,
            reply,
        )

    def unroll(self, conversation: Conversation, template: ChatTemplate | None = None) -> list[Conversation]:
        """Conversations that together teach all answers of one, each with what its prompt has in front (`sequence.plan.unroll`).

        Raises:
            Refusal: It cannot be used.
        """
        template = template or self.language.template
        if isinstance(template.regions, Unfolder):
            conversation = template.regions.unfold(conversation)
        return unroll(conversation, template)

    @property
    def reads_text(self) -> bool:
        """Whether what becomes of media of some modality depends on the text around them."""
        return any(self.adapter(modality).reads_text for modality in self.adapters)

    def adapt(self, batch: Batch, content: bool = False) -> list[Tensor]:
        """The adapted features `[T', D]` of the batch's media, encoding those that have no features yet.

        Args:
            batch: Whose media.
            content: Leave out positions that do not depend on the medium (markers), and text around it.
        """
        return self._adapted(batch, content)[0]

    def _adapted(self, batch: Batch, content: bool = False) -> tuple[list[Tensor], list[Placement]]:
        """Adapted features, and the batch's placements with the numbers of these features for `medium`.

        An adapter that reads text runs once for every medium with every text that it is told about it.
        """
        placements = list(batch.placements)
        number: dict[tuple[int, str], int]  # medium and text → which of the adapted features
        if content or not self.reads_text:
            number = {(medium, ""): medium for medium in range(len(batch.media))}
        else:
            number = {}
            for i, place in enumerate(placements):
                reads = self.adapter(batch.media[place.medium].modality).reads_text
                key = (place.medium, place.text if reads else "")
                placements[i] = replace(place, medium=number.setdefault(key, len(number)))
        adapted: list[Tensor] = [torch.empty(0)] * len(number)
        for modality in self.adapters:
            own = [(medium, text) for medium, text in number if batch.media[medium].modality == modality]
            if not own:
                continue
            media = list(dict.fromkeys(medium for medium, _ in own))
            encoded = dict(zip(media, self._encoded(batch, modality, media), strict=True))
            adapter = self.adapter(modality)
            tokens = self.run_adapter(
                adapter.content if content else adapter,
                [encoded[medium] for medium, _ in own],
                [text for _, text in own] if adapter.reads_text and not content else None,
            )
            for key, features in zip(own, tokens, strict=True):
                adapted[number[key]] = features
        return adapted, placements

    def _encoded(self, batch: Batch, slot: str, media: Sequence[int]) -> list[Tensor]:
        """The features `[T, D_enc]` of some of the batch's media, by the encoder of a slot.

        Raises:
            ValueError: The batch holds no input for one of them.
        """
        held = batch.inputs.get(slot, ())
        inputs = [each for i in media if i < len(held) and (each := held[i]) is not None]
        if len(inputs) < len(media):
            raise ValueError(f"the batch holds inputs of {len(inputs)} of {len(media)} media for the slot {slot!r}")
        return _features(self.slots()[slot], inputs, self.device)

    def run_adapter(
        self, adapter: Callable[..., Tensor], features: Sequence[Tensor], texts: Sequence[str] | None = None
    ) -> list[Tensor]:
        """Adapted features `[T', D]` of features `[T, D_enc]`: one run per distinct length, which most media share."""
        adapted: list[Tensor | None] = [None] * len(features)
        for length in {len(feature) for feature in features}:
            same = [i for i, feature in enumerate(features) if len(feature) == length]
            stacked = torch.stack([features[i] for i in same])
            made = adapter(stacked) if texts is None else adapter(stacked, [texts[i] for i in same])
            for i, tokens in zip(same, made, strict=True):
                adapted[i] = tokens
        return [tokens for tokens in adapted if tokens is not None]

    def embeddings(self, batch: Batch) -> Tensor:
        """What the language model reads: `[R, L, D]`."""
        return self._fused(batch)[0]

    def _fused(self, batch: Batch) -> tuple[Tensor, Memory | None]:
        """What the language model reads, and what its layers know of the media beside it."""
        tokens = self._with_asked(batch, self.language.embed(batch.ids.to(self.device)))
        adapted, placements = self._adapted(batch)
        spots = [Spot(place.row, place.document, place.position, place.medium) for place in placements]
        memory = self.fusion.remember(adapted, spots, len(tokens), tokens)
        return splice(tokens, placements, self.fusion.places(adapted)), memory

    def _with_asked(self, batch: Batch, tokens: Tensor) -> Tensor:
        """Token embeddings with those of regions in questions in their places."""
        if self.regions is None or self.regions.question is None:
            return tokens
        asked = [at for at in batch.regions if int(batch.ids[at.row, at.position]) == self.regions.question]
        if not asked:
            return tokens
        media = list(dict.fromkeys(at.medium for at in asked))
        picture, owner = self.region_picture(batch, media), [media.index(at.medium) for at in asked]
        embedded = self.regions.embed(picture, owner, [at.region for at in asked])
        places = [Placement(at.row, at.position, 1, i) for i, at in enumerate(asked)]
        return splice(tokens, places, list(embedded[:, None]))

    def region_picture(self, batch: Batch, media: Sequence[int]) -> Tensor:
        """What decoders of regions see of some of the batch's media, `[N, C, h, w]`.

        Raises:
            ValueError: The model has no such decoders.
        """
        if self.regions is None:
            raise ValueError("the model does not point by embedding: its recipe has no `model.regions` of that kind")
        slot = REGIONS if self.region_encoder is not None else Image.modality
        return self.regions.decoder.picture(torch.stack(self._encoded(batch, slot, media)))

    def look(self, media: Sequence[Image]) -> Tensor:
        """The same of any media, encoded now.

        Raises:
            DataError: A medium cannot be read.
        """
        if self.regions is None:
            raise ValueError("the model does not point by embedding: its recipe has no `model.regions` of that kind")
        encoder = self.region_encoder if self.region_encoder is not None else self.encoder("image")
        pixels = [encoder.prepare(medium).to(self.device) for medium in media]
        return self.regions.decoder.picture(torch.stack(encoder.encode(pixels)))

    def read(
        self,
        embeddings_RLD: Tensor,
        positions_RL: Tensor,
        documents: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | Transcript | None = None,
        memory: Memory | None = None,
        ids: Tensor | None = None,
    ) -> Tensor:
        """The last hidden states `[R, L, D]` of the language model; see `LanguageModel.forward`.

        Args:
            embeddings_RLD: What is read.
            positions_RL: Place of each token in its document.
            documents: `[R, L]`, for packed rows; without it every row is one document, number 0 of its memory.
            mask: `[R, past + L]`, for prompts that are padded on the left.
            cache: What was read before; from a transcript it is read again.
            memory: The media of these rows, where the fusion does not put them all into the sequence.
            ids: `[R, L]` of what is read, for language models whose layers read them beside embeddings.
        """
        length = embeddings_RLD.shape[1]
        if isinstance(cache, Transcript):
            embeddings_RLD, positions_RL, ids = cache.extend(embeddings_RLD, positions_RL, ids)
            cache = None
        with self.fusion.reading(memory, positions_RL, documents):
            hidden: Tensor = self.language(embeddings_RLD, positions_RL, documents, mask, cache, ids)
        return hidden[:, -length:]

    def forward(self, batch: Batch) -> Tensor:
        """The last hidden states `[R, L, D]`.

        Raises:
            ValueError: Rows hold several documents, and the language model cannot keep them apart.
        """
        if self.language.capabilities.packing == "rows" and batch.packed:
            raise ValueError(f"{type(self.language.model).__name__} cannot keep packed documents apart")
        embeddings, memory = self._fused(batch)
        positions, documents = batch.positions.to(self.device), batch.documents.to(self.device)
        return self.read(embeddings, positions, documents, memory=memory, ids=batch.ids.to(self.device))


def adapted_tokens(medium: Medium, encoder: Encoder, adapter: Adapter) -> int:
    """How many positions an adapter makes of what an encoder makes of a medium.

    Raises:
        Refusal: The adapter cannot take so many.
    """
    try:
        return adapter.output_tokens(encoder.tokens(medium))
    except ValueError as error:
        raise Refusal("adapter", f"{medium}: model.adapters.{medium.modality}: {error}") from None


def _features(encoder: Encoder, inputs: Sequence[Input], device: torch.device) -> list[Tensor]:
    """Features `[T, D_enc]` of media: those that are there, and those that have to be encoded now."""
    live = [each.prepared.to(device) for each in inputs if each.features is None and each.prepared is not None]
    encoded = iter(encoder.encode(live) if live else ())
    return [next(encoded) if each.features is None else each.features.to(device) for each in inputs]
