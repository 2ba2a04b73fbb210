"""Choice questions by likelihood: which option a model holds for likeliest, read off one prefill.

    prompts ──► shared prefixes read once ──► last hidden state ─► logits of the letters          (`letter_scores`)
                                                     └ repeated ──► options' tokens, one pass ─► log-likelihoods  (`text_scores`)

Nothing is written, so an answer costs what its prompt costs, and none is unparsed.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from triptych.conversation import Conversation
from triptych.errors import GenerationError
from triptych.language.cache import divisible
from triptych.generate.config import GenerationSettings, Reply
from triptych.generate.generator import Generator

LETTERS = string.ascii_uppercase
_ONE = GenerationSettings(max_new_tokens=1)


class LikelihoodResponder:
    """Answers each choice question with the letter of its likeliest option.

    Args:
        generator: Whose model.
        by: `letter`: which letter comes next; `text`: the mean log-likelihood of each option's tokens.
    """

    def __init__(self, generator: Generator, by: str = "letter") -> None:
        self.generator, self.by = generator, by

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        """One letter per conversation; each names its `options` among its annotations.

        Raises:
            GenerationError: A conversation has no options, or does not fit.
        """
        replies = []
        for start in range(0, len(conversations), settings.batch_size):
            part = conversations[start : start + settings.batch_size]
            options = [_options(conversation) for conversation in part]
            if self.by == "letter":
                scores = letter_scores(self.generator, part, [len(texts) for texts in options])
            else:
                scores = text_scores(self.generator, part, options)
            replies += [Reply(LETTERS[row.index(max(row))], 0, "stop") for row in scores]
        return replies


@torch.inference_mode()
def letter_scores(
    generator: Generator, conversations: Sequence[Conversation], counts: Sequence[int]
) -> list[list[float]]:
    """Log-probabilities of the first letters of the alphabet as the reply's first token, as many as each has options.

    A letter is looked for with and without a space before it, and the two probabilities are added.

    Raises:
        GenerationError: The tokenizer has no token for a letter.
    """
    hidden = generator._prefill([generator._plan(conversation, _ONE) for conversation in conversations])[0]
    logs = generator.model.language.logits(hidden).float().log_softmax(dim=-1)
    tokens = [_letter_tokens(generator, letter) for letter in LETTERS[: max(counts)]]
    columns = torch.stack([logs[:, ids].logsumexp(dim=-1) for ids in tokens], dim=1).tolist()
    return [row[:count] for row, count in zip(columns, counts, strict=True)]


@dataclass(frozen=True)
class OptionScore:
    """How likely a text is as the reply.

    Args:
        mean: Log-likelihood per token, in nats.
        greedy: Whether greedy decoding begins with the text: each of its tokens is the likeliest at its place.
    """

    mean: float
    greedy: bool


def text_scores(
    generator: Generator, conversations: Sequence[Conversation], options: Sequence[Sequence[str]]
) -> list[list[float]]:
    """Mean log-likelihood per token of each option as the reply; raises what `option_scores` raises."""
    return [[score.mean for score in row] for row in option_scores(generator, conversations, options)]


@torch.inference_mode()
def option_scores(
    generator: Generator, conversations: Sequence[Conversation], options: Sequence[Sequence[str]]
) -> list[list[OptionScore]]:
    """How likely each option is as the reply to its conversation.

    Raises:
        GenerationError: An option is empty, or the model's cache cannot be repeated (sliding windows).
    """
    hidden, cache, mask, positions, memory = generator._prefill(
        [generator._plan(conversation, _ONE) for conversation in conversations]
    )
    if not divisible(cache):
        raise GenerationError("options are compared by their letters only where attention goes by windows")
    model, tokenizer = generator.model, generator.model.language.tokenizer
    ids = [tokenizer.encode(text, add_special_tokens=False) for texts in options for text in texts]
    if not all(ids):
        raise GenerationError("an option without a token has no likelihood")
    rows = torch.tensor([row for row, texts in enumerate(options) for _ in texts], device=hidden.device)
    longest = max(map(len, ids))
    tokens = torch.stack([pad(torch.tensor(text), (0, longest - len(text))) for text in ids]).to(hidden.device)
    there = torch.stack([torch.arange(longest) < len(text) for text in ids]).to(hidden.device)
    last = hidden[rows][:, None]
    if longest > 1:
        cache.batch_select_indices(rows)
        seen = torch.cat([mask[rows], there[:, : longest - 1].long()], dim=1)
        places = positions[rows][:, None] + 1 + torch.arange(longest - 1, device=hidden.device)
        read = model.read(
            model.language.embed(tokens[:, :-1]),
            places,
            mask=seen,
            cache=cache,
            memory=memory.select(rows) if memory is not None else None,
        )
        last = torch.cat([last, read], dim=1)
    logits = model.language.logits(last)
    logs = logits.float().log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]
    means = ((logs * there).sum(dim=1) / there.sum(dim=1)).tolist()
    greedy = ((logits.argmax(dim=-1) == tokens) | ~there).all(dim=1).tolist()
    flat = iter(map(OptionScore, means, greedy))
    return [[next(flat) for _ in texts] for texts in options]


def _letter_tokens(generator: Generator, letter: str) -> list[int]:
    tokenizer = generator.model.language.tokenizer
    found = {tuple(tokenizer.encode(form, add_special_tokens=False)) for form in (letter, f" {letter}")}
    single = sorted(ids[0] for ids in found if len(ids) == 1)
    if not single:
        raise GenerationError(f"the tokenizer has no token for the letter {letter}; let the model write its answers")
    return single


def _options(conversation: Conversation) -> list[str]:
    options = conversation.annotations.get("options")
    if not options:
        raise GenerationError(f"{conversation.id or 'a conversation'} names no options to compare")
    return [str(option) for option in options]
