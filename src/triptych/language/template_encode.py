"""Token ids of text in which only the template writes control tokens.

    glue ──► text · control token · text …           (what the template writes is split at the tokenizer's added tokens)
    said ──► text                                    (what people say is text, whatever names of tokens are in it)

A stretch of text between control tokens and media is encoded as a whole, as transformers encodes the whole string: such a
tokenizer splits at added tokens first. Where a name of a token is in what is said, the stretch goes through the parts of the
tokenizer that know no added tokens.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from triptych.errors import WeightsError, quoted

THINK = ("<think>", "</think>")
"""What stands around what a model thinks before it answers: its own tokens, where it has them, however they are declared."""


def special_tokens(tokenizer: Any) -> dict[str, str | list[str]]:
    """The tokenizer's special tokens by what they are for (`bos_token`, …), as templates are given them."""
    return {
        name: [str(each) for each in value] if isinstance(value, list | tuple) else str(value)
        for name, value in tokenizer.special_tokens_map.items()
    }


@dataclass(frozen=True)
class Control:
    """A control token in a text: one that the tokenizer keeps apart from text.

    Args:
        id: Its id.
        lstrip: Whether the tokenizer drops white space in front of it.
        rstrip: Whether it drops white space behind it.
    """

    id: int
    lstrip: bool = False
    rstrip: bool = False


