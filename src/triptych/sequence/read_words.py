"""Texts for a Q-Former, which reads them as BERT does and writes them behind a token of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from triptych.sequence.pairs import Words

DECODE = "[DEC]"
"""What stands in the place of the begin token where a text is written (BLIP, Li et al., 2022)."""


class ReadWords(Words):
    """Texts as ids: a begin token, where the text is pooled, the words, an end token; too long a text is cut.

    BERT's tokenizers have a class token and a separator for them; others a begin and an end token.

    Args:
        tokenizer: A transformers tokenizer.
        max_tokens: Of a text, begin and end among them.

    Raises:
        ValueError: The tokenizer has no token to begin or to end with.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        super().__init__(tokenizer, max_tokens)
        first = (tokenizer.cls_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
        last = (tokenizer.sep_token_id, tokenizer.eos_token_id)
        begin, end = (next((i for i in ids if i is not None), None) for ids in (first, last))
        if begin is None or end is None:
            raise ValueError("it has no token to begin texts with, or none to end them")
        self._begin, self._end = int(begin), int(end)
        own = tokenizer.get_added_vocab().get(DECODE)
        self.decode = int(own) if own is not None else len(tokenizer)
        self._own = own is None

    @property
    def vocabulary(self) -> int:
        """How many ids there are, that of the decode token among them."""
        return len(self.tokenizer) + int(self._own)

    @property
    def begin(self) -> int:
        """The id of the begin token."""
        return self._begin

    @property
    def end(self) -> int:
        """The id of the end token."""
        return self._end

    def ids(self, text: str) -> list[int]:
        """The ids of a text."""
        found = [int(i) for i in self.tokenizer(text, add_special_tokens=False)["input_ids"]]
        return [self.begin, *found[: self.max_tokens - 2], self.end]

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids behind the begin token, up to the end token."""
        own = list(ids)
        own = own[: own.index(self.end)] if self.end in own else own
        return str(self.tokenizer.decode([i for i in own if i < len(self.tokenizer)])).strip()
