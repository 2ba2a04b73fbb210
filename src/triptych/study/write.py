"""Writing what a study found: `results.json`, `table.md`, `study.png`, `report.html`."""

from __future__ import annotations

from triptych.files import write_atomically
from triptych.study.findings import FILE, Findings, dump_findings
from triptych.study.plan import StudyPlan
from triptych.study.results import collect
from triptych.study.table import markdown


def write_results(plan: StudyPlan, draw: bool = True) -> Findings:
    """Collect the finished runs and write the results.

    Args:
        plan: The study.
        draw: Draw the plot and the page, too; without matplotlib the plot is left out.

    Raises:
        EvaluationError: No run is finished, or a score that was asked for was not measured.
    """
    findings = collect(plan)
    write_atomically(plan.folder / FILE, dump_findings(findings))
    write_atomically(plan.folder / "table.md", markdown(findings))
    if draw:
        from triptych.study.plot import draw_study
        from triptych.study.report import write_page

        draw_study(findings, plan.folder / "study.png")
        write_page(findings, plan)
    return findings
