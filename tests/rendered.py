"""What a table looks like at a width, taken apart again, for tests."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType


def rendered(table: RenderableType, width: int = 80) -> str:
    """The lines that a console of a width prints."""
    stream = io.StringIO()
    Console(file=stream, width=width).print(table)
    return stream.getvalue()


def columns_of(text: str) -> list[list[list[str]]]:
    """Every boxed table in a text: its columns, each with its cells line by line, the head's lines first."""
    tables: list[list[list[str]]] = []
    edges: list[int] = []
    for line in text.splitlines():
        if line[:1] in ("┏", "┌"):
            edges = [place for place, character in enumerate(line) if character in "┏┳┓┌┬┐"]
            tables.append([[] for _ in edges[1:]])
        elif line[:1] in ("┃", "│"):
            for column, start, end in zip(tables[-1], edges, edges[1:], strict=False):
                column.append(line[start + 1 : end].strip())
    return tables


def check_readable(text: str, names: list[str], width: int = 80) -> None:
    """Names are whole in the first column or the one beside it, no column is empty, and no line is too long."""
    assert max(map(len, text.splitlines())) <= width
    tables = columns_of(text)
    assert tables
    spaceless = ["".join("".join(column).split()) for table in tables for column in table[:3]]
    for name in names:
        assert any("".join(name.split()) in column for column in spaceless), name
    for column in (column for table in tables for column in table):
        assert any(column), text
