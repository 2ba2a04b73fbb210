"""Any endpoint that speaks OpenAI's chat protocol, as a responder and as a judge."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from triptych.conversation import Conversation, Image, Message, Region
from triptych.errors import EvaluationError, GenerationError, TriptychError
from triptych.generate.config import GenerationSettings, Reply

KEY_VARIABLE = "OPENAI_API_KEY"
_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
_MOVED = frozenset({301, 302, 303, 307, 308})
_NOBODY = frozenset({401, 403, 404}) | _MOVED
"""Answers that every request would get."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key is for the address that was named: it follows to no other, so a redirect is an answer like any."""

    def redirect_request(self, *_: object) -> None:
        return None


class EndpointResponder:
    """Answers of `URL/chat/completions`.

    Args:
        url: Up to and with the version: `http://localhost:8000/v1`.
        model: The name that the endpoint knows the model by.
        requests: How many are under way at once.
        attempts: How often a request is tried that is refused for the moment.
        timeout: Seconds for one answer.
        pause: Seconds before the second attempt; twice as long before each further one.
    """

    def __init__(
        self, url: str, model: str, *, requests: int = 8, attempts: int = 5, timeout: float = 120.0, pause: float = 1.0
    ) -> None:
        self.url, self.model = url.rstrip("/"), model
        self.requests, self.attempts, self.timeout, self.pause = requests, attempts, timeout, pause
        self._opener = urllib.request.build_opener(_NoRedirects)

    @classmethod
    def of(cls, address: str) -> EndpointResponder:
        """`URL#MODEL`; without a model the endpoint's default is asked for."""
        url, _, model = address.partition("#")
        return cls(url, model or "default")

    @property
    def fingerprint(self) -> str:
        """Of the address and the model's name; what runs behind it may change unseen."""
        return hashlib.sha256(f"{self.url}#{self.model}".encode()).hexdigest()[:16]

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        """One reply per conversation, several requests at once.

        Raises:
            GenerationError: The endpoint refuses a request, or answers something else than a completion.
            EvaluationError: It cannot be reached, or lets nobody in: no question will be answered.
            DataError: A picture cannot be read.
        """
        replies = []
        for said in self.respond_each(conversations, settings):
            if isinstance(said, TriptychError):
                raise said
            replies.append(said)
        return replies

    def respond_each(
        self, conversations: Sequence[Conversation], settings: GenerationSettings
    ) -> list[Reply | TriptychError]:
        """A reply to each conversation or what `respond` would raise, so that no answer is paid for twice."""
        with ThreadPoolExecutor(self.requests) as pool:
            waiting = [pool.submit(self._answer, conversation, settings) for conversation in conversations]
        return [answer.result() for answer in waiting]

    def _answer(self, conversation: Conversation, settings: GenerationSettings) -> Reply | TriptychError:
        try:
            return self._ask(json.dumps(self._body(conversation, settings)).encode())
        except TriptychError as error:
            return error

    def _body(self, conversation: Conversation, settings: GenerationSettings) -> dict[str, Any]:
        body = {
            "model": self.model,
            "messages": [{"role": message.role, "content": _content(message)} for message in conversation.messages],
            "max_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "seed": settings.seed,
        }
        return body if settings.top_p == 1.0 else {**body, "top_p": settings.top_p}

    def _ask(self, body: bytes) -> Reply:
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(KEY_VARIABLE)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/chat/completions", body, headers)
        for attempt in range(self.attempts):
            last = attempt + 1 == self.attempts
            try:
                with self._opener.open(request, timeout=self.timeout) as response:
                    return self._reply(response.read())
            except urllib.error.HTTPError as error:
                if last or error.code not in _RETRIED:
                    said = " ".join(error.read(300).decode("utf-8", errors="replace").split())
                    if error.code in _MOVED:
                        said = f"name the address that it points to, {error.headers.get('Location')}"
                    told = f"{self.url}: answered {error.code} {error.reason}: {said}"
                    told = told.replace(key, "[the key]") if key else told  # some servers repeat what they were given
                    if last or error.code in _NOBODY:
                        hint = f"; the key is read from {KEY_VARIABLE}" if error.code in (401, 403) else ""
                        raise EvaluationError(f"{told}{hint}; the same command goes on from here") from error
                    raise GenerationError(told) from error
            except (OSError, http.client.HTTPException) as error:  # URLError among the first, a torn reply the second
                if last:
                    reason = getattr(error, "reason", repr(error))
                    raise EvaluationError(
                        f"{self.url}: cannot be reached, or breaks off ({reason}); is the server up? The same command goes on from here"
                    ) from error
            time.sleep(self.pause * 2**attempt)
        raise AssertionError("unreachable")

    def _reply(self, content: bytes) -> Reply:
        try:
            answer = json.loads(content)
            choice = answer["choices"][0]
            text = choice["message"]["content"] or ""
            tokens = int((answer.get("usage") or {}).get("completion_tokens") or len(text.split()))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise GenerationError(f"{self.url}: answered something else than a chat completion ({error!r})") from error
        return Reply(str(text).strip(), tokens, "length" if choice.get("finish_reason") == "length" else "stop")


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.media:
        return message.text
    return [{"type": "text", "text": part} if isinstance(part, str) else _picture(part) for part in message.parts]


def _picture(image: Image | Region) -> dict[str, Any]:
    if isinstance(image, Region):
        raise GenerationError("a question holds a region, which an endpoint has no form for; ask for it in words")
    buffer = io.BytesIO()
    image.open().save(buffer, format="PNG")
    return {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()},
    }
