"""Reports: one page about a run, and runs side by side as a table, a page and a plot."""

from triptych.report.compare import compare_html, compare_plot, compare_table
from triptych.report.write import write_report

__all__ = ["compare_html", "compare_plot", "compare_table", "write_report"]
