"""Models that know nothing: what a benchmark must not reward."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, get_args

from triptych.conversation import Conversation
from triptych.errors import RecipeError
from triptych.evaluate.parsers.words import vocabulary
from triptych.generate.config import GenerationSettings, Reply

Kind = Literal["always-yes", "refuser", "empty", "longest", "copy-the-question", "random"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_WORDS = sorted(
    vocabulary(
        "yes no a b c d person dog cat car table chair red blue two 3 left the is on stop left right unanswerable 0.5"
    )
)


class Degenerate:
    """Answers without looking.

    Args:
        kind: `always-yes`; `refuser`; `empty`; `longest` (every word that might be right, at great length);
            `copy-the-question`; `random` (a few words drawn by the question's id, or an option where there are some).
    """

    needs_media = False

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    @classmethod
    def of(cls, kind: str) -> Degenerate:
        """The model of that kind. RecipeError: there is none."""
        for known in KINDS:
            if known == kind:
                return cls(known)
        raise RecipeError(f"there is no degenerate model {kind!r}; the kinds are {', '.join(KINDS)}")

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:  # noqa: ARG002
        """See `Responder`."""
        texts = [self._answer(conversation) for conversation in conversations]
        return [Reply(text, len(text.split()), "stop") for text in texts]

    def _answer(self, conversation: Conversation) -> str:
        question = conversation.messages[-1].text
        match self.kind:
            case "always-yes":
                return "Yes"
            case "refuser":
                return "I'm sorry, but I cannot help with that."
            case "empty":
                return ""
            case "copy-the-question":
                return question
            case "longest":
                from triptych.evaluate.scoring.chair_words import categories

                return " ".join([*_WORDS, *categories(), question] * 8)
            case "random":
                draw = int.from_bytes(hashlib.sha256(f"{conversation.id} {question}".encode()).digest()[:8], "big")
                options = conversation.annotations.get("options")
                if options:
                    letters = conversation.annotations.get("letters") or "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                    return str(letters[draw % len(options)])
                words = ["Yes.", "No."] if "yes or no" in question.lower() or question.startswith("Is ") else _WORDS
                return words[draw % len(words)]
