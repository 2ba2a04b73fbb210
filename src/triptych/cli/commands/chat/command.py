"""`triptych chat`: a conversation in the terminal, streamed, with pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from triptych.cli.options import ImageOption, MaxNewTokensOption, RunArgument, TemperatureOption
from triptych.errors import TriptychError
from triptych.paths import user_path

if TYPE_CHECKING:
    from triptych.api import Model
    from triptych.cli.commands.chat.pointing import Said
    from triptych.conversation import Conversation, Image, Part
    from triptych.generate.config import GenerationSettings

ORDER = 60

HELP = """[dim]/image PATH   show a picture with the next question
/new          forget the conversation
/help         this list
/quit         leave (also Ctrl-D)[/]"""


def chat(
    run: RunArgument,
    image: ImageOption = None,
    temperature: TemperatureOption = 0.0,
    max_new_tokens: MaxNewTokensOption = 256,
) -> None:
    """Talk with a trained run in the terminal, turn by turn, pictures included."""
    from triptych.api import load
    from triptych.conversation import Conversation, user
    from triptych.generate.config import GenerationSettings
    from triptych.progress import spinner

    settings = GenerationSettings(temperature=temperature, max_new_tokens=max_new_tokens)
    console = Console()
    with spinner(f"loading {run}", console):
        model = load(run)
        model.require("answers", str(run))
    shown: list[Part] = [_checked(path) for path in image or ()]
    console.print(f"[bold]{escape(model.recipe.name)}[/] is listening; /help lists what else you can type")
    conversation = Conversation(())
    turn = _turns(console, run, model, settings)
    while True:
        try:
            line = console.input("[bold cyan]you[/] › ").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        command, _, rest = line.partition(" ")
        if not line:
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
            conversation = turn(conversation.then(user(*shown, line)))
            shown = []


def _turns(
    console: Console, run: Path, model: Model, settings: GenerationSettings
) -> Callable[[Conversation], Conversation]:
    """How a turn is taken: in words alone, or in words and regions where the model points."""
    if model.capability("grounds") is None:
        return lambda conversation: _turn(console, model, conversation, settings)

    from triptych.cli.commands.chat.pointing import speak
    from triptych.conversation import Conversation

    def write(piece: str) -> None:
        console.print(piece, end="", markup=False, highlight=False, soft_wrap=True)

    answer = speak(model, settings, write)

    def turn(conversation: Conversation) -> Conversation:
        console.print(f"[bold magenta]{escape(model.recipe.name)}[/] › ", end="")
        try:
            reply = answer(conversation)
            console.print()
            if reply.regions:
                _show(console, run, conversation, reply)
        except KeyboardInterrupt:
            console.print()
            return Conversation(conversation.messages[:-1])
        except TriptychError as error:
            console.print(f"[red]{escape(str(error))}[/]")
            return Conversation(conversation.messages[:-1])
        return conversation.then(*reply.messages)

    return turn


def _show(console: Console, run: Path, conversation: Conversation, reply: Said) -> None:
    """The regions of an answer: a line each, and a drawing in the run's folder."""
    from triptych.cli.commands.chat.pointing import told
    from triptych.grounding.draw import draw_regions
    from triptych.preview.picture import save

    for region in reply.regions:
        console.print(f"  {told(region)}", markup=False, highlight=False)
    drawn = draw_regions([*conversation.images][-1].open(), reply.regions)
    folder = run / "chat"
    number = next(i for i in range(1, 10**6) if not (folder / f"{i:03}.png").exists())
    save(drawn, folder / f"{number:03}.png")
    console.print(f"  drawn: {folder / f'{number:03}.png'}", markup=False, highlight=False, soft_wrap=True)


def _turn(console: Console, model: Model, conversation: Conversation, settings: GenerationSettings) -> Conversation:
    """Stream an answer; without the question again where it could not be answered."""
    from triptych.conversation import Conversation, assistant

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
    from triptych.conversation import Image

    image = Image(path)
    image.open()
    return image
