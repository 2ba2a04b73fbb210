"""YAML text → nodes, within bounds of depth and of size, so that no text takes more time or memory than its length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

MAX_DEPTH = 50
"""Mappings and lists inside each other."""

MAX_VALUES = 20_000
"""Values of a file after its aliases are copied; each 64 characters of a text count as one more. The longest recipe here
has 300."""

TAG = "tag:yaml.org,2002:"

SCALARS: dict[str, tuple[str, list[str]]] = {
    "bool": (r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", list("yYnNtTfFoO")),
    "float": (
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "int": (
        r"[-+]?(?:0b_*[01][01_]*|0x_*[0-9a-fA-F][0-9a-fA-F_]*|0_*[0-7][0-7_]*|0|[1-9][0-9_]*)",
        list("-+0123456789"),
    ),
    "merge": (r"<<", ["<"]),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}
"""What unquoted text means: kind → the whole text's pattern, and its first character."""


class Mistake(Exception):
    """What is wrong with a text, and on which line."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


def nodes(text: str) -> Node | None:
    """The nodes of a text; None where it is empty."""
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except ReaderError as error:
        code = error.character if isinstance(error.character, int) else ord(error.character)
        line = text.count("\n", 0, error.position) + 1
        raise Mistake(f"it holds the character U+{code:04X}, which YAML does not allow", line) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ": ".join(part for part in (error.context, error.problem) if part)
        raise Mistake(problem[:300], mark.line + 1 if mark is not None else 1) from None
    except (ValueError, OverflowError):  # "\U00110000"
        raise Mistake(
            "`\\U` with a number that no character has", loader.get_mark().line + 1 if loader is not None else 1
        ) from None


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """Text → nodes, within bounds of depth and of size after aliases are copied."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.depth = self.count = 0
        self.sizes: dict[int, int] = {}  # by the node's id: nodes live as long as this does

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH:
            raise Mistake(f"mappings and lists are nested more than {MAX_DEPTH} deep", line)
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is None:
            return None
        if alias and id(node) not in self.sizes:
            raise Mistake("an alias stands inside what it stands for", line)
        size = 1 + len(node.value) // 64 if isinstance(node, ScalarNode) else 1
        size += sum(self.sizes[id(child)] for child in children(node))
        if max(size, self.count) > MAX_VALUES:  # `count` stops a long list before its end is reached
            raise Mistake(f"it has more than {MAX_VALUES:,} values, aliases counted as often as they stand there", line)
        self.sizes[id(node)] = size
        return node


for _kind, (_pattern, _beginnings) in SCALARS.items():
    _Loader.add_implicit_resolver(TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), _beginnings)


def children(node: Node) -> Iterator[Node]:
    """The nodes right inside a list or a mapping, keys too."""
    if isinstance(node, SequenceNode):
        yield from node.value
    elif isinstance(node, MappingNode):
        for pair in node.value:
            yield from pair
