"""Tiny tokenizers, made on the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Qwen's and SmolLM2's form: a default system prompt where there is none."""

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>"]
SPECIAL += ["<|end_header_id|>", "<|eot_id|>", "<s>", "</s>", "[INST]", "[/INST]"]

SENTENCES = [
    "What colour is this?", "It is red.", "It is green.", "It is blue.", "It is yellow.", "You are helpful.",
    "system user assistant", "And on the left? And on the right?", "Say hello.", "hello there, who is it?",
]  # fmt: skip


@cache
def tokenizer(template: str | None = CHATML, end: str = "<|im_end|>", begin: str | None = None) -> Any:
    """A byte-level BPE tokenizer: every string has ids, and ids give back every string."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(SENTENCES, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=end,
        pad_token="<|endoftext|>",
        bos_token=begin,
        additional_special_tokens=SPECIAL,
    )
    fast.chat_template = template
    return fast


ENDS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def word_level(words: Sequence[str], tokens: Mapping[str, str] = ENDS, **parts: Any) -> Any:
    """A tokenizer of whole words.

    Args:
        words: The vocabulary in the order of its ids, special tokens among them.
        tokens: Special tokens by the names that transformers gives them; `unk_token` is one.
        parts: Of the tokenizer: `pre_tokenizer`, `decoder`, `normalizer`, `post_processor`.
    """
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=tokens["unk_token"]))
    for name, part in parts.items():
        setattr(made, name, part)
    return PreTrainedTokenizerFast(tokenizer_object=made, **tokens)
