"""Reading the body of a chat completion, strictly.

{"choices": [{"message": {"content": "…"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 3}}
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from triptych.errors import GenerationError, quoted
from triptych.generate.config import Reply


def read_completion(body: bytes, who: str) -> Reply:
    """The reply in a body.

    Args:
        body: As the endpoint sent it.
        who: The endpoint's name, for messages.

    Raises:
        GenerationError: It is no chat completion; the message says where it differs from one.
    """
    try:
        return _reply(_json(body))
    except _Mistake as mistake:
        raise GenerationError(f"{who}: answered something else than a chat completion: {mistake}") from None


class _Mistake(Exception):
    """Where a body is no completion."""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise _Mistake(f"byte {error.start} is no UTF-8, in {quoted(body[:200])}") from None
    except RecursionError:
        raise _Mistake("its JSON is nested too deeply") from None
    except ValueError as error:  # among them whole numbers of too many digits
        raise _Mistake(f"no JSON ({str(error)[:200]}), but {quoted(body[:200])}") from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _reply(answer: Any) -> Reply:
    if isinstance(answer, dict) and "choices" not in answer and "error" in answer:
        error = answer["error"]
        said = error.get("message", error) if isinstance(error, dict) else error
        raise _Mistake(f"the error {quoted(said, 300)}")
    choices = _field(answer, "choices", list, "")
    if not choices:
        raise _Mistake("`choices` is empty")
    choice = _typed(choices[0], dict, "choices.0")
    message = _field(choice, "message", dict, "choices.0.")
    content = message.get("content")
    text = "" if content is None else _typed(content, str, "choices.0.message.content")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _Mistake("`choices.0.message.content` holds half a surrogate pair, which is no text")
    usage = answer.get("usage")
    tokens = None if usage is None else _typed(usage, dict, "usage").get("completion_tokens")
    if tokens is None:
        tokens = len(text.split())
    elif _typed(tokens, int, "usage.completion_tokens") < 0 or tokens > 2**31:
        raise _Mistake(f"`usage.completion_tokens` is {quoted(tokens)}")
    return Reply(text.strip(), tokens, "length" if choice.get("finish_reason") == "length" else "stop")


def _field(values: Any, name: str, kind: type, where: str) -> Any:
    values = _typed(values, dict, where.rstrip(".") or "the body")
    if name not in values:
        raise _Mistake(f"`{where}{name}` is missing, there is {quoted(sorted(values))}")
    return _typed(values[name], kind, f"{where}{name}")


def _typed(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {list: "a list", dict: "an object", str: "a text", int: "a whole number"}
        raise _Mistake(f"`{where}` is {quoted(value)}, expected {names[kind]}")
    return value
