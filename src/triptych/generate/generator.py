"""Answering: plan, prefill, decode.

    Conversation ──► layout ──► [shared prefixes: read once] ──► [what differs, padded on the left] ──► token by token

Prompts that begin alike, such as several questions about one picture, share the keys and values of their
common beginning. Rows that are done leave the batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import Cache

from triptych.conversation import Conversation, Image, Medium
from triptych.errors import GenerationError
from triptych.fusion.memory import Memory, Spot
from triptych.generate.config import GenerationSettings, Reply
from triptych.generate.sampling import choose
from triptych.language.cache import Transcript, divisible, joined, new_cache, rows_of, select_rows
from triptych.model.composed import MultimodalModel
from triptych.sequence.pack import Placement
from triptych.sequence.plan import Layout, Refusal, Span
from triptych.sequence.splice import splice

PREFILL_TOKENS = {"cpu": 2048, "accelerator": 65536}
"""Tokens that are read in one pass: what keeps the device busy, without padding short prompts to the longest."""

KEPT_SHARE = 0.75
"""Rows that are done leave the batch once no more than this share still speaks: to leave costs a copy of the cache."""

REMEMBERED_MEDIA = 256
"""Adapted features of this many recent media are kept, so that a follow-up question does not encode again."""


_FeatureKey: TypeAlias = tuple[tuple[str, str], str]
"""Identity of a medium, and the text that its adapter reads beside it."""


@dataclass(frozen=True)
class _Prompt:
    """A planned prompt.

    Args:
        layout: Its tokens.
        shared: How many of them other prompts about the same media may share.
        reads_text: Whether what becomes of a medium depends on the text around it.
    """

    layout: Layout
    shared: int
    reads_text: bool = False

    @property
    def prefix(self) -> tuple[object, ...]:
        media = tuple((span.medium.identity, span.start) for span in self.layout.spans)
        texts = tuple(span.text for span in self.layout.spans) if self.reads_text else ()
        regions = tuple(at for at in self.layout.regions if at[0] < self.shared)
        return (self.layout.ids[: self.shared], media, texts, regions)


@dataclass(frozen=True)
class Answer:
    """One answer with what its tokens were predicted from, where that was asked for.

    Args:
        reply: What was said.
        tokens: Its tokens, the end of the turn among them.
        states: Hidden states `[K, D]` that predicted the K tokens that were watched for, in order.
    """

    reply: Reply
    tokens: tuple[int, ...]
    states: Tensor


class Generator:
    """Answers conversations with a composed model.

    Args:
        model: In evaluation mode; not changed.
    """

    def __init__(self, model: MultimodalModel) -> None:
        self.model = model
        self._features: OrderedDict[_FeatureKey, Tensor] = OrderedDict()

    @torch.inference_mode()
    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings | None = None) -> list[Reply]:
        """One reply per conversation, in order. Prompts of like length are answered together.

        Raises:
            GenerationError: A conversation does not fit or does not end with the user.
            DataError: A medium cannot be read.
        """
        return [answer.reply for answer in self.answers(conversations, settings)]

    @torch.inference_mode()
    def answers(
        self,
        conversations: Sequence[Conversation],
        settings: GenerationSettings | None = None,
        watched: int | None = None,
    ) -> list[Answer]:
        """As `respond`, with the hidden states that predicted each token of the id `watched`: `[SEG]`, which decoders read."""
        settings = settings or GenerationSettings()
        prompts = [self._plan(conversation, settings) for conversation in conversations]
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i].layout), prompts[i].layout.ids))
        answers: list[Answer | None] = [None] * len(prompts)
        # A language model that pads change is asked one prompt at a time.
        size = settings.batch_size if self.model.language.capabilities.pads else 1
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            tokens: list[list[int]] = [[] for _ in chosen]
            states: list[list[Tensor]] = [[] for _ in chosen]
            for step, hidden in self._decode([prompts[i] for i in chosen], settings, chosen):
                for place, (row, token) in enumerate(step):
                    tokens[row].append(token)
                    if token == watched:
                        states[row].append(hidden[place])
            for row, i in enumerate(chosen):
                kept = torch.stack(states[row]) if states[row] else torch.empty(0, self.model.language.dim)
                answers[i] = Answer(self._reply(tokens[row]), tuple(tokens[row]), kept)
        return [answer for answer in answers if answer is not None]

    @torch.inference_mode()
    def stream(self, conversation: Conversation, settings: GenerationSettings | None = None) -> Iterator[str]:
        """The reply piece by piece, as it is written.

        Raises:
            GenerationError: The conversation does not fit or does not end with the user.
        """
        settings = settings or GenerationSettings()
        tokens: list[int] = []
        said = ""
        for step, _ in self._decode([self._plan(conversation, settings)], settings, [0]):
            tokens += [token for _, token in step]
            text = self._reply(tokens).text
            # The last characters may be the first bytes of one that is not complete, and grow into something else.
            if not text.endswith("\ufffd") and len(text) > len(said):
                yield text[len(said) :]
                said = text
        if rest := self._reply(tokens).text[len(said) :]:
            yield rest

    def features(self, media: Sequence[Medium], texts: Sequence[str] | None = None) -> list[Tensor]:
        """Adapted features `[T', D]` of media, encoded once; with each one's text, for adapters that read it."""
        texts = texts if texts is not None else [""] * len(media)
        keys = [self._key(medium, text) for medium, text in zip(media, texts, strict=True)]
        new = {key: medium for key, medium in zip(keys, media, strict=True) if key not in self._features}
        for modality in dict.fromkeys(medium.modality for medium in new.values()):
            self._adapt(modality, {key: medium for key, medium in new.items() if medium.modality == modality})
        features = []
        for key in keys:
            self._features.move_to_end(key)
            features.append(self._features[key])
        while len(self._features) > max(REMEMBERED_MEDIA, len(keys)):
            self._features.popitem(last=False)
        return features

    def _key(self, medium: Medium, text: str) -> _FeatureKey:
        return medium.identity, text if self.model.adapter(medium.modality).reads_text else ""

    def _adapt(self, modality: str, new: Mapping[_FeatureKey, Medium]) -> None:
        """Encode and adapt media of one modality."""
        encoder, adapter = self.model.encoder(modality), self.model.adapter(modality)
        distinct = {identity: medium for (identity, _), medium in new.items()}  # several texts may speak of one
        with ThreadPoolExecutor() as pool:
            prepared = [one.to(self.model.device) for one in pool.map(encoder.prepare, distinct.values())]
        encoded = dict(zip(distinct, encoder.encode(prepared), strict=True))
        for identity, text in new:
            feature = encoded[identity][None]
            self._features[identity, text] = (adapter(feature, [text]) if adapter.reads_text else adapter(feature))[0]

    def _plan(self, conversation: Conversation, settings: GenerationSettings) -> _Prompt:
        if not conversation.messages or conversation.messages[-1].role not in ("user", "document"):
            raise GenerationError("a conversation to answer ends with a user's message, or is a document to continue")
        try:
            layout = self.model.plan(conversation, reply=True)
        except Refusal as refusal:
            raise GenerationError(
                f"{conversation.id or 'the conversation'} cannot be answered: {refusal.detail}"
            ) from None
        limit = self.model.language.max_positions
        if limit is not None and len(layout) + settings.max_new_tokens > limit:
            raise GenerationError(
                f"{len(layout)} tokens and an answer of {settings.max_new_tokens} do not fit into the language model's {limit}"
            )
        last = layout.spans[-1] if layout.spans else None
        return _Prompt(layout, last.start + last.length if last else 0, self.model.reads_text)

    def _decode(
        self, prompts: Sequence[_Prompt], settings: GenerationSettings, numbers: Sequence[int]
    ) -> Iterator[tuple[list[tuple[int, int]], Tensor]]:
        """Yields, step by step, `(row, token)` of the rows that are still speaking, and the states `[N, D]` behind them."""
        hidden, cache, mask, positions, memory = self._prefill(prompts)
        generators = [torch.Generator().manual_seed((settings.seed * 1_000_003 + n) % 2**63) for n in numbers]
        ends = self._ends
        rows = list(range(len(prompts)))
        speaking = set(rows)
        for _ in range(settings.max_new_tokens):
            token = choose(self.model.language.logits(hidden), settings, [generators[row] for row in rows])
            said = list(zip(rows, token.tolist(), strict=True))
            heard = [place for place, (row, _) in enumerate(said) if row in speaking]
            yield [said[place] for place in heard], hidden[heard]
            speaking -= {row for row, value in said if value in ends}
            if not speaking:
                return
            if len(speaking) <= KEPT_SHARE * len(rows):
                keep = torch.tensor([place for place, row in enumerate(rows) if row in speaking], device=token.device)
                select_rows(cache, keep)
                token, mask, positions = token[keep], mask[keep], positions[keep]
                memory = memory.select(keep) if memory is not None else None
                rows = [row for row in rows if row in speaking]
            positions = positions + 1
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            embedded = self.model.language.embed(token[:, None])
            hidden = self.model.read(
                embedded, positions[:, None], mask=mask, cache=cache, memory=memory, ids=token[:, None]
            )[:, -1]

    def _prefill(self, prompts: Sequence[_Prompt]) -> tuple[Tensor, Cache | Transcript, Tensor, Tensor, Memory | None]:
        """Last hidden state `[B, D]`, cache, mask `[B, L]`, last position `[B]` and memory of the prompts."""
        if spans := [span for prompt in prompts for span in prompt.layout.spans]:
            self._features_of(spans)  # encoded all at once, for `_embed` to find
        capabilities = self.model.language.capabilities
        cache = new_cache(self.model.language.model, capabilities)
        groups: dict[tuple[object, ...], int] = {}
        members = [groups.setdefault(prompt.prefix, len(groups)) for prompt in prompts]
        first = {group: prompts[members.index(group)] for group in groups.values()}
        mask = torch.zeros(len(prompts), 0, dtype=torch.long, device=self.model.device)
        done = [0] * len(prompts)
        # Padding between a shared beginning and what follows it would stretch the distances that windows go by.
        shares = capabilities.cache == "shared" and divisible(cache)
        if len(groups) < len(prompts) and any(prompt.shared for prompt in prompts) and shares:
            heads = [self._embed(first[group], 0, first[group].shared) for group in range(len(groups))]
            memory = self._remember([first[group] for group in range(len(groups))])
            ids = [first[group].layout.ids[: first[group].shared] for group in range(len(groups))]
            _, cache, head_mask, _ = self._read(heads, ids, [0] * len(heads), mask[: len(heads)], cache, memory)
            index = torch.tensor(members, device=self.model.device)
            select_rows(cache, index)
            memory = memory.select(index) if memory is not None else None
            mask, done = head_mask[index], [prompt.shared for prompt in prompts]
        else:
            memory = self._remember(prompts)
        tails = [self._embed(prompt, start, len(prompt.layout)) for prompt, start in zip(prompts, done, strict=True)]
        ids = [prompt.layout.ids[start:] for prompt, start in zip(prompts, done, strict=True)]
        return (*self._read(tails, ids, done, mask, cache, memory), memory)

    def _remember(self, prompts: Sequence[_Prompt]) -> Memory | None:
        """The media of prompts, one a row, where the fusion does not put them all into the sequence."""
        spans = [(row, span) for row, prompt in enumerate(prompts) for span in prompt.layout.spans]
        features = self._features_of([span for _, span in spans])
        spots = [Spot(row, 0, span.start, i) for i, (row, span) in enumerate(spans)]
        memory = self.model.fusion.remember(features, spots, len(prompts), self.model.language.embedding.weight)
        if memory is not None:
            self.model.fusion.prepare(memory)
        return memory

    def _features_of(self, spans: Sequence[Span]) -> list[Tensor]:
        return self.features([span.medium for span in spans], [span.text for span in spans]) if spans else []

    def _read(
        self,
        pieces: Sequence[Tensor],
        ids: Sequence[Sequence[int]],
        starts: Sequence[int],
        mask: Tensor,
        cache: Cache | Transcript,
        memory: Memory | None,
    ) -> tuple[Tensor, Cache | Transcript, Tensor, Tensor]:
        """Read pieces `[L_i, D]` that continue what the cache holds, neighbours of like length together."""
        if isinstance(cache, Transcript) or not divisible(cache):
            return self._read_together(pieces, ids, starts, mask, cache, memory)
        budget = PREFILL_TOKENS["cpu" if self.model.device.type == "cpu" else "accelerator"]
        parts = []
        for a, b in portions([len(piece) for piece in pieces], budget):
            part = memory.select(torch.arange(a, b, device=mask.device)) if memory is not None else None
            parts.append(self._read_together(pieces[a:b], ids[a:b], starts[a:b], mask[a:b], rows_of(cache, a, b), part))
        hidden, caches, masks, positions = zip(*parts, strict=True)
        longest = max(part.shape[1] for part in masks)
        mask = torch.cat([pad(part, (longest - part.shape[1], 0)) for part in masks])
        return torch.cat(hidden), joined(caches), mask, torch.cat(positions)

    def _read_together(
        self,
        pieces: Sequence[Tensor],
        ids: Sequence[Sequence[int]],
        starts: Sequence[int],
        mask: Tensor,
        cache: Cache | Transcript,
        memory: Memory | None,
    ) -> tuple[Tensor, Cache | Transcript, Tensor, Tensor]:
        """Read pieces in one pass, padded on the left to one length."""
        length = max(1, *map(len, pieces))
        embeddings = torch.stack([pad(piece, (0, 0, length - len(piece), 0)) for piece in pieces])
        places = torch.arange(length, device=embeddings.device)
        lengths = torch.tensor([len(piece) for piece in pieces], device=embeddings.device)
        start = torch.tensor(starts, device=embeddings.device)
        positions = (start[:, None] + places - (length - lengths)[:, None]).clamp(min=0)
        new = (places >= (length - lengths)[:, None]).long()
        mask = torch.cat([mask, new], dim=1)
        padded = torch.tensor([[0] * (length - len(row)) + list(row) for row in ids], device=embeddings.device)
        hidden = self.model.read(embeddings, positions, mask=mask, cache=cache, memory=memory, ids=padded)
        return hidden[:, -1], cache, mask, positions[:, -1]

    def _embed(self, prompt: _Prompt, start: int, end: int) -> Tensor:
        """Embeddings `[end - start, D]` of a part of a prompt that cuts no medium."""
        ids = torch.tensor(prompt.layout.ids[start:end], dtype=torch.long, device=self.model.device)
        embeddings = self.model.language.embed(ids)
        spans = [span for span in prompt.layout.spans if start <= span.start < end]
        embeddings = self._with_asked(prompt, start, end, embeddings)
        if not spans:
            return embeddings
        placements = [Placement(0, span.start - start, span.length, i) for i, span in enumerate(spans)]
        return splice(embeddings[None], placements, self.model.fusion.places(self._features_of(spans)))[0]

    def _with_asked(self, prompt: _Prompt, start: int, end: int, embeddings: Tensor) -> Tensor:
        """The same with the embeddings of regions in questions in their places."""
        panel, layout = self.model.regions, prompt.layout
        asked = [
            (place, region)
            for place, region in layout.regions
            if panel is not None and start <= place < end and layout.ids[place] == panel.question
        ]
        if panel is None or not asked:
            return embeddings
        media = [
            [span.medium for span in layout.spans if span.start <= place and isinstance(span.medium, Image)][-1]
            for place, _ in asked
        ]
        seen = list({medium.content_hash: medium for medium in media}.values())
        keys = [medium.content_hash for medium in seen]
        owner = [keys.index(medium.content_hash) for medium in media]
        embedded = panel.embed(self.model.look(seen), owner, [region for _, region in asked])
        places = [Placement(0, place - start, 1, i) for i, (place, _) in enumerate(asked)]
        return splice(embeddings[None], places, list(embedded[:, None]))[0]

    @property
    def _ends(self) -> set[int]:
        """The tokens that end a reply: of the turn, and of the text (of a document, above all)."""
        text = self.model.language.tokenizer.eos_token_id
        return {self.model.language.template.end[-1], *([] if text is None else [int(text)])}

    def _reply(self, tokens: Sequence[int]) -> Reply:
        """Tokens as text, without the end of the turn and white space around it."""
        end = self.model.language.template.end
        finished = bool(tokens) and tokens[-1] in self._ends
        spoken = list(tokens)
        if finished:
            spoken = spoken[: len(spoken) - len(end)] if tuple(spoken[-len(end) :]) == end else spoken[:-1]
        text = self.model.language.decode(spoken)
        return Reply(text.strip(), len(tokens), "stop" if finished else "length")


def portions(lengths: Sequence[int], budget: int) -> list[tuple[int, int]]:
    """Neighbours that together, padded to the longest of them, have at most `budget` tokens: start and end of each portion."""
    found: list[tuple[int, int]] = []
    start, longest = 0, 0
    for place, length in enumerate(lengths):
        longest = max(longest, length)
        if place > start and longest * (place - start + 1) > budget:
            found.append((start, place))
            start, longest = place, length
    return [*found, (start, len(lengths))]
