"""Tiny tokenizers of every kind that language models have, each with special tokens and added ones that are not special."""

from __future__ import annotations

from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = (
    "<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>",
    "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "[gMASK]", "<sop>", "<|observation|>", "<｜User｜>",
    "<｜Assistant｜>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "[INST]", "[/INST]", "<|start_of_role|>", "<|end_of_role|>",
    "<|end_of_text|>",
)  # fmt: skip
ADDED = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<image>", "<tool_response>")
"""Added, and not special: they stay in what is decoded."""

SENTENCES = [
    "What colour is this? It is red. A cat. Yes, it is a cat.", "USER: What is this? ASSISTANT: It is red.",
    "###Human: Sure? ###Assistant: Yes.", "User: Who? Assistant: A dog. I am Ann.", "You are helpful. Be brief. (B) (A)",
    "system user assistant model Human Assistant human", "Below is an instruction. Question: Short answer: A bus.",
    "And on the left? The answer is 12. No.\n\nThe end.\n", "Look: What is it? It is a big red bus, I think. (B). (A).",
] * 3  # fmt: skip

PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""How Llama 3 and Qwen cut text before merging."""


def _bpe(pre_tokenizer: Any, decoder: Any, normalizer: Any = None, **options: Any) -> Tokenizer:
    made = Tokenizer(models.BPE(**options))
    made.pre_tokenizer, made.decoder = pre_tokenizer, decoder
    if normalizer is not None:
        made.normalizer = normalizer
    return made


def _byte_level() -> Tokenizer:
    made = _bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    return made


def _byte_level_words() -> Tokenizer:
    from tokenizers import Regex

    pre = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made = _bpe(pre, decoders.ByteLevel(), normalizers.NFC())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    return made


def _letters() -> list[str]:
    return sorted(
        {letter for sentence in SENTENCES for letter in sentence} | set("<>|/[]_-:.,()#'\n\t{}\"\\=*&%$@!?0123456789")
    )


def _sentencepiece(scheme: str) -> Tokenizer:
    space = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=False)
    made = _bpe(space, decoders.Metaspace(replacement="▁", prepend_scheme=scheme), unk_token="<unk>", fuse_unk=False)
    words = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=True)
    made.pre_tokenizer = words
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=_letters(), special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    made.train_from_iterator(SENTENCES, trainer)
    made.pre_tokenizer = space
    return made


def _sentencepiece_old() -> Tokenizer:
    """LLaMA's first form: spaces are the normaliser's matter, which puts one in front of every stretch."""
    made = _sentencepiece("always")
    made.pre_tokenizer = None
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return made


def _unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("\n", "⏎")])
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    made.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=300, initial_alphabet=[*_letters(), "⏎"], special_tokens=["<unk>", "<s>", "</s>", "<think>"],
        unk_token="<unk>", show_progress=False,
    )  # fmt: skip
    made.train_from_iterator(SENTENCES, trainer)
    return made


def _wordpiece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="<unk>"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, initial_alphabet=_letters(), special_tokens=["<unk>"], show_progress=False
    )
    made.train_from_iterator(SENTENCES, trainer)
    return made


def _words() -> Tokenizer:
    """A word is a token, names of tokens among them: what is typed with spaces around is found in the table of words."""
    words = sorted({word for sentence in SENTENCES for word in sentence.split()} | {"<think>", "</s>", "<image>"})
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["<unk>", *words])}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


KINDS = {
    "byte-level BPE (GPT-2)": _byte_level,
    "byte-level BPE (Llama 3, Qwen)": _byte_level_words,
    "SentencePiece BPE, a space first": lambda: _sentencepiece("first"),
    "SentencePiece BPE, a space always": lambda: _sentencepiece("always"),
    "SentencePiece BPE, a space by normalising": _sentencepiece_old,
    "SentencePiece BPE, no space": lambda: _sentencepiece("never"),
    "Unigram": _unigram,
    "WordPiece": _wordpiece,
    "words": _words,
}


@cache
def tiny_tokenizer(kind: str, strips: bool = False) -> Any:
    """A tokenizer of a kind; `strips`: its control tokens take white space behind them away, as Phi-3's do."""
    made = KINDS[kind]()
    made.add_special_tokens(
        [AddedToken(name, special=True, normalized=False, rstrip=strips and name.startswith("<|")) for name in SPECIAL]
    )
    made.add_tokens([AddedToken(name, special=False, normalized=False) for name in ADDED])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
