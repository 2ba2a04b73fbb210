"""What long work says where there is no terminal, by a clock that the test moves."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.console import Console

from triptych import progress
from triptych.progress import Counted, Silence, tracked


class Clock:
    """Seconds, as many as a test says; counts how often it is read."""

    def __init__(self) -> None:
        self.now, self.read = 0.0, 0

    def __call__(self) -> float:
        self.read += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> Console:
    return Console(file=io.StringIO(), width=1 << 20)


def lines(log: Console) -> list[str]:
    assert isinstance(log.file, io.StringIO)
    return log.file.getvalue().splitlines()


def test_an_hour_of_steps_is_a_line_a_minute(clock: Clock, log: Console) -> None:
    with tracked("align", 3600, "steps", lasting=True, console=log, clock=clock) as work:
        for step in range(1, 3601):
            clock.now += 1
            work.done(step, lambda step=step: f"loss {1 / step:.4f}, 512 tokens/s")  # type: ignore[misc]
    said = lines(log)
    assert said[0] == "align: 10 of 3,600 steps, loss 0.1000, 512 tokens/s, 59 min 50 s left"
    assert said[1] == "align: 70 of 3,600 steps, loss 0.0143, 512 tokens/s, 58 min 50 s left"
    assert said[-1] == "align: 3,600 of 3,600 steps, loss 0.0003, 512 tokens/s, in 1 h 00 min"
    assert len(said) == 61


def test_figures_are_written_only_where_a_line_is_and_a_step_reads_the_clock_once(clock: Clock, log: Console) -> None:
    written = 0

    def figures() -> str:
        nonlocal written
        written += 1
        return ""

    with tracked("align", None, "steps", lasting=True, console=log, clock=clock) as work:
        before = clock.read
        for step in range(1, 1001):
            clock.now += 0.1
            work.done(step, figures)
        assert clock.read - before == 1000 and written == 2  # after 10 and 70 seconds
    assert written == 3 and len(lines(log)) == 3


def test_slow_steps_are_said_each(clock: Clock, log: Console) -> None:
    with tracked("align", 3, "steps", lasting=True, console=log, clock=clock) as work:
        for step in (1, 2, 3):
            clock.now += 600
            work.done(step)
    assert [line.split(",")[0] for line in lines(log)] == [f"align: {step} of 3 steps" for step in (1, 2, 3, 3)]


def test_what_was_done_before_tells_nothing_about_the_time_left(clock: Clock, log: Console) -> None:
    with tracked("align", 200, "steps", done=100, console=log, clock=clock) as work:
        clock.now = 50
        work.done(150)
    assert lines(log)[0] == "align: 150 of 200 steps, 50 s left"
    with tracked("pope", 100, "questions", console=log, clock=clock) as questions:
        questions.skip(80)
        clock.now = 100
        questions.advance(10)
    assert lines(log)[2] == "pope: 90 of 100 questions, 50 s left"


def test_short_work_says_only_its_end_and_only_where_it_is_asked_to(clock: Clock, log: Console) -> None:
    for lasting in (False, True):
        with tracked("zero-shot", 5, "pictures", lasting=lasting, console=log, clock=clock) as work:
            clock.now += 3
            work.advance(5)
    assert lines(log) == ["zero-shot: 5 of 5 pictures, in 3.0 s"]


def test_the_number_may_be_unknown_at_first(clock: Clock, log: Console) -> None:
    with tracked("encoding media once", None, "media", console=log, clock=clock) as work:
        clock.now = 11
        work.advance(7)
        work.total(100)
        clock.now = 110
        work.advance(3)
    assert lines(log)[:2] == ["encoding media once: 7 media", "encoding media once: 10 of 100 media, 16 min 30 s left"]


def test_work_that_stops_says_no_end(clock: Clock, log: Console) -> None:
    with pytest.raises(KeyboardInterrupt), tracked("align", 5, "steps", lasting=True, console=log, clock=clock):
        raise KeyboardInterrupt
    assert lines(log) == []


def test_other_processes_and_quiet_callers_say_nothing(clock: Clock, log: Console) -> None:
    quiet = Console(file=io.StringIO(), quiet=True)
    for options in ({"console": quiet}, {"console": log, "shown": False}):
        with tracked("align", 1, "steps", lasting=True, clock=clock, **options) as work:  # type: ignore[arg-type]
            assert isinstance(work, Silence)
            clock.now += 1000
            work.done(1)
    assert lines(log) == []


def test_items_are_counted_as_they_are_read(clock: Clock, log: Console) -> None:
    with tracked("pictures", 10, "pictures", lasting=True, console=log, clock=clock) as work:
        items = Counted(list(range(10)), work)
        assert list(items[0:4]) == [0, 1, 2, 3] and items[4] == 4 and len(items) == 10
        assert list(items[5:99]) == [5, 6, 7, 8, 9]
    assert lines(log) == ["pictures: 10 of 10 pictures, in 0.0 s"]
    with tracked("pictures", 3, "pictures", lasting=True, console=log, clock=clock) as work:
        assert list(Counted(range(3), work)) == [0, 1, 2]
    assert lines(log)[1].startswith("pictures: 3 of 3")


def test_a_terminal_gets_a_bar(clock: Clock) -> None:
    terminal = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with tracked("align [/]", 10, "steps", lasting=True, console=terminal, clock=clock) as work:
        work.done(10, lambda: "loss [/] 0.5")
    assert "10/10" in lines(terminal)[-2 if not lines(terminal)[-1].strip() else -1] or "10/10" in "".join(
        lines(terminal)
    )
    assert "align [/]" in "".join(lines(terminal)) and "loss [/] 0.5" in "".join(lines(terminal))


BARS = """
from triptych.console import keep_out_other_bars
keep_out_other_bars()
import tqdm, transformers.utils.logging, huggingface_hub.utils
for kind in (tqdm.tqdm, transformers.utils.logging.tqdm, huggingface_hub.utils.tqdm):
    for _ in kind(range(3), desc="foreign"):
        pass
