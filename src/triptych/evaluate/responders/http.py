"""Requests with a limit on time and on bytes, which follow no redirect.

A timeout of a socket counts from its last byte: a server that sends a byte now and then holds a reader for ever. Here the
whole exchange has one deadline, headers included, and so many bytes.
"""

from __future__ import annotations

import io
import socket
import time
import urllib.request
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

from triptych.errors import EvaluationError, quoted


class TooLarge(Exception):
    """A reply has more bytes than the limit."""


def checked_url(url: str) -> str:
    """An address without its last slashes.

    Raises:
        EvaluationError: It is none of HTTP.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        (parts.hostname or "").encode("idna")
        url.encode("ascii")
    except ValueError:  # among them UnicodeError
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise EvaluationError(
            f"openai:{quoted(url)}: is no address that can be asked; expected http://HOST:PORT/v1 or https://HOST/v1"
        )
    return url.rstrip("/")


def read_whole(response: HTTPResponse, most_bytes: int) -> bytes:
    """The body of a response.

    Raises:
        TooLarge: It has, or announces, more bytes.
        IncompleteRead: It has fewer than it announces.
        OSError: The connection breaks, or the time is over.
    """
    if (response.length or 0) > most_bytes:
        raise TooLarge(f"the reply announces {response.length:,} bytes, more than {most_bytes:,}")
    body = bytearray()
    while piece := response.read(1 << 16):  # a whole read would make room for as much as the server announces
        body += piece
    if response.length:
        raise IncompleteRead(bytes(body), response.length)
    return bytes(body)


def opener(most_bytes: int) -> urllib.request.OpenerDirector:
    """What opens requests, by proxies where the environment names them. `timeout` is the deadline of a whole exchange."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Http(most_bytes),
        _Https(most_bytes),
    ):
        director.add_handler(handler)
    return director


class _Bytes(io.RawIOBase):
    """What a socket receives, until the deadline and the limit."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float, most_bytes: int) -> None:
        self._raw, self._sock, self._deadline, self._most, self._count = raw, sock, deadline, most_bytes, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(seconds)
        count = self._raw.readinto(buffer)
        self._count += count or 0
        if self._count > self._most:
            raise TooLarge(f"the reply has more than {self._most:,} bytes")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Socket:
    """What `HTTPResponse` needs of a socket."""

    def __init__(self, sock: socket.socket, deadline: float, most_bytes: int) -> None:
        self._sock, self._deadline, self._most_bytes = sock, deadline, most_bytes

    def makefile(self, mode: str) -> io.BufferedReader:
        raw: Any = self._sock.makefile(mode, buffering=0)  # type: ignore[call-overload]
        return io.BufferedReader(_Bytes(raw, self._sock, self._deadline, self._most_bytes))


class _Bounded(HTTPConnection):
    """A connection with one deadline for greeting, sending and receiving."""

    def __init__(self, *args: Any, timeout: float, most_bytes: int, **options: Any) -> None:
        super().__init__(*args, timeout=timeout, **options)  # type: ignore[misc]
        self._deadline, self._most_bytes = time.monotonic() + timeout, most_bytes

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(max(self._deadline - time.monotonic(), 0.001))  # of `sendall` as a whole

    def response_class(self, sock: socket.socket, *args: Any, **options: Any) -> HTTPResponse:  # type: ignore[override]
        bounded: Any = _Socket(sock, self._deadline, self._most_bytes)
        return HTTPResponse(bounded, *args, **options)


class _BoundedTls(_Bounded, HTTPSConnection):
    """The same, encrypted."""


class _Http(urllib.request.HTTPHandler):
    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._most_bytes = most_bytes

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(_Bounded, most_bytes=self._most_bytes), req)  # type: ignore[arg-type]


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._most_bytes = most_bytes

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(_BoundedTls, most_bytes=self._most_bytes), req)  # type: ignore[arg-type]
