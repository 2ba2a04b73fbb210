"""Evaluating any model on benchmarks: a run, a checkpoint of transformers, an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from triptych.console import make_console
from triptych.errors import DataError, RecipeError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.config import TaskFile
from triptych.evaluate.benchmarks.readers import data_root, read
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.readers.pictures import Pictures
from triptych.evaluate.responders import KINDS, responder_of
from triptych.tables import Column, Table

PICTURES = "pictures:"
"""How a folder of pictures that another program made is named."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What the command line says beside the model and the tasks; see `triptych evaluate --help`."""

    limit: int | None = None
    restart: bool = False
    data: Path | None = None
    output: Path | None = None
    control: bool = False
    shots: int = 0
    likelihood: str = ""
    judge: str | None = None
    java: bool = False
    features: Path | None = None


ANSWERS = ("control", "shots", "likelihood", "judge", "java")
"""Options of benchmarks that a model answers in words."""


def _refuse(asked: EvaluateOptions, options: Sequence[str], why: str) -> None:
    """No option is passed over in silence.

    Raises:
        RecipeError: One of these options was given.
    """
    for option in options:
        if getattr(asked, option) != getattr(EvaluateOptions(), option):
            raise RecipeError(f"`--{option}` {why}")


def show_benchmarks(data: Path | None = None) -> None:
    """Print a line for each benchmark: name, the score that counts, its official rule, its data, what it is.

    With a data folder named, data that is there is read, and its questions are counted.
    """
    heads = (
        Column("task", key=True),
        Column("counts"),
        Column("official rule"),
        Column("data"),
        Column("what", least=30),
    )
    table = Table(heads, boxed=False)
    for task in catalogue.everything():
        table.row(task.name, task.headline, task.official or "", _data(task, data), task.title)
    make_console().print(table)


def _data(task: TaskFile, data: Path | None) -> str:
    if data is None:
        return "present" if (data_root() / task.data.folder).is_dir() else "absent"
    try:
        faults, pictures = Faults(), Pictures(needed=False)
        questions = f"{len(read(task, data, faults, pictures)):,} questions"
        questions += f", {len(pictures.missing):,} pictures absent" if pictures.missing else ""
        return f"{questions}, {faults.count:,} cannot be read" if faults.count else questions
    except DataError as error:
        return "absent" if " is not there. Get: " in str(error) else "malformed"


def evaluate_any(model: str, names: Sequence[str] | None, asked: EvaluateOptions) -> None:
    """Evaluate a run, `hf:…` or `openai:…`; tasks are those of a run's recipe, benchmarks by name, or task files.

    Raises:
        RecipeError: There is no such task, none is named for a model that has no recipe, or an option does not apply.
    """
    if model.startswith(PICTURES):
        _refuse(asked, (*ANSWERS, "restart"), "is for models that answer; pictures are scored as they are")
        _score_pictures(Path(model.removeprefix(PICTURES)), names or ["coco-images"], asked)
        return
    _refuse(asked, ("features",), f"is for {PICTURES}FOLDER: it names who looks at the pictures")
    if not model.startswith(KINDS):
        run = Path(model)
        own, benchmarks = _split(run, names)
        if own or not benchmarks:
            from triptych.cli.commands.evaluate.recipe_tasks import evaluate_run

            which = f"`{own[0]}` is a task" if own else "the tasks are those"
            unused = ANSWERS if benchmarks else (*ANSWERS, "data")
            _refuse(asked, unused, f"is for benchmarks, and {which} of the recipe, which says how it asks")
            evaluate_run(run, own if names is not None else None, asked.limit, asked.restart, asked.output)
        if not benchmarks:
            return
        from triptych.evaluate.responders.run import RunResponder

        if _matches(run):
            _refuse(asked, ANSWERS, "is for models that answer; a dual encoder compares pictures and texts")
            _compare_directions(run, benchmarks, asked)
            return
        responder = RunResponder(run)
        _ask(
            responder,
            [catalogue.load(name) for name in benchmarks],
            asked.output or run,
            asked,
            responder.fingerprint,
            run,
        )
        return
    if not names:
        raise RecipeError(f"{model}: has no recipe, so name the tasks: --tasks pope,chair (`triptych evaluate --list`)")
    other, fingerprint, short = responder_of(model)
    _ask(
        other, [catalogue.load(name) for name in names], asked.output or Path("runs") / short, asked, fingerprint, None
    )


