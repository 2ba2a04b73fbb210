"""Endpoints that speak OpenAI's protocol: what reaches them, what happens when they are busy, refuse, or are gone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from triptych.conversation import Conversation, Image, user
from triptych.errors import EvaluationError, GenerationError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.responders import responder_of
from triptych.evaluate.responders.endpoint import EndpointResponder
from triptych.generate.config import GenerationSettings, Reply

SETTINGS = GenerationSettings()


class Stub(BaseHTTPRequestHandler):
    """An endpoint that says "yes", after failing as often as it is told to."""

    failures: ClassVar[list[int]] = []
    bodies: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.failures:
            self.send_error(self.failures.pop())
            return
        self.bodies.append(body)
        text = json.dumps(
            {"choices": [{"message": {"content": " yes "}, "finish_reason": "stop"}], "usage": {"completion_tokens": 1}}
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    Stub.failures, Stub.bodies = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


class TestEndpoint:
    def test_pictures_and_settings_reach_it(self, endpoint: str, data: Path) -> None:
        who = EndpointResponder.of(f"{endpoint}#small")
        picture = data / "pope" / "val2014" / "p0.jpg"
        replies = who.respond([Conversation((user(Image(picture), "Is it?"),))], GenerationSettings(max_new_tokens=7))
        assert replies == [Reply("yes", 1, "stop")]
        body = Stub.bodies[0]
        assert body["model"] == "small" and body["max_tokens"] == 7 and body["temperature"] == 0
        kinds = [part["type"] for part in body["messages"][0]["content"]]
        assert kinds == ["image_url", "text"]
        assert body["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")

    def test_it_is_tried_again_when_busy(self, endpoint: str) -> None:
        Stub.failures = [503, 429]
        who = EndpointResponder(endpoint, "m", pause=0.01)
        assert who.respond([Conversation((user("?"),))], SETTINGS)[0].text == "yes"

    def test_a_refusal_is_told(self, endpoint: str) -> None:
        Stub.failures = [401]
        with pytest.raises(EvaluationError, match=r"answered 401.*OPENAI_API_KEY"):
            EndpointResponder(endpoint, "m", pause=0.01).respond([Conversation((user("?"),))], SETTINGS)

    def test_nobody_there_is_told(self) -> None:
        with pytest.raises(EvaluationError, match="cannot be reached"):
            EndpointResponder("http://127.0.0.1:9", "m", attempts=1).respond([Conversation((user("?"),))], SETTINGS)

    def test_a_dead_endpoint_stops_the_evaluation_at_once(self, data: Path, tmp_path: Path) -> None:
        who = EndpointResponder("http://127.0.0.1:9", "m", attempts=1)
        with pytest.raises(EvaluationError, match=r"[Tt]he same command goes on"):
            run_benchmark(catalogue.load("gqa"), who, tmp_path, "x", Options(data=data, progress=False))

    def test_what_was_answered_beside_a_refusal_is_not_asked_again(self, endpoint: str) -> None:
        Stub.failures = [400]
        who = EndpointResponder(endpoint, "m", pause=0.01, requests=1)
        asked = [Conversation((user(f"{n}?"),)) for n in range(4)]
        with pytest.raises(GenerationError, match="answered 400"):
            who.respond(asked, SETTINGS)
        assert len(who.respond(asked, SETTINGS)) == 4
        texts = [body["messages"][0]["content"] for body in Stub.bodies]
        assert sorted(texts) == [
            "0?",
            "1?",
            "2?",
            "3?",
        ]  # the one that was refused leaves no body, and is asked again alone

    def test_a_whole_benchmark(self, endpoint: str, data: Path, tmp_path: Path) -> None:
        who, fingerprint, _ = responder_of(f"openai:{endpoint}#m")
        done = run_benchmark(
            catalogue.load("pope-official"), who, tmp_path, fingerprint, Options(data=data, progress=False)
        )
        assert done.metrics["yes_ratio"].value == 1.0
