"""A trained run as a model of lmms-eval 0.7, so that its tasks can be asked of it.

Imported by lmms-eval alone, through the entry point in `triptych.evaluate.lmms`. Under `accelerate launch` or `torchrun`
each process answers its share of the documents with a model of its own; lmms-eval gathers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult  # type: ignore[import-not-found, unused-ignore]
from lmms_eval.api.model import lmms  # type: ignore[import-not-found, unused-ignore]

from triptych.conversation import Conversation, Image, Message, Part
from triptych.errors import DataError, EvaluationError
from triptych.evaluate.responders import KINDS, responder_of
from triptych.evaluate.responders.run import RunResponder
from triptych.generate.config import GenerationSettings, Responder
from triptych.generate.likelihood import OptionScore

_Asked = tuple[int, Conversation, list[str]]
"""Place among the requests, the conversation, and the texts at which an answer is cut."""


class _Answers(lmms):  # type: ignore[misc, no-any-unimported, unused-ignore]
    """What both kinds of model share.

    Args:
        run: The folder of a run, or a URI that `triptych evaluate` takes.
        batch_size: Conversations answered at once.
        device: Named by lmms-eval; a run goes where it fits.
    """

    def __init__(self, run: str, batch_size: int | str = 16, device: str | None = None, **_: Any) -> None:
        super().__init__()
        del device
        self.batch_size = int(batch_size)
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        # lmms-eval counts its requests over all processes on this device.
        self.device = (
            torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
        )
        self.responder: Responder = responder_of(run)[0] if run.startswith(KINDS) else RunResponder(Path(run))

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:  # noqa: ARG002
        """Not offered: tasks of several rounds ask for the model's own earlier answers."""
        raise EvaluationError("tasks of several rounds (`generate_until_multi_round`) are not answered by Triptych")

    def _document(self, task: str, split: str, number: int) -> Any:
        return self.task_dict[task][split][number]

    def _answer(self, requests: Iterable[tuple[dict[str, Any], Conversation]]) -> list[str]:
        """One text per request, in order; requests with the same settings are answered together."""
        alike: dict[str, list[_Asked]] = {}
        settings_of: dict[str, GenerationSettings] = {}
        count = 0
        for place, (arguments, conversation) in enumerate(requests):
            settings, until = _settings(arguments, self.batch_size)
            key = settings.model_dump_json()
            settings_of[key] = settings
            alike.setdefault(key, []).append((place, conversation, until))
            count += 1
        answers = [""] * count
        for key, group in alike.items():
            replies = self.responder.respond([conversation for _, conversation, _ in group], settings_of[key])
            for (place, _, until), reply in zip(group, replies, strict=True):
                answers[place] = _cut(reply.text, until)
        return answers


class TriptychModel(_Answers):
    """Answers lmms-eval's conversations (its chat tasks) with a run, `hf:…` or `openai:…`."""

    is_simple = False

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """One text per request, in order."""
        return self._answer(self._asked(request.args) for request in requests)

    def loglikelihood(self, requests: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Not handed out to chat models by lmms-eval itself."""
        raise EvaluationError("lmms-eval asks for likelihoods with `--force_simple`")

    def _asked(self, args: Sequence[Any]) -> tuple[dict[str, Any], Conversation]:
        _, to_messages, arguments, number, task, split = args
        messages = to_messages(self._document(task, split, number))
        return arguments, Conversation(tuple(_message(message) for message in messages), id=f"{task}/{number}")


class TriptychSimpleModel(_Answers):
    """Answers lmms-eval's texts with their pictures (`--force_simple`): in writing, or by how likely each choice is."""

    is_simple = True

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """One text per request, in order."""
        return self._answer(
            (arguments, self._conversation(context, to_pictures, number, task, split))
            for context, arguments, to_pictures, number, task, split in (request.args for request in requests)
        )

    def loglikelihood(self, requests: Sequence[Any]) -> list[Any]:
        """Mean negative log-likelihood per token of each continuation as the reply, and whether greedy decoding writes it.

        lmms-eval's own models answer with their loss, and it takes the choice with the least. White space in front of a
        continuation separates it from a prompt in plain text; a reply begins without.

        Raises:
            EvaluationError: The model is no run: other responders tell no likelihoods.
        """
        if not isinstance(self.responder, RunResponder):
            raise EvaluationError(
                "likelihoods are told by runs of Triptych alone; name its folder: --model_args run=FOLDER"
            )
        # The choices of a document follow each other: its prompt is read once for all of them.
        groups: dict[tuple[str, str, int, str], list[tuple[int, str]]] = {}
        conversations: dict[tuple[str, str, int, str], Conversation] = {}
        for place, request in enumerate(requests):
            context, target, to_pictures, number, task, split = request.args
            text = target(self._document(task, split, number)) if callable(target) else target
            key = (task, split, number, context)
            if key not in conversations:
                conversations[key] = self._conversation(context, to_pictures, number, task, split)
            groups.setdefault(key, []).append((place, str(text).lstrip()))
        scores: dict[int, OptionScore] = {}
        keys = list(groups)
        for start in range(0, len(keys), self.batch_size):
            part = keys[start : start + self.batch_size]
            options = [[text for _, text in groups[key]] for key in part]
            rows = self.responder.option_scores([conversations[key] for key in part], options)
            for key, row in zip(part, rows, strict=True):
                scores |= {place: score for (place, _), score in zip(groups[key], row, strict=True)}
        pairs = [(-scores[place].mean, scores[place].greedy) for place in range(len(requests))]
        # lmms-eval 0.7 turns whatever is no `GenerationResult` into a text, and its tasks then cannot read the pair.
        return [GenerationResult(pair) for pair in pairs]

    def _conversation(self, context: str, to_pictures: Any, number: int, task: str, split: str) -> Conversation:
        seen = to_pictures(self._document(task, split, number)) or []
        parts: list[Part] = [_picture(picture) for picture in seen]
        return Conversation((Message("user", (*parts, context)),), id=f"{task}/{number}")


def _message(message: Any) -> Message:
    content = message["content"]
    parts: list[Part] = []
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "text":
            parts.append(part["text"])
        elif part["type"] == "image":
            parts.append(_picture(part["url"] if "url" in part else part["image"]))
        else:
            raise DataError(f"{part['type']!r} is no medium that this model is asked about; expected text or image")
    return Message(message["role"], tuple(parts))


def _picture(picture: Any) -> Image:
    from PIL import Image as Pillow

    if isinstance(picture, str | Path | Pillow.Image):
        return Image(picture)
    raise DataError(f"a document shows a {type(picture).__name__}; expected pictures, or paths of pictures")


def _settings(arguments: dict[str, Any], batch_size: int) -> tuple[GenerationSettings, list[str]]:
    sampled = bool(arguments.get("do_sample", False)) or float(arguments.get("temperature") or 0) > 0
    until = arguments.get("until") or []
    settings = GenerationSettings(
        max_new_tokens=int(arguments.get("max_new_tokens") or 128),
        temperature=float(arguments.get("temperature") or 0) if sampled else 0.0,
        top_p=float(arguments.get("top_p") or 1.0) if sampled else 1.0,
        batch_size=batch_size,
    )
    return settings, [until] if isinstance(until, str) else list(until)


def _cut(text: str, until: Sequence[str]) -> str:
    for stop in until:
        text = text.split(stop, 1)[0] if stop else text
    return text.strip()
