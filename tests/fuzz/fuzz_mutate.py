"""Damaging files: bytes, and JSON, YAML and tables by their structure. The same random numbers damage in the same way."""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import yaml

DEEP_LIST = "[" * 3000 + "]" * 3000
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 7, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 0.0, -0.5, 1e-300, 1e300, float("inf"),
    float("nan"), "", " ", "x", "0", "-1", "NaN", "true", "null", "a" * 3000, "\0", "a\0b", "\ud800", "\udfff", "é\u202e", "\u2028",
    "../../../../etc/passwd", "../escaped", "/etc/passwd", "/", ".", "..", "~", "~nobody-of-that-name/x", "/dev/zero", "/dev/stdin",
    "file:../x", "file:/dev/zero", "hf:a/b", "run:.", "pypi:x/y==1:z", "http://127.0.0.1:9/x", "data:image/png;base64,AAAA",
    "data:image/png;base64," + "A" * 500, "[bold]x[/]", "\x1b[31m", "<image>", "<image>" * 50, "{}", "{0}", "{a.__class__}", "%s", "$HOME",
    "os:system", "os.path:join", "builtins:exec", [], {}, [[]], [None], {"": ""}, {"kind": "x"}, ["a"] * 300, [0] * 300, {"a": {"b": {"c": {}}}},
    {"__class__": "x"}, b"raw".decode(), "1e400", 1e18, -1e18, 3.7, 999999999, "zip:/x", "0x10", "🤔" * 40,
]  # fmt: skip
"""Values that some reader does not expect."""

BYTES = [
    b"\0",
    b"\xff",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"{",
    b"[",
    b"]",
    b"}",
    b'"',
    b"\n",
    b"\r",
    b":",
    b"- ",
    b"\t",
    b",",
    b"'",
    b"\\",
]
BYTES += [
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff" * 8,
    b"\0" * 8,
    b"1" * 5000,
    b"[" * 2000,
    b"NaN",
    b"Infinity",
    b"1e999",
]
BYTES += [
    b"<<: ",
    b"&a ",
    b"*a",
    b"!!python/object:os.system ",
    b"!!binary x",
    b"? ",
    b"\\ud800",
    b"\\u0000",
    b"<x>",
    b"]]>",
    b"<!DOCTYPE",
]

Damage = Callable[[random.Random, bytes], bytes]


def damage(draw: random.Random, name: str, content: bytes) -> bytes:
    """A file's content, damaged once to three times in ways that fit its name."""
    ways: list[Damage] = [raw]
    suffix = name.rpartition(".")[2]
    if suffix in {"json", "jsonl"}:
        ways += [as_json] * 4 if suffix == "json" else [as_lines] * 4
    elif suffix in {"yaml", "yml"}:
        ways += [as_yaml] * 4
    elif suffix in {"tsv", "csv", "txt", "xml"}:
        ways += [as_text] * 2
    elif suffix == "safetensors":
        ways += [as_safetensors] * 2
    elif suffix == "png":
        ways += [as_png]
    elif suffix == "parquet":
        ways += [as_parquet] * 2
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        try:
            content = draw.choice(ways)(draw, content)
        except Exception:  # damaged too much already to be damaged by its structure
            content = raw(draw, content)
    return content


def raw(draw: random.Random, content: bytes) -> bytes:
    """Bits turned, pieces cut, copied, moved and put in; lengths and numbers made large."""
    data = bytearray(content)
    size = len(data)
    if not size:
        return draw.choice(BYTES) * draw.randint(1, 3)
    here = draw.randrange(min(size, 512)) if draw.random() < 0.4 else draw.randrange(size)  # headers break most
    match draw.randrange(9):
        case 0:
            for _ in range(draw.randint(1, 8)):
                data[draw.randrange(size)] ^= 1 << draw.randrange(8)
        case 1:
            del data[here:]
        case 2:
            del data[here : here + draw.randint(1, 64)]
        case 3:
            data[here:here] = draw.choice(BYTES)
        case 4:
            data[here : here + 8] = struct.pack("<q", draw.choice([0, -1, 1, 2**62, 2**31, 255, size, size * 2]))
        case 5:
            data[here : here + 4] = struct.pack(draw.choice("<>") + "i", draw.choice([0, -1, 1, 2**31 - 1, 65536]))
        case 6:
            there = draw.randrange(size)
            data[there:there] = data[here : here + draw.randint(1, 256)]
        case 7:
            data[here : here + draw.randint(1, 64)] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 64)))
        case 8:
            data += draw.choice([bytes(data[:4096]), b"\0" * 64, b"\n\n", b"x"])
    return bytes(data)


