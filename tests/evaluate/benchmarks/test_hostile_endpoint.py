"""Endpoints that drip, flood, break off, or speak something else: an error in time and in one line, with little memory."""

from __future__ import annotations

import json
import re
import resource
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.conversation import Conversation, user
from triptych.errors import EvaluationError, GenerationError, TriptychError
from triptych.evaluate.responders.completion import read_completion
from triptych.evaluate.responders.endpoint import EndpointResponder
from triptych.generate.config import GenerationSettings, Reply

KEY = "sk-0123456789"
GOOD = {"choices": [{"message": {"content": " yes "}, "finish_reason": "stop"}], "usage": {"completion_tokens": 1}}


def request_of(connection: socket.socket) -> bytes:
    """A whole request: a connection that is closed on unread bytes is reset."""
    request = b""
    while piece := connection.recv(1 << 16):
        request += piece
        head, end, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not request.startswith(b"POST") or (end and length is not None and len(body) >= int(length[1])):
            break
    return request


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """An address at which each connection is answered by a function of its socket; and what was asked there."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            requests.append(request_of(connection))
            answer(connection)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", requests
    finally:
        listener.close()


def sends(*pieces: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return answer


def with_length(body: bytes, length: int | str | None = None, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def ask(url: str, **options: Any) -> Reply:
    options = {"attempts": 1, "timeout": 1.0, "pause": 0.01} | options
    return EndpointResponder(url, "m", **options).respond([Conversation((user("?"),))], GenerationSettings())[0]


def refusal(url: str, **options: Any) -> TriptychError:
    with pytest.raises((EvaluationError, GenerationError)) as error:
        ask(url, **options)
    message = str(error.value)
    assert "\n" not in message and len(message) < 800 and message.isprintable() and KEY not in message
    return error.value


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


DRIPS = {
    "the status line": (b"HTTP/1.1 200 OK",),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 500),
    "headers without end": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 90),
    "interim answers": (b"HTTP/1.1 100 Continue\r\n\r\n" * 50,),
    "a body with a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"x" * 500),
    "a body without": (b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 500),
    "a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1ff\r\n", b"x" * 500),
    "sizes of chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 100),
    "the reason of a refusal": (b"HTTP/1.1 400 Bad\r\nContent-Length: 500\r\n\r\n", b"x" * 500),
    "nothing at all": (),
}


@pytest.mark.parametrize("name", DRIPS)
def test_a_server_that_drips_is_left_in_time(name: str) -> None:
    whole = b"".join(DRIPS[name])

    def drip(connection: socket.socket) -> None:
        for i in range(len(whole)):
            connection.sendall(whole[i : i + 1])
            time.sleep(0.05)
        time.sleep(20)

    with serving(drip) as (url, requests):
        began = time.monotonic()
        message = str(refusal(url, timeout=0.6, attempts=2, deadline=3.0))
        assert time.monotonic() - began < 4
        assert "within 0.6 s" in message or "answered 400" in message
        assert 1 <= len(requests) <= 2


def test_the_deadline_holds_over_all_attempts() -> None:
    with serving(lambda connection: time.sleep(20)) as (url, requests):
        began = time.monotonic()
        assert isinstance(refusal(url, timeout=0.5, attempts=1000, deadline=1.5), EvaluationError)
        assert time.monotonic() - began < 2.5 and 2 <= len(requests) <= 3


def flood(beginning: bytes, piece: bytes, total: int) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(beginning)
        for _ in range(total // len(piece)):
            connection.sendall(piece)

    return answer


FLOODS = {
    "announced": flood(b"HTTP/1.1 200 OK\r\nContent-Length: 1500000000\r\n\r\n", b" " * 65536, 1_500_000_000),
    "not announced": flood(b"HTTP/1.0 200 OK\r\n\r\n", b" " * 65536, 1_500_000_000),
    "in one chunk": flood(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n59682f00\r\n", b" " * 65536, 1_500_000_000
    ),
    "in small chunks": flood(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b" " * 1024 + b"\r\n", 1_500_000_000
    ),
    "as a header": flood(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536, 1_500_000_000),
    "as headers": flood(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000, 1_500_000_000),
    "as interim answers": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 1_500_000_000),
    "as a status line": flood(b"", b"y" * 65536, 1_500_000_000),
    "as a reason": flood(b"HTTP/1.1 400 Bad\r\n\r\n", b"y" * 65536, 1_500_000_000),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_long_reply_is_not_read_to_its_end(name: str) -> None:
    with serving(FLOODS[name]) as (url, _):
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refusal(url, timeout=20.0, most_bytes=1 << 20)
        assert time.monotonic() - began < 10
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


GARBAGE = {
    "closed early": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "fewer bytes than announced": with_length(json.dumps(GOOD).encode(), 10_000),
    "a length of 10^18": with_length(json.dumps(GOOD).encode(), 10**18),
    "chunks of garbage": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "a chunk of 10^30": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 25 + b"\r\nhello",
    "a chunk cut short": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello",
    "a strange status": b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a redirect to a file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    "a redirect without an address": b"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\n\r\n",
    "a stream of events": with_length(b'data: {"choices": [{"delta": {"content": "yes"}}]}\n\ndata: [DONE]\n\n'),
    "a page": with_length(b"<html><body>Welcome</body></html>"),
    "colours of a terminal": with_length(b"\x1b[31mred\x07\x1b[0m", status="418 \x1b[31mteapot"),
    "the key": with_length(f'{{"said": "{KEY}"}}'.encode()),
    "the key in a refusal": with_length(b" " * 240 + f"you gave {KEY} {KEY}".encode(), status=f"403 {KEY}"),
    "compressed": with_length(b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
    "UTF-16": with_length(json.dumps(GOOD).encode("utf-16")),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_reply_is_one_line(name: str) -> None:
    with serving(sends(GARBAGE[name])) as (url, _):
        refusal(url, timeout=5.0)


@pytest.mark.parametrize("name", ["no HTTP", "closed early"])
def test_a_server_without_encryption(name: str) -> None:
    with serving(sends(GARBAGE[name])) as (url, _):
        assert "cannot be reached" in str(refusal(url.replace("http:", "https:"), timeout=5.0))


def test_a_greeting_that_never_ends() -> None:
    with serving(lambda connection: time.sleep(20)) as (url, _):
        began = time.monotonic()
        refusal(url.replace("http:", "https:"), timeout=0.5)
        assert time.monotonic() - began < 3


def test_a_length_that_is_too_small_cuts_the_reply() -> None:
    body = json.dumps(GOOD).encode()
    with serving(sends(with_length(body, len(body) - 5))) as (url, _):
        assert "no JSON" in str(refusal(url))


def test_what_breaks_off_is_asked_for_again() -> None:
    answers = [GARBAGE["closed early"], GARBAGE["a chunk cut short"], with_length(json.dumps(GOOD).encode())]
    with serving(lambda connection: connection.sendall(answers.pop(0))) as (url, requests):
        assert ask(url, attempts=3) == Reply("yes", 1, "stop")
        assert len(requests) == 3 and KEY.encode() in requests[2]


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:8000/v1", "file:///etc/passwd", "ftp://localhost/v1", "http://", "http://:80/v1", "http://a b/v1",
        "http://[::1/v1", "http://host:port/v1", "http://host:99999/v1", "http://host/\nX: y", "http://hö\u0000st/v1",
        "http://" + "a" * 300 + "/v1", "gopher://x", "http:///v1", "http://..../v1",
    ],
)  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(EvaluationError, match=r"address|reached") as error:
        ask(url)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("value", ["sk-\n123", "sk-ü", "sk-\x1b"])
def test_a_key_that_no_header_holds(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with serving(sends(with_length(json.dumps(GOOD).encode()))) as (url, requests):
        with pytest.raises(EvaluationError, match="OPENAI_API_KEY holds characters") as error:
            ask(url)
        assert value not in str(error.value) and not requests


def test_a_key_copied_with_its_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    with serving(sends(with_length(json.dumps(GOOD).encode()))) as (url, requests):
        assert ask(url).text == "yes" and f"Bearer {KEY}\r\n".encode() in requests[0]


SHAPES: dict[str, tuple[Any, str]] = {
    "a list": ([], "the body"),
    "nothing": (None, "the body"),
    "no choices": ({}, "`choices` is missing"),
    "choices that are none": ({"choices": {}}, "expected a list"),
    "no choice": ({"choices": []}, "empty"),
    "a choice that is none": ({"choices": ["yes"]}, "`choices.0` is 'yes', expected an object"),
    "no message": ({"choices": [{"text": "yes"}]}, "`choices.0.message` is missing"),
    "a message that is none": ({"choices": [{"message": "yes"}]}, "expected an object"),
    "content that is a number": ({"choices": [{"message": {"content": 1}}]}, "expected a text"),
    "content in parts": ({"choices": [{"message": {"content": [{"type": "text", "text": "a"}]}}]}, "expected a text"),
    "half a pair": ({"choices": [{"message": {"content": "\ud83d"}}]}, "surrogate"),
    "usage that is none": (GOOD | {"usage": [1]}, "`usage` is [1], expected an object"),
    "tokens as text": (GOOD | {"usage": {"completion_tokens": "12"}}, "expected a whole number"),
    "tokens as truth": (GOOD | {"usage": {"completion_tokens": True}}, "expected a whole number"),
    "negative tokens": (GOOD | {"usage": {"completion_tokens": -1}}, "completion_tokens"),
    "endless tokens": (GOOD | {"usage": {"completion_tokens": 10**40}}, "completion_tokens"),
    "an error": ({"error": {"message": "no such model", "code": 404}}, "the error 'no such model'"),
    "an error as text": ({"error": "x" * 10_000}, "the error 'xxx"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_another_shape_is_named(name: str) -> None:
    body, expected = SHAPES[name]
    with pytest.raises(GenerationError, match="somewhere: answered something else") as error:
        read_completion(json.dumps(body).encode(), "somewhere")
    assert expected in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"{", b'{"choices": NaN}', b'{"choices": Infinity}', b"[" * 100_000, b"9" * 10_000,
        json.dumps(GOOD).encode() + b"x", json.dumps(GOOD).encode("utf-16"), b'{"choices": [{"message": {"content": "\xff"}}]}',
    ],
)  # fmt: skip
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(GenerationError, match="somewhere: answered something else"):
        read_completion(body, "somewhere")


def test_what_may_be_left_out() -> None:
    silent: Any = {"choices": [{"message": {"content": None}, "finish_reason": "length"}], "usage": None}
    assert read_completion(json.dumps(silent).encode(), "x") == Reply("", 0, "length")
    counted = {"choices": [{"message": {"content": "two words"}}], "usage": {"completion_tokens": None}}
    assert read_completion(json.dumps(counted).encode(), "x") == Reply("two words", 2, "stop")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "completion_tokens", "error", "finish_reason"]),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(JSON.map(json.dumps).map(str.encode) | st.binary(max_size=60))
def test_any_body_is_a_reply_or_one_line(body: bytes) -> None:
    try:
        assert isinstance(read_completion(body, "x"), Reply)
    except GenerationError as error:
        assert "\n" not in str(error)


def test_memory_stays_small() -> None:
    """The refused reply is not kept, nor room made for what a server announces."""
    with serving(sends(with_length(b"x", 10**12))) as (url, _):
        tracemalloc.start()
        refusal(url)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
        tracemalloc.stop()
