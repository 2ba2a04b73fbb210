"""Tables that are readable at any width.

Names of rows are whole, numbers stand on one line, texts wrap. Columns are given in the order of their importance, and those
for which there is no room follow below, beside the names again:

    ┃ score             ┃ value ┃ 95 % interval ┃
    │ macro_accuracy    │ 0.812 │ 0.790 – 0.830 │
    ┃ score             ┃ shuffled pictures ┃ chance ┃
    │ macro_accuracy    │             0.503 │  0.500 │

A pipe has room for every row on one line (see `console`). A column without content is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {127: 0x2421}
"""Control characters are shown as the pictures that Unicode has of them: cells hold data, which may hold escape codes."""


@dataclass(frozen=True)
class Column:
    """A column.

    Args:
        head: Its name.
        number: Aligned to the right, and on one line.
        key: Names the row, so it is repeated wherever columns of the row stand.
        grouped: On a terminal, not said again where it is that of the row above.
        style: Of its cells.
        least: Characters below which a text is not narrowed. (Keys are not narrowed below their longest word.)
    """

    head: str
    number: bool = False
    key: bool = False
    grouped: bool = False
    style: str = ""
    least: int = 20


class Table:
    """A table; print it with a console.

    Args:
        columns: Keys first, then the others in the order of their importance.
        title: Above it.
        notes: Lines below it.
        heads: Whether the names of columns are shown.
        boxed: Whether lines are drawn.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        title: str | Text = "",
        notes: Iterable[str | Text] = (),
        heads: bool = True,
        boxed: bool = True,
    ) -> None:
        self.columns = tuple(columns)
        self.title, self.notes, self.heads, self.boxed = title, list(notes), heads, boxed
        self.rows: list[tuple[Text, ...]] = []
        self._ends: set[int] = set()

    def row(self, *cells: str | Text) -> None:
        """Add a row; a `str` is no markup, and cells that are not given are empty."""
        missing = len(self.columns) - len(cells)
        self.rows.append(tuple(_text(cell) for cell in (*cells, *[""] * missing)))

    def section(self) -> None:
        """Draw a line below the last row."""
        self._ends.add(len(self.rows) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text.assemble(_text(self.title), style="italic")
        for place, (columns, widths) in enumerate(self._blocks(options.max_width)):
            yield self._block(columns, widths, whole=place == 0, repeat=not console.is_terminal)
        for note in self.notes:
            yield Text.assemble(_text(note), style="dim italic")

    def _blocks(self, room: int) -> Iterator[tuple[list[int], list[int]]]:
        """Columns that stand side by side, and their widths: the keys and as many others as there is room for."""
        shown = [i for i in range(len(self.columns)) if any(row[i] for row in self.rows) or not self.rows]
        keys = [i for i in shown if self.columns[i].key]
        natural = {i: max(self._lines(i), default=0) for i in shown}
        least = {i: min(self._least(i), natural[i]) for i in shown}
        rest = [i for i in shown if i not in keys]
        inner = room - self._frame(len(keys) + 1)
        widest = max((self._number(i) for i in rest if self.columns[i].number), default=0)
        for i in keys:  # a name of one long word is folded before it takes the room of a number
            least[i] = min(least[i], max(6, min(inner - widest, 2 * inner // 3) // len(keys)))
        beside = max(1, inner - sum(least[i] for i in keys))
        least |= {i: min(least[i], beside) for i in rest}
        block: list[int] = list(keys)
        for i in rest:
            if len(block) > len(keys) and sum(least[j] for j in [*block, i]) + self._frame(len(block) + 1) > room:
                yield block, self._widths(block, least, natural, room)
                block = list(keys)
            block.append(i)
        if block:
            yield block, self._widths(block, least, natural, room)

    def _widths(self, block: list[int], least: dict[int, int], natural: dict[int, int], room: int) -> list[int]:
        """The room shared out: what is left above the least widths goes to those that are still narrower than their content."""
        widths = {i: least[i] for i in block}
        spare = room - self._frame(len(block)) - sum(widths.values())
        shares = {i: 2 if self.columns[i].key else 1 for i in block}
        for i in sorted(block, key=lambda i: (natural[i] - least[i]) / shares[i]):
            given = max(0, min(natural[i] - least[i], spare * shares[i] // sum(shares.values())))
            widths[i] += given
            spare -= given
            del shares[i]
        return [widths[i] for i in block]

    def _frame(self, columns: int) -> int:
        """Characters that lines and spaces between columns take."""
        return 3 * columns + 1 if self.boxed else 2 * (columns - 1)

    def _lines(self, i: int) -> Iterator[int]:
        """Lengths of a column's lines."""
        heads = [self.columns[i].head] if self.heads else []
        yield from (
            cell_len(line) for text in (*heads, *(row[i].plain for row in self.rows)) for line in text.split("\n")
        )

    def _least(self, i: int) -> int:
        """To how many characters a column can be narrowed: one of numbers to its widest, one of names to its longest word."""
        column = self.columns[i]
        head = max(map(cell_len, column.head.split()), default=0) if self.heads else 0
        if column.number:
            return max(head, self._number(i))
        longest = max((cell_len(word) for row in self.rows for word in row[i].plain.split()), default=0)
        return max(head, longest if column.key else column.least)

    def _number(self, i: int) -> int:
        """Characters of a column's widest line below its head."""
        return max((cell_len(line) for row in self.rows for line in row[i].plain.split("\n")), default=0)

    def _block(self, columns: list[int], widths: list[int], whole: bool, repeat: bool) -> RichTable:
        """Some columns of the table; below the first such block, without the rows that say nothing in them."""
        keys = [i for i in columns if self.columns[i].key]
        drawn = RichTable(
            box=box.HEAVY_HEAD if self.boxed and self.heads else box.SQUARE if self.boxed else None,
            show_header=self.heads, show_edge=self.boxed, pad_edge=self.boxed, padding=(0, 1) if self.boxed else (0, 2, 0, 0),
        )  # fmt: skip
        for i, width in zip(columns, widths, strict=True):
            column = self.columns[i]
            drawn.add_column(
                folded(Text(column.head), width), width=width, style=column.style, overflow="fold",
                justify="right" if column.number else "left",
            )  # fmt: skip
        before: dict[int, str] = {}
        for number, row in enumerate(self.rows):
            ends = number in self._ends
            if whole or len(columns) == len(keys) or any(row[i] for i in columns if i not in keys):
                cells = []
                for i, width in zip(columns, widths, strict=True):
                    said = self.columns[i].grouped and not repeat and before.get(i) == row[i].plain
                    cells.append(Text() if said else folded(row[i], width))
                    before[i] = row[i].plain
                drawn.add_row(*cells)
            if ends and drawn.rows:
                drawn.rows[-1].end_section = True
        return drawn


def folded(text: Text, width: int) -> Text:
    """A text whose words longer than `width` go on in the next line, behind a `_`, `-`, `.`, `/`, `:` or `,` where one is near."""
    cuts: list[int] = []
    for word in re.finditer(r"\S+", text.plain):
        start = word.start()
        while cell_len(text.plain[start : word.end()]) > width:
            sizes = accumulate(map(cell_len, text.plain[start : word.end()]))
            fits = max(1, sum(size <= width for size in sizes))
            good = [i + 1 for i in range(fits // 2, fits) if text.plain[start + i] in "_-./:,"]
            start += good[-1] if good else fits
            cuts.append(start)
    return Text("\n").join(text.divide(cuts)) if cuts else text


def _text(cell: str | Text) -> Text:
    if isinstance(cell, str):
        return Text(cell.translate(CONTROLS))
    text = cell.copy()
    text.plain = text.plain.translate(CONTROLS)  # of the same length, so styles stay where they are
    return text
