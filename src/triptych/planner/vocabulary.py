"""The size of a vocabulary, and a stand-in for a tokenizer that is not at hand."""

from __future__ import annotations

from typing import Any

from triptych.planner.tokens import length
from triptych.sequence.read_words import DECODE
from triptych.weights import SMOLLM2
from triptych.weights.architectures import SMOLLM2_REPOSITORY, shipped


def vocabulary(uri: str, tokenizer: Any | None) -> int | None:
    """How many ids a tokenizer has, as far as that is known without the network."""
    if tokenizer is not None:
        return len(tokenizer)
    return (shipped("language", SMOLLM2_REPOSITORY) or {}).get("vocab_size") if uri == SMOLLM2 else None


class Vocabulary:
    """Of a tokenizer nothing but its size; a word is a token."""

    eos_token_id = cls_token_id = sep_token_id = 0
    bos_token_id = None

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [0] * length(text, None)}

    def get_added_vocab(self) -> dict[str, int]:
        """With BLIP-2's token among those that are counted."""
        return {DECODE: 0}
