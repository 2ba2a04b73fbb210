"""`triptych evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

ORDER = 20


def evaluate(
    run: Annotated[
        Optional[str],
        typer.Argument(
            help="The folder of a run, hf:NAME-OR-FOLDER (any image-text-to-text checkpoint of transformers), or "
            "openai:URL#MODEL (any endpoint that speaks OpenAI's protocol), answers:FILE (answers of another program; needs no pictures), or "
            "pictures:FOLDER (pictures that another program made for a task's captions: FID and CLIP score).",
            show_default=False,
        ),
    ] = None,
    tasks: Annotated[
        Optional[str],
        typer.Option(
            "--tasks", help="Tasks of the recipe, benchmarks, or task files, by commas; the recipe's by default."
        ),
    ] = None,
    limit: Annotated[Optional[int], typer.Option("--limit", help="At most this many questions per task.")] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget the answers of an evaluation that was stopped.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the benchmarks, a line each, and stop.")] = False,
    data: Annotated[
        Optional[Path],
        typer.Option("--data", help="The folder with the benchmarks' data; $TRIPTYCH_DATA or data by default."),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Where results go; the run's own folder by default.")
    ] = None,
    control: Annotated[bool, typer.Option("--control", help="Ask benchmarks again with other pictures.")] = False,
    shots: Annotated[
        int, typer.Option("--shots", min=0, help="Solved examples before each question of a benchmark.")
    ] = 0,
    likelihood: Annotated[
        str,
        typer.Option("--likelihood", help="Choice questions by the likelihood of their options' `letter` or `text`."),
    ] = "",
    judge: Annotated[
        Optional[str], typer.Option("--judge", help="openai:URL#MODEL that judges free answers; its words are kept.")
    ] = None,
    java: Annotated[
        bool,
        typer.Option("--java", help="Captions by pycocoevalcap, too: METEOR, Stanford's tokens."),
    ] = False,
    features: Annotated[
        Optional[Path],
        typer.Option(
            "--features", help="The run of a dual encoder that looks at pictures:FOLDER; else EfficientNet does."
        ),
    ] = None,
) -> None:
    """Ask a model the questions of its recipe's tasks or of benchmarks; write `results.json`, every answer, and the report.

    An evaluation that is stopped goes on where it stood. `triptych evaluate --list` shows the benchmarks.
    """
    if list_:
        from triptych.cli.commands.evaluate.benchmarks import show_benchmarks

        show_benchmarks(data)
        return
    if run is None:
        raise typer.BadParameter("name a run, hf:… or openai:…", param_hint="RUN")
    from triptych.cli.commands.evaluate.benchmarks import EvaluateOptions, evaluate_any

    names = [name.strip() for name in tasks.split(",")] if tasks else None
    options = EvaluateOptions(limit, restart, data, output, control, shots, likelihood, judge, java, features)
    evaluate_any(run, names, options)
