"""YAML as recipes, task files and studies are written: a plain part of it, with the line of every mistake.

    bytes → text → nodes (bounded: size, depth, aliases) → plain values, and the lines they stand on

Plain values are mappings, lists, text, finite numbers, true/false and null. What YAML 1.1 reads as something else than
it looks like is text (`2024-01-01`, `16:9`, `=`) or refused (`010`, `on` as a key, two keys of one name). `1e-3` is a number.
Aliases (`*name`) are copies: nothing of what is read is shared.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from triptych.errors import RecipeError, quoted
from triptych.yaml_nodes import SCALARS, TAG, Mistake, nodes

MAX_BYTES = 1 << 20
"""The largest file; PyYAML reads some 400 kB a second."""

BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


@dataclass(frozen=True)
class Document:
    """What a YAML file says.

    Args:
        path: Of the file.
        values: Plain values.
        root: The nodes that they were made from; None where the file is empty.
    """

    path: Path
    values: Any
    root: Node | None

    def line(self, keys: Iterable[str | int]) -> tuple[int, int]:
        """How many of the nested keys are in the file, and the line on which the last of these stands.

        Keys that are not there are passed over: the path of a validation error has names of union members in it.
        """
        node, line, depth = self.root, 1, 0
        for key in keys:
            pair = next(((at, value) for name, at, value in _pairs(node) if name == str(key)), None)
            if pair is not None:
                line, node, depth = pair[0].start_mark.line + 1, pair[1], depth + 1
        return depth, line


def read_yaml_file(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        RecipeError: It is no file of plain YAML; the message has the line.
        OSError: The system does not let it be read.
    """
    try:
        root = nodes(_text(path))
        return Document(path, None if root is None else _value(root), root)
    except Mistake as mistake:
        raise RecipeError(f"{path}:{mistake.line}: not valid YAML: {mistake}") from None


def read_yaml(text: str, where: str) -> Any:
    """Plain values of YAML text.

    Args:
        text: The text.
        where: What it is, for messages.

    Raises:
        RecipeError: It is no plain YAML.
    """
    try:
        root = nodes(text)
        return None if root is None else _value(root)
    except Mistake as mistake:
        line = f" (line {mistake.line})" if "\n" in text.strip() else ""
        raise RecipeError(f"{where}: not valid YAML: {mistake}{line}") from None


def write_yaml(values: Any) -> str:
    """YAML that `read_yaml` reads back the same."""

    def written(as_it_is: bool) -> str:
        return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=as_it_is, width=110)

    text = written(True)
    return written(False) if "\x85" in text else text  # a line's end that PyYAML writes as it is and does not read back


class _Dumper(yaml.SafeDumper):
    """Puts into quotes what `read_yaml` or YAML 1.1 would not read as text."""


for _kind, (_pattern, _beginnings) in SCALARS.items():
    _Dumper.add_implicit_resolver(TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), _beginnings)


