"""A conversation in the terminal, streamed, with pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from triptych.api import Model, load
from triptych.conversation import Conversation, Image, Part, assistant, user
from triptych.errors import TriptychError
from triptych.generate.config import GenerationSettings
from triptych.grounding.draw import draw_regions
from triptych.paths import user_path
from triptych.progress import spinner
from triptych.terminal.ground import save
from triptych.terminal.pointing import Said, speak, told

HELP = """[dim]/image PATH   show a picture with the next question
/new          forget the conversation
/help         this list
/quit         leave (also Ctrl-D)[/]"""


def chat(run: Path, images: Sequence[Path], settings: GenerationSettings) -> None:
    """Talk with the model of a run until the user leaves.

    Raises:
        TriptychError: The run cannot be loaded, or a picture given at the start cannot be read.
    """
    console = Console()
    with spinner(f"loading {run}", console):
        model = load(run)
        model.require("answers", str(run))
    shown: list[Part] = [_checked(path) for path in images]
    console.print(f"[bold]{escape(model.recipe.name)}[/] is listening; /help lists what else you can type")
    conversation = Conversation(())
    turn = _turns(console, run, model, settings)
    while True:
        try:
            said = console.input("[bold cyan]you[/] › ").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        command, _, rest = said.partition(" ")
        if not said:
            continue
        if command in {"/quit", "/exit"}:
            return
        if command == "/help":
            console.print(HELP)
        elif command == "/new":
            conversation, shown = Conversation(()), []
        elif command == "/image":
            shown += _try_image(console, rest)
        elif command.startswith("/"):
            console.print(f"[red]unknown command {escape(command)}[/]\n{HELP}")
        else:
            conversation = turn(conversation.then(user(*shown, said)))
            shown = []


def _turns(
    console: Console, run: Path, model: Model, settings: GenerationSettings
) -> Callable[[Conversation], Conversation]:
    """How a turn is taken: in words alone, or in words and regions where the model points."""
    if model.capability("grounds") is None:
        return lambda conversation: _turn(console, model, conversation, settings)

    def write(piece: str) -> None:
        console.print(piece, end="", markup=False, highlight=False, soft_wrap=True)

    answer = speak(model, settings, write)

    def turn(conversation: Conversation) -> Conversation:
        console.print(f"[bold magenta]{escape(model.recipe.name)}[/] › ", end="")
        try:
            said = answer(conversation)
            console.print()
            if said.regions:
                _show(console, run, conversation, said)
        except KeyboardInterrupt:
            console.print()
            return Conversation(conversation.messages[:-1])
        except TriptychError as error:
            console.print(f"[red]{escape(str(error))}[/]")
            return Conversation(conversation.messages[:-1])
        return conversation.then(*said.messages)

    return turn


def _show(console: Console, run: Path, conversation: Conversation, said: Said) -> None:
    """The regions of an answer: a line each, and a drawing in the run's folder."""
    for region in said.regions:
        console.print(f"  {told(region)}", markup=False, highlight=False)
    drawn = draw_regions([*conversation.media][-1].open(), said.regions)
    folder = run / "chat"
    number = next(i for i in range(1, 10**6) if not (folder / f"{i:03}.png").exists())
    save(drawn, folder / f"{number:03}.png")
    console.print(f"  drawn: {folder / f'{number:03}.png'}", markup=False, highlight=False, soft_wrap=True)


def _turn(console: Console, model: Model, conversation: Conversation, settings: GenerationSettings) -> Conversation:
    """Stream an answer; without the question again where it could not be answered."""
    console.print(f"[bold magenta]{escape(model.recipe.name)}[/] › ", end="")
    answer = ""
    try:
        for piece in model.stream(conversation, settings):
            console.print(piece, end="", markup=False, highlight=False, soft_wrap=True)
            answer += piece
    except KeyboardInterrupt:
        pass
    except TriptychError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        return Conversation(conversation.messages[:-1])
    console.print()
    return conversation.then(assistant(answer))


def _try_image(console: Console, path: str) -> list[Part]:
    try:
        return [_checked(user_path(path))]
    except TriptychError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        return []


def _checked(path: Path) -> Image:
    image = Image(path)
    image.open()
    return image
