"""What a study prints at 80 columns."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from rendered import check_readable, columns_of, rendered
from triptych.cli.commands.study import Progress, findings_table, show_plan
from triptych.study.findings import load_findings
from triptych.study.plan import StudyPlan
from triptych.study.table import header

MakeStudy = Callable[..., StudyPlan]


def test_the_runs_and_the_results_of_a_study(make_study: MakeStudy, finished: Path) -> None:
    made, stream = make_study(seeds=list(range(12))), io.StringIO()
    show_plan(made, Console(file=stream, width=80))
    tables = "\n".join(line for line in stream.getvalue().splitlines() if line[:1] in "┏┃┡│├└")
    check_readable(tables, list(made.study.variants))
    findings = load_findings(finished)
    text = rendered(findings_table(findings))
    check_readable(text, [variant.name for variant in findings.variants])
    first = columns_of(text)[0][1]
    assert "".join("".join(first).split()).startswith("".join(header(findings)[1].split()))  # the score that decides


def test_a_log_has_a_line_a_minute_while_a_run_works(make_study: MakeStudy) -> None:
    run, stream, seconds = make_study().runs[0], io.StringIO(), iter(range(0, 10_000, 7))
    console = Console(file=stream, width=1 << 20)
    with console.status("") as status:
        watcher = Progress(console, status, lambda: float(next(seconds)))
        watcher.begins(run, 1, 4, 3600.0)
        for _ in range(100):
            watcher.works(run, "training")
    began, *lines = stream.getvalue().splitlines()
    assert began == f"run 1 of 4, {run.name}; about 1 h 00 min left"
    assert 5 < len(lines) < 15 and set(lines) == {f"{began}: training"}