def _split(run: Path, names: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The names of a recipe's own tasks, and those of benchmarks."""
    from triptych.recipe import load_recipe

    if names is None:
        return [], []
    known = load_recipe(run / "recipe.yaml").evaluation if (run / "recipe.yaml").exists() else {}
    own = [name for name in names if name in known]
    return own, [name for name in names if name not in known]


def _matches(run: Path) -> bool:
    from triptych.recipe import load_recipe

    return (run / "recipe.yaml").exists() and "matches" in load_recipe(run / "recipe.yaml").model.can


def _compare_directions(run: Path, names: Sequence[str], asked: EvaluateOptions) -> None:
    from triptych.api import load
    from triptych.cli.commands.evaluate.recipe_tasks import score_table
    from triptych.evaluate.benchmarks.run import Options, run_benchmark
    from triptych.evaluate.results import record_results

    model, output = load(run), asked.output or run
    embedder = model.require("matches", str(run))
    for name in names:
        done = run_benchmark(
            catalogue.load(name), embedder, output, model.fingerprint, Options(data=asked.data, limit=asked.limit)
        )
        record_results(output, {name: done}, {"fingerprint": model.fingerprint, "name": output.resolve().name})
        make_console(stderr=True).print(score_table(name, done))


def _score_pictures(folder: Path, names: Sequence[str], asked: EvaluateOptions) -> None:
    import hashlib

    from triptych.cli.commands.evaluate.recipe_tasks import score_table
    from triptych.evaluate.benchmarks.drawn import Drawn
    from triptych.evaluate.benchmarks.run import Options, run_benchmark
    from triptych.evaluate.embedding.extractor import extractor_of
    from triptych.evaluate.results import record_results

    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of pictures")
    sizes = sorted(f"{path.name} {path.stat().st_size}" for path in folder.iterdir() if path.is_file())
    fingerprint = hashlib.sha256("\n".join(sizes).encode()).hexdigest()[:16]
    output = asked.output or Path("runs") / folder.resolve().name
    output.mkdir(parents=True, exist_ok=True)
    extractor, console = extractor_of(asked.features), make_console(stderr=True)
    for name in names:
        options = Options(data=asked.data, limit=asked.limit)
        done = run_benchmark(catalogue.load(name), Drawn(folder, extractor), output, fingerprint, options)
        record_results(output, {name: done}, {"fingerprint": fingerprint, "name": folder.resolve().name})
        console.print(score_table(name, done))
        between = done.facts["fid_between_real_halves"]
        console.print(
            f"[dim]distances by {escape(extractor.name)} ({extractor.fingerprint}); one half of the real pictures is {between:.2f} from the other[/]"
        )
    console.print(f"results: {output / 'results.json'}", highlight=False)


def _ask(
    responder: object,
    tasks: Sequence[TaskFile],
    output: Path,
    asked: EvaluateOptions,
    fingerprint: str,
    run: Path | None,
) -> None:
    from triptych.cli.commands.evaluate.recipe_tasks import score_table
    from triptych.evaluate.benchmarks.run import Options, run_benchmark
    from triptych.evaluate.contamination import training_pictures, unknown
    from triptych.evaluate.results import record_results
    from triptych.evaluate.shares import rank

    if all(task.judge is None for task in tasks):
        _refuse(asked, ("judge",), f"is for free answers; no judge reads those to {_listed(tasks)}")
    if all(task.metric != "caption" for task in tasks):
        _refuse(asked, ("java",), f"is for captions, and {_listed(tasks)} asks for none")
    console = make_console(stderr=True)
    judge, judge_name = None, ""
    if asked.judge and rank() == 0:
        judge, fingerprint_of_judge, short = responder_of(asked.judge)
        judge_name = f"{short} ({fingerprint_of_judge})"
    trained = training_pictures(run) if run is not None else None
    for task in tasks:
        options = Options(
            data=asked.data, limit=asked.limit, control=asked.control, shots=asked.shots, likelihood=asked.likelihood,
            java=asked.java, judge=judge, judge_name=judge_name, fresh=asked.restart, trained=trained, progress=rank() == 0,
        )  # fmt: skip
        output.mkdir(parents=True, exist_ok=True)
        done = run_benchmark(task, responder, output, fingerprint, options)  # type: ignore[arg-type]
        if rank() > 0:
            continue
        record_results(output, {task.name: done}, {"fingerprint": fingerprint, "name": output.resolve().name})
        console.print(score_table(task.name, done))
        found = done.facts.get("contamination")
        if found and found.get("seen_in_training"):
            console.print(
                f"[yellow]{found['seen_in_training']} of {found['pictures']} pictures were seen in training[/]: "
                + escape("; ".join(found["examples"]))
            )
        if why := unknown(done.facts):
            console.print(f"[yellow]{escape(why)}[/]")
        if task.judge is not None and judge is None:
            console.print(
                "[dim]not judged: name a judge with --judge openai:URL#MODEL, and the same answers are judged[/]"
            )
    if rank() > 0:
        return
    told = f"results: {output / 'results.json'}"
    if (output / "run.json").exists():
        from triptych.report import write_report

        told += f"; report: {write_report(output)}"
    console.print(told, highlight=False)


def _listed(tasks: Sequence[TaskFile]) -> str:
    return ", ".join(task.name for task in tasks)
