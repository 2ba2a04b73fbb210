"""Rendering chat templates with bounds of time, memory and output.

ChatTemplate ──► render ──► cache ──► one process per process of ours (`template_worker`), started when first needed
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from functools import lru_cache
from typing import Any

from triptych.errors import RecipeError
from triptych.language.template_worker import CPU_SECONDS, WALL_SECONDS

__all__ = ["TemplateRefusal", "keywords", "render"]

START_SECONDS = 60.0
"""How long the process may take to start, on a machine that is busy with other things."""


class TemplateRefusal(RecipeError):
    """A chat template cannot write a conversation: it refuses the turns, drops what is said, or exceeds its bounds.

    It concerns the conversation, not the run: where the conversation is a record of a dataset, it belongs into the ledger.
    """


class _Process:
    """The process that renders for this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: subprocess.Popen[str] | None = None

    def ask(self, task: str, template: str, variables: str) -> Any:
        """The answer to a task. Raises TemplateRefusal where the template refuses or exceeds its bounds."""
        request = f'{{"task": {json.dumps(task)}, "template": {json.dumps(template)}, "variables": {variables}}}\n'
        with self._lock:
            line = self._exchange(request)
        if not line:
            raise TemplateRefusal(f"it takes more than {CPU_SECONDS:g} s, or too much memory")
        answer = json.loads(line)
        if "error" in answer:
            raise TemplateRefusal(answer["error"])
        return answer["done"]

    def _exchange(self, request: str) -> str:
        running = self._started()
        assert running.stdin is not None
        try:
            running.stdin.write(request)
            running.stdin.flush()
            line = self._line(running, WALL_SECONDS)
        except OSError:  # it has ended
            line = ""
        if not line:
            self.stop()
        return line

    def _started(self) -> subprocess.Popen[str]:
        if self._running is None or self._running.poll() is not None:
            code = (
                f"import sys; sys.path[:] = {sys.path!r}; from triptych.language.template_worker import serve; serve()"
            )
            pipe = subprocess.PIPE
            self._running = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=pipe,
                stdout=pipe,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
            if not self._line(self._running, START_SECONDS):
                self.stop()
                raise RecipeError("chat templates cannot be rendered: the process that does so did not start")
        return self._running

    @staticmethod
    def _line(running: subprocess.Popen[str], seconds: float) -> str:
        """The next line it writes; nothing where it ends before, as it does when the time is over."""
        timer = threading.Timer(seconds, running.kill)
        timer.daemon = True
        timer.start()
        assert running.stdout is not None
        try:
            return running.stdout.readline()
        finally:
            timer.cancel()

    def stop(self) -> None:
        """End the process."""
        if self._running is not None:
            running, self._running = self._running, None
            running.kill()
            running.wait()
            for pipe in (running.stdin, running.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what could not be written any more
                        pipe.close()


_process = _Process()


def _forget() -> None:
    """In a forked process, whose pipes to the renderer are the parent's."""
    global _process
    _process = _Process()


atexit.register(lambda: _process.stop())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@lru_cache(maxsize=4096)
def _rendered(template: str, variables: str) -> str:
    done: str = _process.ask("render", template, variables)
    return done


def render(template: str, variables: dict[str, Any]) -> str:
    """What a template writes, as transformers would render it.

    Args:
        template: Jinja source.
        variables: What it is given: `messages`, `add_generation_prompt`, names of special tokens, …; as JSON knows it.

    Raises:
        TemplateRefusal: It refuses, is malformed, or takes too much time or memory.
    """
    return _rendered(template, json.dumps(variables))


@lru_cache(maxsize=256)
def keywords(template: str) -> tuple[str, ...]:
    """The texts that a template looks for in what is said, such as `</think>`; the longest first.

    Raises:
        TemplateRefusal: It is malformed.
    """
    return tuple(sorted(_process.ask("keywords", template, "{}"), key=len, reverse=True))
