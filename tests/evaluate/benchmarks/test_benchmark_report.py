"""A run's report shows benchmarks, the official rule beside ours, and the pictures asked about."""

from __future__ import annotations

import json
from pathlib import Path

from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.responders.degenerate import Degenerate
from triptych.evaluate.results import record_results
from triptych.report import compare_table, write_report


def test_benchmarks_in_the_report(data: Path, tmp_path: Path) -> None:
    facts = {
        "name": "r",
        "stages": [],
        "hardware": {},
        "triptych": "0",
        "python": "3",
        "torch": "2",
        "transformers": "5",
    }
    for kind in ("empty", "always-yes"):
        run = tmp_path / kind
        run.mkdir()
        (run / "run.json").write_text(json.dumps(facts))
        for name in ("pope-official", "chair", "coco-val-captions"):
            done = run_benchmark(catalogue.load(name), Degenerate(kind), run, kind, Options(data=data, progress=False))
            record_results(run, {name: done}, {"fingerprint": kind})
    page = write_report(tmp_path / "empty").read_text()
    assert "official rule: pope script" in page
    assert "data:image/" in page
    table = compare_table([tmp_path / "empty", tmp_path / "always-yes"])
    assert len(table.rows) > 10