print("end")
"""


def test_bars_of_other_libraries_stay_out_of_logs_and_keep_their_place_on_terminals() -> None:
    names = ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")
    env = {name: value for name, value in os.environ.items() if name not in names}
    log = subprocess.run([sys.executable, "-c", BARS], capture_output=True, text=True, check=True, env=env)
    assert log.stdout == "end\n" and "foreign" not in log.stderr
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    subprocess.run([sys.executable, "-c", BARS], stdout=follower, stderr=follower, check=True, env=env)
    os.close(follower)
    assert b"foreign" in os.read(leader, 100_000)
    os.close(leader)


def test_a_spinner_within_another_takes_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress, "make_console", lambda **_: terminal)
    with progress.spinner("loading the model") as say:
        (status,) = progress._spinners
        with progress.spinner("fetching [/]"):
            assert progress._spinners == [status] and "fetching" in str(status.status)
        assert status.status == "loading the model"
        say("moving it")
        assert status.status == "moving it"
        with progress.other_bars("downloading"):
            assert not status._live.is_started
        assert status._live.is_started
    assert progress._spinners == []


def test_a_download_is_a_line_where_there_is_no_terminal(log: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.utils import are_progress_bars_disabled

    monkeypatch.setattr(progress, "make_console", lambda **_: log)
    before = are_progress_bars_disabled()
    with progress.other_bars("downloading org/model, 9 files"):
        assert are_progress_bars_disabled()
    assert are_progress_bars_disabled() == before and lines(log) == ["downloading org/model, 9 files"]


def test_training_writes_its_lines(
    world: object, tiny_cache: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from triptych.training.loop import train

    monkeypatch.setattr(progress, "FIRST", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    recipe = world.recipe({"stages.0.steps": 3, "stages.0.validate_every": 2, "validation": "colours"})  # type: ignore[attr-defined]
    train(recipe, tmp_path / "run")
    said = capfd.readouterr().err
    assert "\x1b" not in said and "━━━━━" not in "\n".join(line for line in said.splitlines() if line[:1] not in "┏┡")
    stage = [line for line in said.splitlines() if line.startswith("align: ")]
    assert len(stage) == 4 and all(" of 3 steps, loss " in line and "tokens/s" in line for line in stage)
    assert stage[0].endswith(" left") and " in " in stage[-1]
    assert any(line.startswith("align, step 2 of 3: validation loss ") for line in said.splitlines())
