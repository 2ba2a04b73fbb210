"""The Q-Former as BLIP-2's first stage trains it: with its text side, and without a projection to a language model.

features [N, T, D_enc] ─► pool ─► LayerNorm ─► + position ─► queries look ─► [N, Q, W], with or without text beside them

Its parameters have the names that they have in `QFormerAdapter`, which therefore starts from them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from triptych.adapters.config import QFormerConfig
from triptych.adapters.pooled import PooledAdapter
from triptych.adapters.qformer import KeysValues, QFormer, QFormerStates, Seen


class QFormerReader(PooledAdapter):
    """Learned queries and a querying transformer that reads text.

    Args:
        config: Sizes and options; `text_tokens` are the places of its text side.
        encoder_dim: Channels of the features.
        grid: Rows and columns of the features of one picture.
        vocabulary: Number of ids of its text side.
    """

    def __init__(self, config: QFormerConfig, encoder_dim: int, grid: tuple[int, int], vocabulary: int) -> None:
        super().__init__(config, encoder_dim, grid, config.width, 1.0, positions="input")
        self.vocabulary = vocabulary
        self.queries = nn.Parameter(torch.randn(config.queries, config.width) * 0.02)  # equal ones would stay equal
        self.qformer = QFormer.from_config(config, self.input_dim, vocabulary)

    def look(self, features: Tensor) -> Seen:
        """What queries look at in features `[N, T, D_enc]`, for the readings below."""
        return self.qformer.look(self._prepared(features))

    def pictures(self, seen: Seen) -> QFormerStates:
        """Queries that see features and one another, and nothing of any text."""
        return self.qformer(self._queries(seen), seen=seen)  # type: ignore[no-any-return]

    def texts(self, ids: Tensor, shown: Tensor) -> Tensor:
        """States `[N, L, W]` of texts `[N, L]` that see nothing of any picture; `shown` is true where there is a token."""
        states: QFormerStates = self.qformer(ids=ids, text_mask=shown)
        return states.text

    def both(self, seen: Seen, ids: Tensor, shown: Tensor) -> Tensor:
        """Queries `[N, Q, W]` and texts that see each other; the states of the queries."""
        states: QFormerStates = self.qformer(self._queries(seen), ids=ids, text_mask=shown, seen=seen)
        return states.queries

    def writing(self, cache: list[KeysValues], ids: Tensor, shown: Tensor | None = None) -> Tensor:
        """States `[N, L, W]` of texts that see the queries and what stands in front of them.

        Args:
            cache: Of `pictures`: queries see no text, so that their keys and values serve any.
            ids: `[N, L]`.
            shown: True where there is a token; without it all are.
        """
        states: QFormerStates = self.qformer(ids=ids, text_mask=shown, causal=True, cache=cache)
        return states.text

    def _queries(self, seen: Seen) -> Tensor:
        count = next(len(layer[0]) for layer in seen if layer is not None)
        return self.queries.expand(count, -1, -1)
