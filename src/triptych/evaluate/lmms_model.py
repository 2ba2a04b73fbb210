"""A trained run as a model of lmms-eval (0.5 and later), so that its tasks can be asked of it.

Imported by lmms-eval alone, through the entry point in `triptych.evaluate.lmms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmms_eval.api.model import lmms  # type: ignore[import-not-found, unused-ignore]

from triptych.conversation import Conversation, Image, Message, Part
from triptych.errors import DataError
from triptych.evaluate.responders import KINDS, responder_of
from triptych.generate.config import GenerationSettings, Responder


class TriptychModel(lmms):  # type: ignore[misc, no-any-unimported, unused-ignore]
    """Answers lmms-eval's requests with a run, `hf:…` or `openai:…`.

    Args:
        run: The folder of a run, or a URI that `triptych evaluate` takes.
        batch_size: Conversations answered at once.
    """

    is_simple = False

    def __init__(self, run: str, batch_size: int | str = 16, device: str | None = None, **_: Any) -> None:
        super().__init__()
        del device  # a run goes where it fits
        self.batch_size = int(batch_size)
        self.responder = _responder(run)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """One text per request, in order; requests with the same settings are answered together."""
        answers: list[str] = [""] * len(requests)
        alike: dict[str, list[tuple[int, Conversation, GenerationSettings, list[str]]]] = {}
        for place, request in enumerate(requests):
            _, to_messages, arguments, document, task, split = request.args
            messages = to_messages(self.task_dict[task][split][document])
            settings, until = _settings(arguments, self.batch_size)
            asked = Conversation(tuple(_message(message) for message in messages), id=f"{task}/{document}")
            alike.setdefault(settings.model_dump_json(), []).append((place, asked, settings, until))
        for group in alike.values():
            replies = self.responder.respond([asked for _, asked, _, _ in group], group[0][2])
            for (place, _, _, until), reply in zip(group, replies, strict=True):
                answers[place] = _cut(reply.text, until)
        return answers

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Not offered: tasks of several rounds ask for the model's own earlier answers."""
        raise NotImplementedError("tasks of several rounds are not answered")

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Not offered: `triptych evaluate --likelihood` compares options."""
        raise NotImplementedError("use a task that generates; `triptych evaluate --likelihood` compares options")


def _responder(run: str) -> Responder:
    if run.startswith(KINDS):
        return responder_of(run)[0]
    from triptych.evaluate.responders.run import RunResponder

    return RunResponder(Path(run))


def _message(message: Any) -> Message:
    content = message["content"]
    parts: list[Part] = []
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "text":
            parts.append(part["text"])
        elif part["type"] == "image":
            parts.append(Image(part["url"] if "url" in part else part["image"]))
        else:
            raise DataError(f"{part['type']!r} is no medium that this model is asked about; expected text or image")
    return Message(message["role"], tuple(parts))


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
