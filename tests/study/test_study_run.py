"""A study from its file to its table, stopped and continued, with variants that fail and recipes that change."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.study.conftest import InProcess, write_study
from typer.testing import CliRunner

from tiny_world import World
from triptych import cli
from triptych.errors import EvaluationError, RecipeError
from triptych.study import StudyPlan, run_study
from triptych.study.findings import load_findings
from triptych.study.launch import Processes, complaint, locked

MakeStudy = Callable[..., StudyPlan]
SCORE = "colours.rouge_l"


def test_two_variants_with_two_seeds(finished_study: tuple[Path, list[str]]) -> None:
    folder, trained = finished_study
    assert trained == ["mlp-0", "linear-0", "mlp-1", "linear-1"]
    assert all((folder / "runs" / run / "results.json").exists() for run in trained)
    findings = load_findings(folder)
    assert (findings.finished, findings.planned, findings.scores) == (4, 4, {SCORE: "rouge_l"})
    by_name = {variant.name: variant for variant in findings.variants}
    mlp, linear = by_name["mlp"], by_name["linear"]
    assert mlp.steps == linear.steps == {"align": 2, "instruct": 4}
    assert mlp.tokens_per_picture == mlp.sequence_per_picture == linear.tokens_per_picture == 4
    second_layer = 32 * 32 + 32  # of the MLP, from 32 to 32 channels with a bias, and the first one alike
    assert (mlp.trained_parameters or 0) - (linear.trained_parameters or 0) == second_layer
    assert (mlp.new_parameters or 0) - (linear.new_parameters or 0) == second_layer
    assert (mlp.samples, mlp.notes) == (24, "two layers")
    for variant in by_name.values():
        score = variant.scores[SCORE]
        assert score.interval.low <= score.interval.value <= score.interval.high
        assert score.interval.value == pytest.approx(sum(score.by_seed.values()) / 2)
        assert set(score.by_seed) == {0, 1}
        assert score.control is not None
        assert (score.difference is None) == (variant.name == findings.best[SCORE])


def test_table_plot_and_page_show_it(finished_study: tuple[Path, list[str]]) -> None:
    folder, _ = finished_study
    table = (folder / "table.md").read_text()
    assert "Which adapter is the better one?" in table
    assert "| mlp | 0." in table
    assert "2 + 4 |" in table
    with Image.open(folder / "study.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(10**6) or ()) > 50
    page = (folder / "report.html").read_text()
    assert all(text in page for text in ("Which adapter", "linear", "two layers", "<svg", "Not shown to differ"))
    assert "http" not in page.replace("http-equiv", "")


def test_the_same_data_in_the_same_order_whatever_the_variant(
    finished_study: tuple[Path, list[str]], make_study: MakeStudy
) -> None:
    def seen(run: str) -> list[int]:
        lines = (finished_study[0] / "runs" / run / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["supervised_tokens"] for line in lines]

    assert seen("mlp-0") == seen("linear-0")
    assert seen("mlp-0") != seen("mlp-1")
    assert make_study().notes == ()
    assert "do not see the same data" in make_study(variants={"a": {}, "b": {"stages.0.batch_size": 8}}).notes[0]


def test_finished_runs_are_never_run_again(finished: Path, make_study: MakeStudy, launch: InProcess) -> None:
    before = (finished / "results.json").read_text()
    run_study(make_study(), launch=launch)
    assert launch.calls == []
    old, new = json.loads(before), json.loads((finished / "results.json").read_text())
    assert old["variants"] == new["variants"]
    run_study(make_study(seeds=[1, 0]), launch=launch)  # another order is the same study
    assert launch.calls == []


def test_a_study_stopped_between_training_and_evaluation(make_study: MakeStudy, launch: InProcess) -> None:
    def stopped(call: str) -> str | None:
        if call == "evaluate linear-0":
            raise KeyboardInterrupt
        return None

    launch.broken = stopped
    with pytest.raises(KeyboardInterrupt):
        run_study(make_study(seeds=[0]), launch=launch)
    again = InProcess()
    folder = run_study(make_study(seeds=[0]), launch=again)
    assert again.calls == ["train linear-0", "evaluate linear-0", "measure linear-0"]
    assert len((folder / "runs" / "linear-0" / "metrics.jsonl").read_text().splitlines()) == 6  # trained once


def test_training_killed_in_the_middle_ends_as_if_it_had_not_been(
    finished_study: tuple[Path, list[str]], make_study: MakeStudy, launch: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triptych.training.loop import Trainer

    values, count = Trainer._values, iter(range(100))

    def killed(*arguments: object) -> dict[str, object]:
        if next(count) == 4:  # in the second stage, between two checkpoints
            raise KeyboardInterrupt
        return values(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_values", killed)
        with pytest.raises(KeyboardInterrupt):
            run_study(make_study(seeds=[0]), only=["mlp"], launch=launch)
    folder = run_study(make_study(seeds=[0]), only=["mlp"], launch=launch)
    fresh = finished_study[0] / "runs" / "mlp-0" / "evaluation" / "colours.jsonl"
    stopped = folder / "runs" / "mlp-0" / "evaluation" / "colours.jsonl"
    answers = [[json.loads(line)["answer"] for line in path.read_text().splitlines()] for path in (fresh, stopped)]
    assert answers[0] == answers[1]
    assert not (folder / "runs" / "mlp-0" / "checkpoints").exists()


def test_a_failing_variant_is_noted_and_the_study_goes_on(make_study: MakeStudy, launch: InProcess) -> None:
    launch.broken = lambda call: "the loss is nan" if call.startswith("train linear") else None
    folder = run_study(make_study(seeds=[0]), launch=launch)
    findings = load_findings(folder)
    failed = next(variant for variant in findings.variants if variant.name == "linear")
    assert failed.failures == {0: "training: the loss is nan"}
    assert not failed.scores
    assert (findings.finished, findings.planned) == (1, 2)
    assert "linear failed (seed 0): training: the loss is nan" in (folder / "table.md").read_text()
    again = InProcess()  # tried anew, with another recipe if that was what failed
    other = {"model.adapters.image": {"kind": "linear", "pool": 4, "reduction": "average"}}
    run_study(make_study(seeds=[0], variants={"mlp": {}, "linear": other}), launch=again)
    assert again.trained == ["linear-0"]
    assert load_findings(folder).finished == 2


def test_nothing_to_show_when_every_run_fails(make_study: MakeStudy, launch: InProcess) -> None:
    launch.broken = lambda call: "no memory"
    with pytest.raises(
        EvaluationError, match="no run of the study is finished; the first failed with: mlp-0: training"
    ):
        run_study(make_study(), launch=launch)
    assert len(launch.calls) == 4


def test_a_changed_recipe_is_refused(finished: Path, make_study: MakeStudy, launch: InProcess) -> None:
    changed = {"mlp": {"stages.1.learning_rate": 0.5}, "linear": {}}
    with pytest.raises(
        RecipeError, match=r"mlp-0: this run was made with another recipe(.|\n)*0\.001 → 0\.5(.|\n)*move"
    ):
        run_study(make_study(variants=changed), launch=launch)
    assert launch.calls == []
    assert (finished / "runs" / "mlp-0" / "results.json").exists()


def test_only_runs_what_is_named(make_study: MakeStudy, launch: InProcess) -> None:
    folder = run_study(make_study(seeds=[0]), only=["linear"], launch=launch)
    assert launch.trained == ["linear-0"]
    assert [variant.name for variant in load_findings(folder).variants] == ["linear"]
    with pytest.raises(RecipeError, match="did you mean 'mlp'"):
        run_study(make_study(), only=["mpl"], launch=launch)


def test_a_score_that_does_not_exist_is_named_and_runs_are_kept(
    finished: Path, make_study: MakeStudy, launch: InProcess
) -> None:
    with pytest.raises(EvaluationError, match="'rouge' is not known; did you mean 'rouge_l'"):
        run_study(make_study(score="colours.rouge"), launch=launch)
    run_study(make_study(score=[SCORE, "colours.bleu_4"]), launch=launch)
    assert launch.calls == []
    assert set(load_findings(finished).variants[0].scores) == {SCORE, "colours.bleu_4"}


def test_a_budget_gives_every_variant_the_same_time(make_study: MakeStudy, launch: InProcess) -> None:
    budget = {"minutes": 0.003, "calibration_steps": 5, "warm_up": 2}
    launch.broken = lambda call: "does not fit" if call == "train linear" else None
    folder = run_study(make_study(budget=budget, seeds=[0]), launch=launch)
    assert launch.calls[:3] == ["train mlp", "train linear", "train mlp-0"]
    assert load_findings(folder).variants[1].failures == {0: "calibration: does not fit"}
    again = InProcess()
    run_study(make_study(budget=budget, seeds=[0]), launch=again)
    assert again.trained == ["linear", "linear-0"]
    entries = json.loads((folder / "calibration.json").read_text())["variants"]
    for variant in load_findings(folder).variants:
        entry = entries[variant.name]
        assert variant.steps == entry["steps"]
        took = sum(steps * entry["seconds_per_step"][stage] for stage, steps in entry["steps"].items())
        assert took == pytest.approx(0.18, abs=1e-3 + sum(entry["seconds_per_step"].values()))
    once_more = InProcess()
    run_study(make_study(budget=budget, seeds=[0]), launch=once_more)
    assert once_more.calls == []
    with pytest.raises(RecipeError, match="the variant 'mlp' or the budget is not what mlp-0 was made with"):
        run_study(make_study(budget={**budget, "minutes": 1}, seeds=[0]), launch=once_more)


def test_two_processes_never_work_on_one_study(make_study: MakeStudy, launch: InProcess) -> None:
    plan = make_study()
    with locked(plan.folder), pytest.raises(EvaluationError, match="another process is at work"):
        run_study(plan, launch=launch)


def test_what_a_failed_process_said_last(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("error: old\nTraceback\nerror: the loss is inf.\nLook at it\n")
    assert complaint(log, 0, 1) == "the loss is inf.\nLook at it"
    log.write_text("loading\nKilled by the kernel\n")
    assert complaint(log, 0, -9) == "ended by signal 9: Killed by the kernel"
    assert complaint(tmp_path / "none", 0, 3) == "exit status 3: nothing was said"


def test_a_process_of_its_own_says_how_it_ended_and_writes_what_it_said(tmp_path: Path) -> None:
    ticks: list[None] = []
    with locked(tmp_path / "study") as lock:
        launch = Processes(lock)
        assert launch(["triptych", "--help"], tmp_path / "logs" / "log.txt", lambda: ticks.append(None)) == 0
        said = (tmp_path / "logs" / "log.txt").read_text()
        assert launch(["triptych", "train", "no-such.yaml"], tmp_path / "logs" / "log.txt", lambda: None) == 1
    assert ticks and "study" in said
    assert "no-such.yaml" in complaint(tmp_path / "logs" / "log.txt", len(said.encode()), 1)


def test_an_interruption_of_the_study_alone_is_passed_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process notes every interruption, takes its time to save, and ends as it likes."""
    (tmp_path / "saving.py").write_text(
        """
import signal, sys, time
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
print("ready", flush=True)
while not heard:
    time.sleep(0.01)
time.sleep(0.3)
print("saved", len(heard), flush=True)
"""
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    log = tmp_path / "log.txt"

    def interrupt() -> None:
        if "ready" in log.read_text():
            raise KeyboardInterrupt

    with locked(tmp_path / "study") as lock, pytest.raises(KeyboardInterrupt):
        Processes(lock)(["saving"], log, interrupt)
    assert log.read_text().split() == ["ready", "saved", "1"]


def test_a_dry_run_starts_nothing(world: World, tiny_cache: Path, tmp_path: Path) -> None:
    file = write_study(world, tmp_path, variants={"mlp": {"notes": "two layers"}}, seeds=[0])
    command = ["study", str(file), "--output", str(tmp_path / "out"), "--dry-run"]
    dry = CliRunner().invoke(cli.app, command, catch_exceptions=False).output
    assert "1 runs, the recipe's steps" in dry
    assert "two layers" in dry
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_in_processes_of_its_own(world: World, tiny_cache: Path, tmp_path: Path) -> None:
    """`triptych study`: one variant and one seed, trained, evaluated and measured by subprocesses."""
    file = write_study(world, tmp_path, variants={"mlp": {"notes": "two layers"}}, seeds=[0])
    command = [sys.executable, "-m", "triptych", "study", str(file), "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "run 1 of 1, mlp-0" in done.stderr
    assert "mlp-0: done in" in done.stderr
    assert "intervals tell of pictures only" in done.stderr.replace("\n", " ")
    assert (tmp_path / "out" / "study.png").exists()
    assert load_findings(tmp_path / "out").variants[0].scores[SCORE].by_seed.keys() == {0}
