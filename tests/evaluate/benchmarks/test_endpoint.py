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
from triptych.errors import EvaluationError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.records import read_records
from triptych.evaluate.responders import responder_of
from triptych.evaluate.responders.endpoint import EndpointResponder
from triptych.generate.config import GenerationSettings, Reply

SETTINGS = GenerationSettings()


class Stub(BaseHTTPRequestHandler):
    """An endpoint that says "yes", after failing as often as it is told to."""

    failures: ClassVar[list[int]] = []
    torn: ClassVar[int] = 0
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
        self.send_header("Content-Length", str(len(text) + Stub.torn))
        Stub.torn = 0
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    Stub.failures, Stub.bodies, Stub.torn = [], [], 0
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

    def test_the_key_follows_no_redirect_and_is_in_no_message(
        self, endpoint: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        seen: list[str | None] = []

        def moved(self: Stub) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(302, f"you gave {seen[-1]}")
            self.send_header("Location", f"{endpoint}/elsewhere?{seen[-1]}")
            self.end_headers()

        monkeypatch.setattr(Stub, "do_POST", moved)
        monkeypatch.setattr(Stub, "do_GET", moved, raising=False)
        with pytest.raises(EvaluationError, match=r"answered 302.*name the address.*elsewhere") as caught:
            EndpointResponder(endpoint, "m").respond([Conversation((user("?"),))], SETTINGS)
        assert seen == ["Bearer sk-secret"] and "sk-secret" not in str(caught.value)

    def test_a_reply_cut_short_is_asked_for_again(self, endpoint: str) -> None:
        Stub.torn = 9
        who = EndpointResponder(endpoint, "m", pause=0.01)
        assert who.respond([Conversation((user("?"),))], SETTINGS)[0].text == "yes" and len(Stub.bodies) == 2
        Stub.torn = 9
        with pytest.raises(EvaluationError, match=r"breaks off.*IncompleteRead"):
            EndpointResponder(endpoint, "m", attempts=1).respond([Conversation((user("?"),))], SETTINGS)

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

    def test_a_refusal_costs_one_request(self, endpoint: str, data: Path, tmp_path: Path) -> None:
        """Of sixteen asked at once one is refused: nothing is asked again, and fifteen answers are on the disk."""
        Stub.failures = [400]
        file = catalogue.load("vqav2").model_copy(update={"generation": GenerationSettings(batch_size=16)})
        options = Options(data=data, progress=False, limit=16, failed_share=0.1)
        run_benchmark(file, EndpointResponder(endpoint, "m", pause=0.01), tmp_path, "x", options)
        errors = [record.error for record in read_records(tmp_path / "evaluation" / "vqav2.jsonl").values()]
        assert len(Stub.bodies) == 15 and errors.count(None) == 15 and len(errors) == 16

    def test_what_is_answered_before_it_lets_nobody_in_is_kept(self, endpoint: str, data: Path, tmp_path: Path) -> None:
        Stub.failures = [401]
        file = catalogue.load("vqav2").model_copy(update={"generation": GenerationSettings(batch_size=8)})
        with pytest.raises(EvaluationError, match="answered 401"):
            run_benchmark(file, EndpointResponder(endpoint, "m"), tmp_path, "x", Options(data=data, progress=False))
        assert len(read_records(tmp_path / "evaluation" / "vqav2.jsonl")) == len(Stub.bodies) == 7

    def test_a_whole_benchmark(self, endpoint: str, data: Path, tmp_path: Path) -> None:
        who, fingerprint, _ = responder_of(f"openai:{endpoint}#m")
        done = run_benchmark(
            catalogue.load("pope-official"), who, tmp_path, fingerprint, Options(data=data, progress=False)
        )
        assert done.metrics["yes_ratio"].value == 1.0
