"""Writing `report.html`: one file that needs nothing beside it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.files import write_atomically
from triptych.report.accounts import accounts, outcomes
from triptych.report.folder import RunRecord, read_run
from triptych.report.gallery import Card, OpenPicture, gallery
from triptych.report.matches import matches
from triptych.report.mistakes import mistakes_by_kind
from triptych.report.overview import environment, panels, subtitle, tiles
from triptych.report.redraw import PictureOpener
from triptych.report.scores import task_scores
from triptych.report.section import sections
from triptych.report.training import part_rows, stage_views

if TYPE_CHECKING:
    from jinja2 import Environment

PICTURES = 24
"""Pictures in the gallery, over all tasks."""


def write_report(run: Path, open_picture: OpenPicture | None = None) -> Path:
    """Write the report of a run folder, as far as the run has come.

    Args:
        run: The run folder.
        open_picture: Gives the picture of a per-sample record; by default the recipe's datasets are opened again.

    Returns:
        The path of `report.html` in the run folder.

    Raises:
        DataError: The folder is not a run folder.
    """
    folder = read_run(Path(run))
    page = render(folder, open_picture or PictureOpener(folder))
    path = folder.path / "report.html"
    write_atomically(path, page)
    return path


def render(run: RunRecord, open_picture: OpenPicture) -> str:
    """The page as text. Everything that comes from data is escaped by the template."""
    stage_names, parts = part_rows(run)
    return page(
        "report.html",
        run=run,
        subtitle=subtitle(run),
        panels=panels(run),
        tiles=tiles(run),
        tasks=task_scores(run.results),
        stages=stage_views(run),
        stage_names=stage_names,
        parts=parts,
        matches=matches(run, open_picture),
        galleries=_galleries(run, open_picture),
        mistakes={task: mistakes_by_kind(records) for task, records in run.records.items()},
        accounts=accounts(run.ledger),
        outcomes=outcomes(run.ledger),
        environment=environment(run),
        sections=sections(run.path),
    )


def page(template: str, **values: Any) -> str:
    """A template of this package, filled; the style sheet is `style`."""
    return page_environment().get_template(template).render(**values)


def page_environment(package: str | None = None) -> Environment:
    """Where templates are found: in `package`, which may extend this package's `base.html`, and here; with the style."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    packages = [*([package] if package else []), "triptych.report"]
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files("triptych.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(style)
    return environment


def _galleries(run: RunRecord, open_picture: OpenPicture) -> dict[str, list[Card]]:
    order = [*(run.results.get("tasks") or {}), *run.records]
    tasks = {task: run.records[task] for task in order if run.records.get(task)}
    each = max(6, PICTURES // max(1, len(tasks)))
    return {task: gallery(records, open_picture, most=each) for task, records in tasks.items()}