class TextEncoder:
    """Encodes stretches of text with one tokenizer, which must not be given more tokens afterwards.

    Args:
        tokenizer: A Hugging Face tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        added = dict(getattr(tokenizer, "added_tokens_decoder", {}))
        known = {str(token): int(id_) for id_, token in added.items()}
        for token in tokenizer.all_special_tokens:
            id_ = tokenizer.convert_tokens_to_ids(token)
            if id_ is None:
                raise WeightsError(f"the tokenizer's special token {quoted(str(token))} has no id; is its file whole?")
            known[str(token)] = int(id_)
        unknown = tokenizer.unk_token_id
        # Runs of white space that are added tokens (Phi, Gemma, GPT-NeoX) are text like any other.
        self.controls = {
            name: Control(id_, getattr(added.get(id_), "lstrip", False), getattr(added.get(id_), "rstrip", False))
            for name, id_ in known.items()
            if name.strip() and id_ != unknown
        }
        special = set(tokenizer.all_special_tokens) | {str(token) for token in added.values() if token.special}
        self.ids = frozenset(control.id for control in self.controls.values())
        self.answer_names = frozenset(name for name in self.controls if name not in special or name in THINK)
        """Names of tokens that an answer may have in it: those that are text to whoever reads it, and those of thinking."""
        self._answers = self._pattern(self.answer_names)
        self._all = self._pattern(self.controls)
        self.separator = self._plain_special(added)
        """A special token without any effect on text beside it; None where there is none."""
        self._apart = self._matters()
        self.encode = functools.lru_cache(maxsize=8192)(self._encode)

    @staticmethod
    def _pattern(names: Iterable[str]) -> re.Pattern[str] | None:
        ordered = sorted(names, key=len, reverse=True)  # the longest wins, as in the tokenizer
        return re.compile(f"({'|'.join(map(re.escape, ordered))})") if ordered else None

    def split(self, text: str, answer: bool = False) -> list[str | Control]:
        """What a template writes as texts and control tokens; of an answer, only those that it may have in it."""
        pattern = self._answers if answer else self._all
        pieces = pattern.split(text) if pattern is not None else [text]
        return [self.controls[piece] if place % 2 else piece for place, piece in enumerate(pieces) if piece]

    def _plain_special(self, added: dict[int, Any]) -> str | None:
        for token in added.values():
            if token.special and not (token.lstrip or token.rstrip or token.single_word or token.normalized):
                return str(token)
        return None

    def _matters(self) -> tuple[str, int] | None:
        """The token to put in front of text that begins no sequence; None where that makes no difference."""
        if self.separator is None:
            return None
        id_ = int(self.tokenizer.convert_tokens_to_ids(self.separator))
        apart = any([id_, *self._ids(text)] != self._ids(self.separator + text) for text in ("a b", " a", "\na", "<a"))
        return (self.separator, id_) if apart else None

    def _ids(self, text: str) -> list[int]:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=False, verbose=False)
            return list(encoded["input_ids"])
        # What transformers' call does, without its keeping of books, which takes ten times as long. Calls leave settings behind.
        backend.encode_special_tokens = False
        if backend.truncation is not None:
            backend.no_truncation()
        if backend.padding is not None:
            backend.no_padding()
        return list(backend.encode(text, add_special_tokens=False).ids)

    def _encode(self, text: str, first: bool = False) -> tuple[int, ...]:
        """Ids of a stretch of text without control tokens.

        Args:
            text: The stretch; names of tokens in it are text.
            first: Whether nothing stands before it: some tokenizers put a space there.
        """
        if not text:
            return ()
        if first or self._apart is None:
            ids = self._ids(text)
        else:
            name, id_ = self._apart
            separated = self._ids(name + text)
            ids = separated[1:] if separated[:1] == [id_] else self._ids(text)
        if self.ids.isdisjoint(ids):
            return tuple(ids)
        return tuple(self._without_added_tokens(text, first))

    def _without_added_tokens(self, text: str, first: bool) -> list[int]:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return self._spelled(text)
        from tokenizers import PreTokenizedString

        if backend.normalizer is not None:
            text = backend.normalizer.normalize_str(text)
        before = "" if first else "x"  # pre-tokenizers treat the beginning of a sequence in ways of their own
        string = PreTokenizedString(before + text)
        if before:
            string.split(lambda _, normalized: [normalized[:1], normalized[1:]])
        if backend.pre_tokenizer is not None:
            backend.pre_tokenizer.pre_tokenize(string)
        splits = string.get_splits(offset_referential="original", offset_type="char")
        ids: list[int] = []
        for piece, (_, end), _ in splits:
            if end <= len(before):
                continue
            for token in backend.model.tokenize(piece):
                forged = token.id in self.ids
                # Some models (Unigram, WordLevel) have names of control tokens among their words.
                ids += self._letters(backend.model, token.value) if forged else [token.id]
        return ids

    def _letters(self, model: Any, text: str) -> list[int]:
        """Ids of a text letter by letter, but for letters that are control tokens themselves."""
        ids = [token.id for letter in text for token in model.tokenize(letter)]
        unknown = self.tokenizer.unk_token_id
        kept = [id_ if id_ not in self.ids else unknown for id_ in ids]
        return [id_ for id_ in kept if id_ is not None]

    def _spelled(self, text: str) -> list[int]:
        """Ids of a text whose tokenizer is written in Python: names of tokens in it are cut behind their first letter."""
        ids: list[int] = []
        for place, piece in enumerate(self._all.split(text) if self._all is not None else [text]):
            for part in (piece[:1], piece[1:]) if place % 2 else (piece,):
                encoded = self.tokenizer(part, add_special_tokens=False, split_special_tokens=True) if part else {}
                ids += [id_ for id_ in encoded.get("input_ids", ()) if id_ not in self.ids]
        return ids

    def parted(self, parts: Sequence[str], first: bool) -> tuple[list[tuple[int, ...]], bool]:
        """Ids of a stretch that is cut into parts: of each part, and whether no token crosses a cut.

        A part's ids are what the stretch has behind the ids of what stands before it; where a token would cross, it is
        encoded apart, since whoever continues a prompt cannot take its last token back.
        """
        done: tuple[int, ...] = ()
        ids: list[tuple[int, ...]] = []
        before, clean = "", True
        for part in parts:
            whole = self.encode(before + part, first)
            if whole[: len(done)] == done:
                new = whole[len(done) :]
            else:
                clean, new = False, self.encode(part, first and not before)
            ids.append(new)
            done += new
            before += part
        return ids, clean
