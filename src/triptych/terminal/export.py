"""What `triptych export` and `triptych import` say."""

from __future__ import annotations

from pathlib import Path

from triptych.terminal import console


def show_formats(run: Path) -> None:
    """Print which formats a run fits into, and what is in the way of the others."""
    from rich.text import Text

    from triptych.export import FORMATS
    from triptych.export.finished import load
    from triptych.tables import Column, Table

    loaded = load(run)
    shown = Table([Column("--format", key=True), Column("this run", least=28), Column("what is written", least=28)])
    for known in FORMATS:
        reasons = known.misfits(loaded)
        said = Text("\n".join(f"- {reason}" for reason in reasons)) if reasons else Text("fits", style="green")
        shown.row(known.name, said, known.what)
    console().print(shown)


def export(run: Path, format: str, output: Path, dtype: str | None, shard: str, overwrite: bool) -> None:
    """Write a run in another form and say how it is loaded."""
    from rich.markup import escape

    from triptych.export import export as write
    from triptych.progress import spinner

    shown = console()
    with spinner(f"writing {format} …"):
        done = write(run, format, output, dtype, shard, overwrite)
    total = sum(done.files.values())
    shown.print(
        f"written: [bold]{escape(str(done.folder))}[/], {done.format.what}, {len(done.files)} files, {total / 1e6:,.1f} MB\n",
        soft_wrap=True,
    )
    shown.print(done.loads, markup=False, highlight=False, soft_wrap=True)


def import_folder(folder: str, output: Path, precision: str | None, overwrite: bool) -> None:
    """Make a run of a foreign model and say what to do with it."""
    from rich.markup import escape

    from triptych.importing import import_model
    from triptych.progress import spinner

    shown = console()
    with spinner(f"reading {folder} …"):
        done = import_model(folder, output, precision, overwrite)
    shown.print(f"written: [bold]{escape(str(done.run))}[/], a {done.system} as a run")
    for note in done.notes:
        shown.print(f"  {note}", markup=False, highlight=False)
    match = f'triptych match {done.run} --image picture.png "a cat" "a dog"'
    ask = f'triptych ask {done.run} "What is this?" --image picture.png'
    further = f"extends: {done.run}/recipe.yaml  and  model: {{start: run:{done.run}}}"
    if done.dual:
        further = f"model: {{kind: dual, vision: {{kind: vit, weights: run:{done.run}}}, …}}"
        further += f"\na recipe that looks with it:  encoders: {{image: {{kind: vit, weights: run:{done.run}}}}}"
    shown.print(
        f"\n{match if done.dual else ask}\na recipe that trains it further:  {further}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
