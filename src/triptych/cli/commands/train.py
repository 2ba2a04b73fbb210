"""`triptych train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from triptych.cli.options import Overrides, RecipeArgument

ORDER = 10


def train(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="The run's folder; runs/NAME by default.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue where a stopped run left off.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start again where there is a run already.")] = False,
) -> None:
    """Train a recipe, stage by stage, into a run folder with checkpoints, metrics and a report.

    Ctrl-C saves and stops; `--resume` goes on exactly where training stood. With several processes:
    `torchrun --nproc-per-node 8 -m triptych train RECIPE`.
    """
    from triptych import distributed
    from triptych.recipe import load_recipe
    from triptych.report import write_report
    from triptych.training.loop import train as run_training

    run = run_training(load_recipe(recipe, overrides or ()), output, resume, overwrite)
    if distributed.rank() == 0:
        typer.echo(f"trained: {run}; report: {write_report(run)}")
