"""Any endpoint that speaks OpenAI's chat protocol, as a responder and as a judge."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, InvalidURL
from typing import Any

from triptych.conversation import Conversation, Image, Medium, Message, Region
from triptych.errors import EvaluationError, GenerationError, TriptychError, excerpt
from triptych.evaluate.responders.completion import read_completion
from triptych.evaluate.responders.http import TooLarge, checked_url, opener, read_whole
from triptych.generate.config import GenerationSettings, Reply

KEY_VARIABLE = "OPENAI_API_KEY"
MOST_BYTES = 16 << 20
"""Of a reply: 64 thousand tokens with their log-probabilities take less."""

_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
_MOVED = frozenset({301, 302, 303, 307, 308})
_NOBODY = frozenset({401, 403, 404}) | _MOVED
"""Answers that every request would get."""


class EndpointResponder:
    """Answers of `URL/chat/completions`.

    Args:
        url: Up to and with the version: `http://localhost:8000/v1`.
        model: The name that the endpoint knows the model by.
        requests: How many are under way at once.
        attempts: How often a request is tried that is refused for the moment.
        timeout: Seconds for one attempt, from its first byte sent to its last byte received.
        deadline: Seconds for one answer: all attempts and the pauses between them.
        pause: Seconds before the second attempt; twice as long before each further one.
        most_bytes: A longer reply is not read to its end.

    Raises:
        EvaluationError: The URL is none that can be asked.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        requests: int = 8,
        attempts: int = 5,
        timeout: float = 120.0,
        deadline: float = 600.0,
        pause: float = 1.0,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.url, self.model = checked_url(url), model
        self.requests, self.attempts, self.timeout, self.pause = requests, attempts, timeout, pause
        self.deadline, self.most_bytes = deadline, most_bytes
        self._opener = opener(most_bytes)

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

    def _ask(self, question: bytes) -> Reply:
        key = _key()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(f"{self.url}/chat/completions", question, headers)
        end = time.monotonic() + self.deadline
        for attempt in range(self.attempts):
            pause = self.pause * 2**attempt
            left = end - time.monotonic()
            last = attempt + 1 == self.attempts or left <= self.timeout + pause  # no time for another attempt after it
            try:
                with self._opener.open(request, timeout=min(self.timeout, max(left, 0.001))) as response:
                    body = read_whole(response, self.most_bytes)
                return read_completion(_without(key, body), self.url)
            except urllib.error.HTTPError as error:
                if last or error.code not in _RETRIED:
                    raise self._refusal(error, key, last) from error
            except TooLarge as error:
                raise GenerationError(f"{self.url}: {error}") from error
            except InvalidURL as error:
                raise EvaluationError(f"{self.url}: is no address that can be asked ({error})") from error
            except (OSError, HTTPException) as error:  # URLError among the first, a torn reply the second
                if last:
                    raise self._unreachable(error) from error
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _refusal(self, error: urllib.error.HTTPError, key: str, last: bool) -> TriptychError:
        try:
            said = error.read(8192)
        except (OSError, HTTPException, TooLarge):  # the reason breaks off, or never ends
            said = b""
        if error.code in _MOVED:
            said = f"name the address that it points to, {error.headers.get('Location')}".encode()
        status = _line(_without(key, f"{error.code} {error.reason}".encode()))
        reason = _line(_without(key, said)) or "no reason given"
        answered = f"{self.url}: answered {status}: {reason}"
        if not last and error.code not in _NOBODY:
            return GenerationError(answered)
        hint = f"; the key is read from {KEY_VARIABLE}" if error.code in (401, 403) else ""
        return EvaluationError(f"{answered}{hint}; the same command goes on from here")

    def _unreachable(self, error: Exception) -> EvaluationError:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return EvaluationError(
                f"{self.url}: gave no whole answer within {self.timeout:g} s ({self.attempts} attempts, at most "
                f"{self.deadline:g} s); is the server overloaded? The same command goes on from here"
            )
        return EvaluationError(
            f"{self.url}: cannot be reached, or breaks off ({excerpt(' '.join((str(reason) or repr(reason)).split()), 300)}); is the server up? "
            "The same command goes on from here"
        )


def _key() -> str:
    """The key of the environment, which a header can hold; empty where there is none.

    Raises:
        EvaluationError: No header can hold it.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and (key.isprintable() or not key)):
        raise EvaluationError(f"{KEY_VARIABLE} holds characters that no key has; copy it again")
    return key


def _without(key: str, said: bytes) -> bytes:
    """What a server says without the key, which some repeat."""
    return said.replace(key.encode(), b"[the key]") if key else said


def _line(said: bytes) -> str:
    return excerpt(" ".join(said.decode("utf-8", errors="replace").split()), 300)


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.media:
        return message.text
    return [{"type": "text", "text": part} if isinstance(part, str) else _picture(part) for part in message.parts]


def _picture(image: Medium | Region) -> dict[str, Any]:
    if isinstance(image, Region):
        raise GenerationError("a question holds a region, which an endpoint has no form for; ask for it in words")
    if not isinstance(image, Image):
        raise GenerationError(f"{image}: an endpoint takes pictures, not media of the modality {image.modality!r}")
    buffer = io.BytesIO()
    image.open().save(buffer, format="PNG")
    return {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()},
    }