def values(draw: random.Random, value: Any) -> Any:
    """Plain values with one of them changed, left out, doubled, renamed, moved or nested."""
    places: list[tuple[Any, Any]] = []

    def walk(at: Any) -> None:
        items = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
        for key, inner in items:
            places.append((at, key))
            walk(inner)

    walk(value)
    if not places:
        return draw.choice(ODD)
    at, key = draw.choice(places)
    before = at[key]
    match draw.randrange(12):
        case 0 | 1 | 2 | 3:
            at[key] = draw.choice(ODD)
        case 4:
            del at[key]
        case 5 if isinstance(at, dict):
            at[draw.choice(["kindd", "", "\0", "../x", str(key).upper(), f"{key}s", "kind"])] = at.pop(key)
        case 6:
            other, there = draw.choice(places)
            if there in (other if isinstance(other, dict) else range(len(other))):
                at[key] = json.loads(json.dumps(other[there]))
        case 7:
            at[key] = draw.choice([[before], {"x": before}, [before] * 50, str(before)])
        case 8 if isinstance(at, list):
            at.extend([before] * draw.choice([1, 2, 200]))
        case 9 if isinstance(before, str):
            at[key] = draw.choice(
                [before[: len(before) // 2], before + "\0", before * 30, f"../{before}", f"/{before}", before[::-1]]
            )
        case 9 | 10 if isinstance(before, int | float) and not isinstance(before, bool):
            at[key] = draw.choice(
                [-before, before * 10**6, before + 0.5, before - 1, before + 1, 0, str(before), before * 10**20]
            )
        case 11:
            nested: Any = before
            for _ in range(draw.choice([20, 60, 300])):
                nested = [nested] if draw.random() < 0.5 else {"a": nested}
            at[key] = nested
        case _:
            at[key] = draw.choice(ODD)
    return value


def as_json(draw: random.Random, content: bytes) -> bytes:
    """JSON with other values; now and then with doubled keys, or deeper than any reader likes."""
    text = json.dumps(values(draw, json.loads(content)), ensure_ascii=draw.random() < 0.8)
    match draw.randrange(12):
        case 0:
            at = text.find('": ', draw.randrange(len(text)))
            text = text[: at + 3] + DEEP_LIST + "," + text[at + 3 :] if at > 0 else text
        case 1:
            at = text.find('{"')
            key = text[at + 1 : text.find(":", at)]
            text = text[: at + 1] + f"{key}: 0, " + text[at + 1 :] if at >= 0 else text
        case 2:
            text = text.replace('": ', '": ' + draw.choice(["NaN", "1" * 5000, "-Infinity", "[" * 2000]) + ", ", 1)
    return text.encode("utf-8", "surrogatepass")


def as_lines(draw: random.Random, content: bytes) -> bytes:
    """JSON lines of which one is damaged, repeated or gone."""
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    match draw.randrange(6):
        case 0:
            lines[at] = raw(draw, lines[at])
        case 1:
            lines.insert(
                at, draw.choice([b"", b"null", b"[]", b"3", b"{}", b"x", b"\xff", DEEP_LIST.encode(), lines[at]])
            )
        case 2:
            del lines[at]
        case _:
            lines[at] = as_json(draw, lines[at])
    return b"\n".join(lines)


def as_yaml(draw: random.Random, content: bytes) -> bytes:
    """YAML with other values, or with what only YAML has: anchors, tags, merges, odd scalars."""
    if draw.random() < 0.65:
        changed = values(draw, yaml.safe_load(content))
        return yaml.safe_dump(changed, sort_keys=False, allow_unicode=draw.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )
    lines = content.decode().split("\n")
    at = draw.randrange(len(lines))
    key, colon, rest = lines[at].partition(": ")
    odd = draw.choice(
        [
            "!!int x", "!!float x", "!!bool x", "!!binary x", "!!timestamp x", "!!python/name:os.system", "!!set {a}", "2023-99-99", "0b_", "010",
            "1:30", "=", "<<", ".inf", ".nan", "&a [*a]", "*a", '"\\U00110000"', '"\\0"', "&a 1", "|", ">", "[", "{", "? [a]", "'", "1" * 5000,
            "[" * 300, "- " * 300, "!x y", "{<<: 1}", "{a: 1, a: 2}", "on", "~", "\t", "%", "@", "`", "{? {a: b} : c}", "!!str", "&a {b: *a}",
        ]
    )  # fmt: skip
    match draw.randrange(5):
        case 0 | 1:
            lines[at] = f"{key}{colon}{odd}" if colon else odd
        case 2:
            lines.insert(at, lines[at])
        case 3:
            lines[at] = f"{draw.choice(['', ' ', '   ', chr(9)])}{lines[at].lstrip()}"
        case 4:
            lines[at] = f"{key}{colon}&a {rest}"
            lines.append(f"z: {draw.choice(['*a', '{<<: *a}', '[*a, *a]'])}")
    return "\n".join(lines).encode()


def as_text(draw: random.Random, content: bytes) -> bytes:
    """Text with one of its words changed, or a line."""
    separator = draw.choice([b"\n", b"\t", b",", b" ", b">", b'"'])
    words = content.split(separator)
    at = draw.randrange(len(words))
    odd = draw.choice(ODD)
    words[at] = draw.choice(
        [b"", str(odd).encode("utf-8", "replace"), words[at] * 20, draw.choice(words), b'"', b"-1", b"1e999"]
    )
    return separator.join(words)


def as_safetensors(draw: random.Random, content: bytes) -> bytes:
    """The header with other values, its length kept right or not."""
    length = struct.unpack("<Q", content[:8])[0]
    header = as_json(draw, content[8 : 8 + length])
    announced = len(header) if draw.random() < 0.9 else draw.choice([0, 1, 2**40, 2**63 + 5, len(content) * 2])
    return struct.pack("<Q", announced) + header + content[8 + length :]


def as_png(draw: random.Random, content: bytes) -> bytes:
    """Other sides, depth and colour type in a header whose checksum is right."""
    sides = [0, 1, 7, 10_000, 100_000, 2**31 - 1, 2**32 - 1]
    header = struct.pack(
        ">IIBBBBB", draw.choice(sides), draw.choice(sides), draw.choice([1, 2, 4, 8, 16, 3]), draw.choice([0, 2, 3, 4, 6, 5]), 0, 0, draw.choice([0, 1])
    )  # fmt: skip
    chunk = b"IHDR" + header
    return content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]


def as_parquet(draw: random.Random, content: bytes) -> bytes:
    """The table with other values, where they still make a table."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    held: dict[str, bytes] = {}

    def hold(value: Any) -> Any:
        if isinstance(value, bytes):
            held[f"bytes {len(held)}"] = value
            return f"bytes {len(held) - 1}"
        if isinstance(value, dict):
            return {key: hold(inner) for key, inner in value.items()}
        return [hold(inner) for inner in value] if isinstance(value, list) else value

    def give(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: give(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [give(inner) for inner in value]
        return raw(draw, held[value]) if isinstance(value, str) and value in held else value

    column = values(draw, {"rows": hold(rows)})["rows"]
    try:
        table = pa.Table.from_pylist(give(column))
    except (pa.ArrowException, AttributeError, UnicodeError) as error:
        raise ValueError from error
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()
