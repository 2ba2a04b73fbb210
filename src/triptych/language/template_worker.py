"""The process that renders chat templates: they come from checkpoints, so nobody knows what they do.

One line of JSON in, one line out. Bounds hold by the operating system (processor time, memory) and by Jinja's sandbox, and
the parent waits no longer than `WALL_SECONDS` (`triptych.language.template_render`). Imports nothing but Jinja, so that it
starts in a tenth of a second.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_SECONDS = 1.0
"""Processor time of one rendering."""

WALL_SECONDS = 20.0
"""Time that the parent waits, where the system keeps no count of processor time."""

OUTPUT_CHARACTERS = 4_000_000
"""Length of what a template may write."""

MEMORY_BYTES = 1 << 30
"""Address space of this process."""

OPERAND_LIMIT = 1_000_000
"""Length of a product of a text or list with a number, and bits of a power."""


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}`, by which templates mark answers for transformers: written as it stands."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's interface

    def parse(self, parser: Parser) -> nodes.Node:
        """The block as a call that returns what is inside."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_inside"), [], [], body).set_lineno(line)

    def _inside(self, caller: Macro) -> str:
        return str(caller())


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which products and powers have bounds (and are not computed by the compiler)."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The product or power, where it is small. Raises SecurityError where not."""
        if operator == "**":
            bits = left.bit_length() * abs(right) if isinstance(left, int) and isinstance(right, int) else 0
        else:
            pair = (left, right) if hasattr(left, "__len__") else (right, left)
            bits = len(pair[0]) * pair[1] if hasattr(pair[0], "__len__") and isinstance(pair[1], int) else 0
        if bits > OPERAND_LIMIT:
            raise SecurityError(f"{operator!r} makes something too large")
        return super().call_binop(context, operator, left, right)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


@lru_cache(maxsize=1)
def environment() -> _Sandbox:
    """Jinja as transformers sets it up for chat templates (`utils/chat_template_utils.py`)."""
    made = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    made.filters["tojson"] = _tojson
    made.globals.update({"raise_exception": _raise, "strftime_now": _now})
    return made


@lru_cache(maxsize=64)
def _compiled(source: str) -> Template:
    return environment().from_string(source)


def render(source: str, variables: dict[str, Any]) -> str:
    """What a template writes.

    Raises:
        TemplateError: It refuses, is malformed, or writes too much.
    """
    pieces: list[str] = []
    length = 0
    for piece in _compiled(source).generate(**variables):
        length += len(piece)
        if length > OUTPUT_CHARACTERS:
            raise TemplateError(f"it writes more than {OUTPUT_CHARACTERS:,} characters")
        pieces.append(piece)
    return "".join(pieces)


def keywords(source: str, _: dict[str, Any]) -> list[str]:
    """The texts that a template looks for in what is said: by `in`, or as arguments of methods and filters of texts.

    Names such as `tool_calls` are left out: by `in`, templates ask whether a message has a key of that name.
    """
    tree = environment().parse(source)
    sought: list[nodes.Node] = [
        compared.expr for compared in tree.find_all(nodes.Compare) if compared.ops[0].op in {"in", "notin"}
    ]
    for called in tree.find_all(nodes.Call):
        if isinstance(called.node, nodes.Getattr):
            sought += called.args
    for filtered in tree.find_all(nodes.Filter):
        sought += filtered.args
    values = {node.value for node in sought if isinstance(node, nodes.Const) and isinstance(node.value, str)}
    return sorted(value for value in values if value.strip() and not value.strip().isidentifier())


TASKS: dict[str, Callable[[str, dict[str, Any]], Any]] = {"render": render, "keywords": keywords}


def _limit() -> None:
    """Have the system end this process where it takes too much memory; systems without such limits have the others."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass


def _clock(seconds: float) -> None:
    """Have the system end this process after so much processor time from now; 0 takes that back."""
    import signal

    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)  # nobody handles its signal, so it ends the process


def serve() -> None:
    """Answer until the parent closes the pipe."""
    _limit()
    environment()
    answers = sys.stdout
    sys.stdout = sys.stderr
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        _clock(CPU_SECONDS)
        try:
            answer = {"done": TASKS[request["task"]](request["template"], request["variables"])}
        except (MemoryError, RecursionError) as error:
            answer = {"error": f"it needs too much memory ({type(error).__name__})"}
        except Exception as error:  # whatever a template does is an answer
            answer = {
                "error": f"{type(error).__name__}: {error}"[:500]
                if not isinstance(error, TemplateError)
                else str(error)[:500]
            }
        _clock(0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