def _text(path: Path) -> str:
    info = path.stat()
    if stat.S_ISDIR(info.st_mode):
        raise RecipeError(f"{path}: is a folder, expected a YAML file")
    if not stat.S_ISREG(info.st_mode):  # a pipe may never end, and opening one waits for its writer
        raise RecipeError(f"{path}: is no regular file, but a pipe or a device")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise RecipeError(
            f"{path}: is larger than {MAX_BYTES >> 20} MiB, too large for a YAML file that a person writes"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "; it looks like UTF-16, save it as UTF-8" if utf16 else ""
        raise Mistake(f"not UTF-8 text ({error.reason}){hint}", data.count(b"\n", 0, error.start) + 1) from None


def _value(node: Node) -> Any:
    """A node's plain value. A node that an alias points at is made into a value each time."""
    if isinstance(node, SequenceNode) and node.tag == TAG + "seq":
        return [_value(item) for item in node.value]
    if isinstance(node, MappingNode) and node.tag == TAG + "map":
        return _mapping(node)
    if isinstance(node, ScalarNode):
        return _scalar(node)
    raise _strange(node)


def _scalar(node: ScalarNode) -> Any:
    text, line = node.value, node.start_mark.line + 1
    match node.tag.removeprefix(TAG):
        case "str" | "merge":
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise Mistake(f"the text {quoted(text)} holds half a surrogate pair, which is no character", line)
            return text
        case "null" if re.fullmatch(SCALARS["null"][0], text):
            return None
        case "bool" if text.lower() in BOOLEANS:
            return BOOLEANS[text.lower()]
        case "int" if re.fullmatch(SCALARS["int"][0], text):
            return _whole(text, line)
        case "float" if re.fullmatch(rf"{SCALARS['float'][0]}|[-+]?[0-9][0-9_]*", text):
            number = float(re.sub(r"\.(?=[in])", "", text.replace("_", "").lower()))  # YAML writes `.inf`, Python `inf`
            if not math.isfinite(number):
                raise Mistake(f"{quoted(text)} is no finite number", line)
            return number
        case "int" | "float" | "bool" | "null" as kind:
            raise Mistake(f"the tag !!{kind} does not fit {quoted(text)}", line)
    raise _strange(node)


def _whole(text: str, line: int) -> int:
    digits = text.replace("_", "").lower()
    sign, digits = (-1 if digits.startswith("-") else 1), digits.lstrip("+-")
    if len(digits) > 66:
        raise Mistake(f"{quoted(text)} is larger than 64 bits hold", line)
    base = {"0b": 2, "0x": 16}.get(digits[:2], 10)
    if base == 10 and digits != "0" and digits.startswith("0"):
        octal = sign * int(digits, 8)
        raise Mistake(
            f"{text} is {octal} in YAML 1.1 and {sign * int(digits)} in YAML 1.2; write it without the leading 0, "
            "or in quotes if it is a text",
            line,
        )
    number = sign * int(digits if base == 10 else digits[2:], base)
    if not -(2**63) <= number < 2**64:
        raise Mistake(f"{quoted(text)} is larger than 64 bits hold", line)
    return number


def _mapping(node: MappingNode) -> dict[Any, Any]:
    own: dict[Any, Any] = {}
    lines: dict[Any, int] = {}
    merged: list[dict[Any, Any]] = []
    for key_node, value_node in node.value:
        key, line = _key(key_node), key_node.start_mark.line + 1
        if key in lines:
            raise Mistake(f"the key {quoted(key)} stands on line {lines[key]} already; keep one", line)
        lines[key] = line
        if key_node.tag == TAG + "merge":
            for source in value_node.value if isinstance(value_node, SequenceNode) else [value_node]:
                if not isinstance(source, MappingNode):
                    raise Mistake("`<<` takes a mapping, or a list of mappings", line)
                merged.append(_mapping(source))
        else:
            own[key] = _value(value_node)
    result: dict[Any, Any] = {}
    for values in reversed(merged):  # the first of several counts, and a mapping's own keys before all
        result |= values
    return result | own


def _key(node: Node) -> str | int | float:
    key = _value(node) if isinstance(node, ScalarNode) else None
    if isinstance(key, str | int | float) and not isinstance(key, bool):
        return key
    if isinstance(node, ScalarNode):
        raise Mistake(
            f"the key {quoted(node.value)} is read as {str(key).lower().replace('none', 'null')}; put it into quotes",
            node.start_mark.line + 1,
        )
    raise Mistake("a key is a text, not a list or a mapping", node.start_mark.line + 1)


def _strange(node: Node) -> Mistake:
    tag = node.tag.replace(TAG, "!!")
    return Mistake(f"the tag {quoted(tag)} means nothing here", node.start_mark.line + 1)


def _pairs(node: Node | None) -> Iterator[tuple[str, Node, Node]]:
    """The items of a mapping or a list: key or number, where it stands, value; merged ones after the mapping's own."""
    if isinstance(node, SequenceNode):
        yield from ((str(i), item, item) for i, item in enumerate(node.value))
    if not isinstance(node, MappingNode):
        return
    merges: list[Node] = []
    for key, value in node.value:
        if key.tag == TAG + "merge":
            merges += value.value if isinstance(value, SequenceNode) else [value]
        else:
            yield str(key.value), key, value
    for source in merges:
        yield from _pairs(source)
