"""BLIP-2's first stage: a Q-Former between a frozen encoder and texts (Li et al., 2023).

pixels ─► frozen encoder ─► features ─► look ─┬─► queries alone ─► directions [N, Q, E] ─┐
                                              │       └ keys, values ─► text, causal ────┼─► words      (ITG)
ids ──────────────────────────────────────────┼─► text alone ─► direction [N, E] ────────┴─► cosines    (ITC)
                                              └─► queries and text together ───────────────► match?     (ITM)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from triptych.adapters.qformer import EPSILON, KeysValues, Seen
from triptych.adapters.qformer_reader import QFormerReader
from triptych.conversation import Image
from triptych.encoders.image_encoder import ImageEncoder
from triptych.sequence.pairs import COUNTED, PairBatch
from triptych.sequence.read_words import ReadWords


class Heads(nn.Module):
    """What is read off the Q-Former's states.

    Args:
        width: Channels W of the states.
        embed_dim: Channels E of the space that pictures and texts share.
        vocabulary: Number of ids.
    """

    def __init__(self, width: int, embed_dim: int, vocabulary: int) -> None:
        super().__init__()
        self.vision = nn.Linear(width, embed_dim)
        self.text = nn.Linear(width, embed_dim)
        self.match = nn.Linear(width, 2)
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width, eps=EPSILON))
        self.bias = nn.Parameter(torch.zeros(vocabulary))


class Blip2(nn.Module):
    """A frozen encoder, a Q-Former that reads text, and heads for contrast, matching and captions.

    Args:
        encoder: The encoder.
        reader: The Q-Former.
        words: Texts → ids.
        embed_dim: Channels E of the space that pictures and texts share.
        scale: What cosines are multiplied with at the start.
        largest_scale: It is held below this.
    """

    saved = ("reader.", "heads.", "logit_scale")

    def __init__(
        self,
        encoder: ImageEncoder,
        reader: QFormerReader,
        words: ReadWords,
        embed_dim: int,
        *,
        scale: float = 1 / 0.07,
        largest_scale: float = 100.0,
    ) -> None:
        super().__init__()
        self.encoder, self.reader, self.words = encoder.requires_grad_(False).eval(), reader, words
        self.embed_dim = embed_dim
        self.heads = Heads(reader.qformer.width, embed_dim, reader.vocabulary)
        self.largest = math.log(largest_scale)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.logit_scale.device

    def slots(self) -> Mapping[str, ImageEncoder]:
        """See `Trainable.slots`."""
        return {"image": self.encoder}

    @property
    def part_names(self) -> list[str]:
        """The parts that together are the whole model."""
        return ["encoder", "qformer", "heads", "logit_scale"]

    def part(self, name: str) -> Iterator[tuple[str, nn.Parameter]]:
        """The named parameters of a part that a stage may train.

        `encoder`, `qformer` (with its queries and what stands in front of it), `heads`, `logit_scale`.

        Raises:
            KeyError: There is no such part.
        """
        beginning = {
            "encoder": "encoder.",
            "qformer": "reader.",
            "heads": "heads.",
            "logit_scale": "logit_scale",
        }[name]
        return ((key, parameter) for key, parameter in self.named_parameters() if key.startswith(beginning))

    @torch.no_grad()
    def after_step(self) -> dict[str, float]:
        """Hold the scale below its bound."""
        self.logit_scale.clamp_(max=self.largest)
        return {"logit_scale": float(self.logit_scale)}

    def describe(self, batch: PairBatch) -> list[dict[str, Any]]:
        """The pairs of a batch in words."""
        found = zip(batch.conversations, batch.texts, batch.media, strict=True)
        return [{"id": document.id, "text": text, "media": [str(medium)]} for document, text, medium in found]

    def prepare(self, picture: Image) -> Tensor:
        """Pixels `[3, H, W]` of a picture, uint8. Raises DataError where it cannot be read."""
        return self.encoder.prepare(picture)

    def features(self, pictures: Tensor) -> Tensor:
        """Features `[N, T, D]` of pixels `[N, 3, H, W]`; features stay what they are."""
        pictures = pictures.to(self.device)
        return pictures if pictures.dim() == 3 else torch.stack(self.encoder.encode(list(pictures)))

    def look(self, features: Tensor) -> Seen:
        """What queries look at in features `[N, T, D]`."""
        return self.reader.look(features)

    def read_pictures(self, seen: Seen) -> tuple[Tensor, list[KeysValues]]:
        """Directions `[N, Q, E]`, float32, of the queries, which see no text; and what texts see of them."""
        states = self.reader.pictures(seen)
        return functional.normalize(full(self.heads.vision(states.queries)), dim=-1), states.cache

    def read_texts(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Directions `[N, E]`, float32, of texts, which see no picture; read at their begin token."""
        ids, shown = ids.to(self.device), shown_of(ids, lengths).to(self.device)
        first = self.reader.texts(ids, shown)[:, 0]
        return functional.normalize(full(self.heads.text(first)), dim=-1)

    def match(self, seen: Seen, ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits `[N, 2]`, float32, of no match and match; queries and text see each other."""
        ids, shown = ids.to(self.device), shown_of(ids, lengths).to(self.device)
        logits: Tensor = self.heads.match(self.reader.both(seen, ids, shown))
        return full(logits).mean(dim=1)

    def write(self, cache: list[KeysValues], ids: Tensor) -> Tensor:
        """States `[N, L, W]` that know the next word, of texts `[N, L]` whose begin token is exchanged here.

        Padding may stand behind a text: nothing in front of it sees it.
        """
        ids = torch.cat([torch.full_like(ids[:, :1], self.words.decode), ids[:, 1:]], dim=1).to(self.device)
        return self.reader.writing(cache, ids)

    def word_logits(self, states: Tensor) -> Tensor:
        """Logits `[…, V]`, float32, of states `[…, W]`."""
        return full(functional.linear(*self.of_words(states)))

    def of_words(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the logits of words are made of: states `[…, W]` transformed, the table of the word embeddings, a bias."""
        words = self.reader.qformer.words
        assert words is not None
        return self.heads.transform(states), words.weight, self.heads.bias

    def scores(self, images: Tensor, texts: Tensor) -> Tensor:
        """Cosines `[N, M]` of pictures `[N, Q, E]` with texts `[M, E]`: that of the query that comes nearest."""
        return torch.einsum("nqe,me->nmq", images, texts).amax(dim=-1)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str], batch_size: int = 256) -> Tensor:
        """Directions `[N, E]` of texts, on the CPU."""
        found = [
            self.read_texts(*self.words(texts[i : i + batch_size])).cpu() for i in range(0, len(texts), batch_size)
        ]
        return torch.cat(found) if found else torch.empty(0, self.embed_dim)

    def counted(self, texts: Sequence[str]) -> Tensor:
        """How often each text has each token `[N, COUNTED]`, those with the same remainder by `COUNTED` together."""
        ids, lengths = self.words(texts)
        return torch.zeros(len(ids), COUNTED).scatter_add_(1, ids % COUNTED, shown_of(ids, lengths).float())

    @torch.inference_mode()
    def caption(self, features: Tensor) -> list[str]:
        """What is written about features `[N, T, D]`, the likeliest token at each place."""
        _, cache = self.read_pictures(self.look(features))
        ids = torch.full((len(features), 1), self.words.begin, device=self.device)
        ended = torch.zeros(len(features), dtype=torch.bool, device=self.device)
        while ids.shape[1] < self.words.max_tokens and not ended.all():
            likeliest = self.word_logits(self.write(cache, ids)[:, -1]).argmax(dim=-1)
            ended |= likeliest == self.words.end
            ids = torch.cat([ids, likeliest.masked_fill(ended, self.words.end)[:, None]], dim=1)
        return [self.words.text(row) for row in ids[:, 1:].tolist()]


def shown_of(ids: Tensor, lengths: Tensor) -> Tensor:
    """`[N, L]`, true where there is a token and not padding."""
    return torch.arange(ids.shape[1], device=lengths.device) < lengths[:, None]


def full(x: Tensor) -> Tensor:
    """In float32 where it has less."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
