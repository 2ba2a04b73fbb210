"""What to try after the demo: `python -m triptych.cli.next_steps RUN`."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.markup import escape
from rich.panel import Panel

from triptych.console import make_console


def next_steps(run: Path) -> Panel:
    """A held-out picture written beside the run, and commands that use it."""
    from triptych.data.sources import build
    from triptych.recipe import load_recipe

    recipe = load_recipe(run / "recipe.yaml")
    task = next(iter(recipe.evaluation.values()))
    picture = next(iter(build(recipe.data[task.data], Path(recipe.base))[0].media))
    path = run / "picture.png"
    picture.open().save(path)
    lines = [
        f"[bold]{escape(str(run / 'report.html'))}[/]   the report: open it in a browser",
        "",
        escape(f"triptych chat {run} --image {path}"),
        escape(f'triptych ask {run} --image {path} "What is at the top left?"'),
        "triptych inspect recipes/quickstart.yaml --sample 3",
        "triptych plan recipes/llava-7b.yaml --device h100 --count 8",
        "triptych train recipes/quickstart.yaml model.adapters.image.kind=linear --output runs/linear",
        escape(f"triptych compare {run} runs/linear"),
        "",
        "[dim]the commands are in .venv/bin; docs/ starts with the quickstart[/]",
    ]
    return Panel("\n".join(lines), title="what to try next", title_align="left", expand=False)


if __name__ == "__main__":
    make_console().print(next_steps(Path(sys.argv[1])))
