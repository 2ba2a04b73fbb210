"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import fake_run
import pytest
from PIL import Image
from rich.console import Console
from test_report import Page

from triptych.errors import EvaluationError
from triptych.report import compare_html, compare_plot, compare_table


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [fake_run.write_run(tmp_path / name, name, skill) for name, skill in (("mlp", 0.93), ("linear", 0.6))]


def printed(runs: list[Path]) -> str:
    console = Console(width=160, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as capture:
        console.print(compare_table(runs))
    return capture.get()


def test_the_table_shows_scores_intervals_differences_and_cost(runs: list[Path]) -> None:
    lines = {line.split("│")[1].strip(): line for line in printed(runs).splitlines() if line.count("│") > 2}
    assert "0.930 (0.908–0.952)" in lines["scenes: existence F1"]
    assert "0.600 (0.578–0.622)" in lines["scenes: existence F1"]
    assert "17 min 16 s" in lines["training time"] and "2.60 GiB" in lines["peak memory"]
    difference = lines["scenes: naming accuracy"].split()
    assert any(word.startswith("−0.") and word.endswith("*") for word in difference)


def test_the_page_and_the_plot_hold_every_run(runs: list[Path], tmp_path: Path) -> None:
    page = Page(compare_html(runs, tmp_path / "out" / "compare.html").read_text(encoding="utf-8"))
    assert page.text.index("scenes") < page.text.index("captions")  # the order of the results
    assert page.text.count("linear") >= 8 and page.text.count("0.930") >= 1
    assert not any(tag == "script" for tag, _ in page.elements)
    pytest.importorskip("matplotlib", reason="the plot is an extra")
    with Image.open(compare_plot(runs, tmp_path / "out" / "compare.png")) as picture:
        assert picture.format == "PNG" and picture.width > 800


def test_a_run_that_lacks_a_task_has_a_gap(runs: list[Path]) -> None:
    results = json.loads((runs[1] / "results.json").read_text())
    del results["tasks"]["captions"]
    (runs[1] / "results.json").write_text(json.dumps(results))
    (line,) = [line for line in printed(runs).splitlines() if "CIDEr-D" in line]
    assert line.split("│")[3].strip() == "–"


def test_names_from_files_are_not_taken_for_markup(tmp_path: Path) -> None:
    run = fake_run.write_run(tmp_path / "[bold]x")
    assert "[bold]x" in printed([run])
    page = Page(compare_html([run], tmp_path / "c.html").read_text())
    assert "[bold]x" in page.text


def test_a_run_without_results_is_told_how_to_get_them(tmp_path: Path) -> None:
    run = fake_run.write_run(tmp_path / "run")
    (run / "results.json").unlink()
    with pytest.raises(EvaluationError, match="triptych evaluate"):
        compare_table([run])


def test_the_score_that_counts_is_the_first_of_its_task(runs: list[Path]) -> None:
    for run in runs:
        results = json.loads((run / "results.json").read_text())
        results["tasks"]["captions"]["facts"] = {"headline": "rouge_l"}
        (run / "results.json").write_text(json.dumps(results))
    names = [line.split("│")[1].strip() for line in printed(runs).splitlines() if line.startswith("│ captions")]
    assert names == ["captions: ROUGE-L", "captions: CIDEr-D", "captions: BLEU-4"]
