"""The model card: what a folder is, what it was made by, what it scored, and whose licences hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from triptych.data.ledger import Ledger
from triptych.environment import package_version
from triptych.errors import DataError, EvaluationError
from triptych.evaluate.results import load_results
from triptych.files import read_object
from triptych.interchange.finished import Finished
from triptych.interchange.format import Format
from triptych.yaml_file import write_yaml


def card(run: Finished, format: Format, loads: str, name: str) -> str:
    """The card as Markdown with the hub's front matter.

    Args:
        run: What is exported.
        format: As what.
        loads: Python that loads it from `FOLDER`.
        name: Of the folder.
    """
    bases = sorted({uri.removeprefix("hf:").partition("@")[0] for uri in origins(run) if uri.startswith("hf:")})
    front: dict[str, Any] = {"library_name": format.library, "tags": ["triptych"]}
    if format.task is not None:
        front["pipeline_tag"] = format.task
    if bases:
        front["base_model"] = bases
    sections = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n",
        f"# {run.recipe.name}\n",
        f"{format.what[0].upper()}{format.what[1:]}. Trained and exported by "
        f"{' '.join(filter(None, ('Triptych', package_version('triptych'))))}, format `{format.name}`, "
        f"{str(run.dtype).removeprefix('torch.')}.\n",
        f"```python\n{loads.replace('FOLDER', repr(name))}\n```\n",
        *_section("Trained", training(run)),
        *_section("Data", data(run)),
        *_section("Scores", scores(run)),
        *_section("Licence", licence(run)),
        "## Recipe\n",
        f"<details><summary>every choice</summary>\n\n```yaml\n{shown_recipe(run)}```\n\n</details>\n",
    ]
    return "\n".join(sections)


def origins(run: Finished) -> list[str]:
    """The URIs of the weights that the run started from; local paths by their last name only."""
    return list(dict.fromkeys(_public(uri) for uri in run.recipe.model.sources))


def _public(uri: str) -> str:
    """A URI without the folders of the machine that it was trained on."""
    scheme, _, rest = uri.partition(":")
    return f"{scheme}:{Path(rest).name}" if scheme in {"file", "run"} else uri.partition("#")[0]


def training(run: Finished) -> Iterator[str]:
    """A line a stage."""
    for stage in run.recipe.stages:
        yield (
            f"- **{stage.name}**: {', '.join(stage.train)} by `{stage.objective.kind}`, {stage.steps or '?'} steps of "
            f"{stage.batch_size}, rate {stage.learning_rate:g}"
        )
    facts = run.path / "run.json"
    if facts.is_file():
        said = read_object(facts, DataError)
        if origin := said.get("imported"):
            yield f"- imported from {origin}"
        hardware = said.get("hardware")
        if device := hardware.get("device") if isinstance(hardware, dict) else None:
            yield f"- on {device}, {said.get('finished') or said.get('started')}"


def data(run: Finished) -> Iterator[str]:
    """A line a dataset, and one for each kind of record that was refused or shortened."""
    for name, source in run.recipe.data.items():
        yield f"- **{name}**: `{source.kind}`"
    path = run.path / "ledger.jsonl"
    entries = Ledger(path).summary() if path.exists() else []
    for entry in entries:
        yield f"- {entry['count']:,} records of {entry['dataset']} {entry['outcome']} in {entry['stage']}: {entry['kind']}"
    if run.recipe.data and not entries:
        yield "- no record was refused or shortened"


def scores(run: Finished) -> Iterator[str]:
    """A table of `results.json`."""
    try:
        results = load_results(run.path)
    except EvaluationError:
        yield "Not evaluated."
        return
    yield "| task | score | value [95 % interval] | questions | another's picture |"
    yield "| --- | --- | --- | ---: | --- |"
    for name, task in results.tasks.items():
        for metric, interval in task.metrics.items():
            yield f"| {name} | {metric} | {interval} | {interval.n} | {task.control.get(metric, '')} |"


def licence(run: Finished) -> Iterator[str]:
    """What holds, as far as can be said from here."""
    yield (
        "Weights that were trained from others are bound by their licences, and so may be what was learnt from data. "
        "No licence is given here: add one that the following allow."
    )
    yield ""
    yield from (f"- `{uri}`" for uri in origins(run))


def shown_recipe(run: Finished) -> str:
    """The recipe without paths of this machine."""
    values = run.recipe.model_dump(mode="json", exclude={"base"})
    return write_yaml(_relative(values))


def _relative(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _relative(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_relative(item) for item in value]
    if isinstance(value, str):
        scheme, _, rest = value.partition(":")
        if scheme in {"file", "run"} and rest.startswith(("/", "~")):
            return f"{scheme}:{Path(rest).name}"
        return Path(value).name if value.startswith(("/", "~/")) else value
    return value


def _section(title: str, lines: Iterator[str]) -> list[str]:
    found = "\n".join(lines)
    return [f"## {title}\n", f"{found}\n"] if found else []
