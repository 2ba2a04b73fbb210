"""Tables at any width: nothing is cut, nothing is lost, nothing is empty."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from rendered import columns_of, rendered
from triptych.console import UNBOUNDED
from triptych.tables import Column, Table, folded

WORD = st.text(
    st.characters(categories=["Ll", "Nd"], include_characters="_-./", max_codepoint=0x17F), min_size=1, max_size=40
)
CELL = st.lists(WORD, max_size=6).map(" ".join)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    kinds = draw(st.lists(st.booleans(), max_size=9))
    table = Table([Column("name", key=True), *(Column(f"c{i}", number=number) for i, number in enumerate(kinds))])
    for _ in range(draw(st.integers(1, 5))):
        cells = [draw(st.sampled_from(["", "0.812", "0.790 – 0.834", "1.2e-06"])) if n else draw(CELL) for n in kinds]
        table.row(draw(WORD), *cells)
    return table


@given(tables(), st.integers(60, 200))
def test_every_cell_is_whole_and_every_line_fits(table: Table, width: int) -> None:
    text = rendered(table, width)
    assert max(map(len, text.splitlines())) <= width
    shown: dict[str, str] = {}
    for block in columns_of(text):
        for head, *lines in block:
            assert any(lines)
            shown.setdefault(head, "".join("".join(lines).split()))  # names again in later blocks
            if head != "name" and table.columns[[c.head for c in table.columns].index(head)].number:
                assert {line for line in lines if line} <= {"0.812", "0.790 – 0.834", "1.2e-06"}  # never wrapped
    for i, column in enumerate(table.columns):
        content = "".join("".join(row[i].plain.split()) for row in table.rows)
        assert shown.get(column.head, "") == content


@given(tables())
def test_a_pipe_has_a_line_for_every_row(table: Table) -> None:
    text = rendered(table, UNBOUNDED)
    assert len(text.splitlines()) == len(table.rows) + 4
    for row in table.rows:
        assert any(all(cell.plain in line for cell in row) for line in text.splitlines())


@given(st.text(st.characters(categories=["L", "Nd", "Zs", "Po"]), max_size=80), st.integers(2, 30))
def test_folding_adds_line_breaks_and_nothing_else(text: str, width: int) -> None:
    assert folded(Text(text), width).plain.replace("\n", "") == text.replace("\n", "")


def test_long_names_are_folded_behind_a_separator() -> None:
    assert folded(Text("coco_pope_adversarial_accuracy"), 24).plain == "coco_pope_adversarial_\naccuracy"
    assert folded(Text("short"), 24).plain == "short"


def test_columns_without_room_follow_below_beside_the_names_again() -> None:
    table = Table([Column("score", key=True), *(Column(f"a column {i}", number=True) for i in range(12))])
    table.row("macro_accuracy", *["0.790 – 0.834"] * 12)
    table.row("coco_pope_adversarial_accuracy", *["0.790 – 0.834"] * 2)
    blocks = columns_of(rendered(table))
    assert len(blocks) > 1 and all(block[0][0] == "score" for block in blocks)
    assert [column[0] for block in blocks for column in block[1:]] == [f"a column {i}" for i in range(12)]
    assert "coco_pope_adversarial_accuracy" not in blocks[-1][0]  # nothing to say there


def test_empty_columns_are_left_out() -> None:
    table = Table([Column("score", key=True), Column("control", number=True), Column("chance", number=True)])
    table.row("accuracy", "", "0.500")
    assert "control" not in rendered(table) and "chance" in rendered(table)


def test_groups_are_said_once_to_people_and_in_every_line_of_a_pipe() -> None:
    table = Table([Column("system", key=True, grouped=True), Column("what", key=True)])
    for what in ("logits", "loss"):
        table.row("clip", what)
    assert rendered(table).count("clip") == 2  # no terminal


@pytest.mark.parametrize("cell", ["[bold]x[/]", "[/]"])
def test_cells_are_no_markup(cell: str) -> None:
    table = Table([Column(cell, key=True)], title=cell, notes=[cell])
    table.row(cell)
    assert rendered(table).count(cell) == 4


def test_escape_codes_in_data_do_not_reach_the_terminal() -> None:
    table = Table([Column("name", key=True)])
    table.row("a\x1b]0;title\x07b")
    table.row(Text("c\x1b[2Jd", style="red"))
    text = rendered(table)
    assert "\x1b" not in text and "\x07" not in text and "a␛]0;title␇b" in text


def test_a_pipe_gets_neither_colours_nor_cut_lines() -> None:
    code = (
        "from triptych.console import make_console; from triptych.tables import *; from rich.text import Text\n"
        "table = Table([Column('name', key=True), Column('text')], 'a title ' * 40)\n"
        "table.row('x' * 90, Text('word ' * 60, style='red'))\n"
        "make_console().print(table); make_console().print('[red]a line[/] ' * 40)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
    )
    assert "\x1b" not in done.stdout and len(done.stdout.splitlines()) == 7
    assert re.search("x{90} │ (word ){60}", done.stdout) and "…" not in done.stdout
