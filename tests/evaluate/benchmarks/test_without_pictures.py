"""Answers of another program are scored without the pictures that nobody opens; contamination is then unknown."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from triptych.cli.commands.evaluate.benchmarks import EvaluateOptions, evaluate_any, show_benchmarks
from triptych.conversation import Conversation, Image
from triptych.data.files import inside
from triptych.errors import DataError, EvaluationError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.readers.pictures import Pictures
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.contamination import TrainingPictures, contamination, training_pictures, unknown
from triptych.evaluate.responders.degenerate import Degenerate
from triptych.evaluate.responders.predictions import Predictions
from triptych.evaluate.results import load_results
from triptych.generate.config import GenerationSettings, Reply, needs_media
from triptych.recipe import dump_recipe
from triptych.recipe.load import load_recipe

ANSWERED = [task.name for task in catalogue.everything() if task.metric not in ("retrieval", "images")]
IN_CELLS = ("mmbench", "mmstar", "realworldqa")
"""Tasks whose pictures stand in the table of the questions."""

_PICTURE = (".png", ".jpg", ".jpeg")


@pytest.fixture(scope="module")
def bare(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data without a picture: no files, no folders that held nothing else, no columns."""
    folder = tmp_path_factory.mktemp("bare") / "data"
    shutil.copytree(data, folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.suffix in _PICTURE or path.parent.name == "SEED-Bench-image":
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for path in folder.rglob("*.tsv"):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(
                file, [key for key in rows[0] if key != "image"], delimiter="\t", extrasaction="ignore"
            )
            writer.writeheader()
            writer.writerows(rows)
    return folder


class Looks:
    """Opens every picture, as a model does."""

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        for conversation in conversations:
            for medium in conversation.media:
                medium.open()
        return [Reply("yes", 1, "stop") for _ in conversations]


def answers(task: str, data: Path, folder: Path) -> Path:
    """A file of answers, some right and some wrong, to every question of a task."""
    run_benchmark(catalogue.load(task), Degenerate("random"), folder / "other", "x", options(data))
    records = (folder / "other" / "evaluation" / f"{task}.jsonl").read_text().splitlines()
    path = folder / "answers.jsonl"
    rows = [(record["id"], record["answer"]) for record in map(json.loads, records)]
    path.write_text("".join(json.dumps({"id": id_, "answer": answer}) + "\n" for id_, answer in rows))
    return path


def options(data: Path, **changes: Any) -> Options:
    return Options(data=data, progress=False, **changes)


def scored(result: Any) -> dict[str, Any]:
    """A result without its times and without what is said about contamination."""
    values: dict[str, Any] = result.model_dump(exclude={"seconds", "questions_per_second"})
    values["facts"].pop("contamination", None)
    return values


@pytest.mark.parametrize("task", ANSWERED)
def test_scores_are_those_with_pictures(task: str, data: Path, bare: Path, tmp_path: Path) -> None:
    file, said = catalogue.load(task), Predictions(answers(task, data, tmp_path))
    there = run_benchmark(file, said, tmp_path / "there", "x", options(data))
    absent = run_benchmark(file, said, tmp_path / "absent", "x", options(bare))
    assert scored(absent) == scored(there) and there.questions > 0
    assert not unknown(there.facts) and "contamination" not in there.facts
    assert "pictures cannot be read; the first: " in unknown(absent.facts)
    with pytest.raises(DataError):  # who looks at pictures must have them
        run_benchmark(file, Looks(), tmp_path / "looks", "y", options(bare))


@pytest.mark.parametrize("task", ["gqa", "mmbench", "pope"])
def test_answers_open_no_picture_that_is_there(
    task: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Predictions(answers(task, data, tmp_path))

    def opened(self: Image) -> None:
        raise AssertionError(f"{self} was opened")

    monkeypatch.setattr(Image, "_read", opened)
    run_benchmark(catalogue.load(task), said, tmp_path / "run", "x", options(data))
    with pytest.raises(AssertionError, match="was opened"):
        run_benchmark(catalogue.load(task), Looks(), tmp_path / "looks", "x", options(data))


def test_pictures_that_come_later_belong_to_the_same_dataset(data: Path, bare: Path, tmp_path: Path) -> None:
    """Records are kept: nothing is asked anew, and no setting has changed."""
    for task in ("mme", "pope", "coco-captions"):
        file, said = catalogue.load(task), Predictions(answers(task, data, tmp_path / task))
        run_benchmark(file, said, tmp_path / "run", "x", options(bare))
        path = tmp_path / "run" / "evaluation" / f"{task}.jsonl"
        before = path.read_text()
        assert not unknown(run_benchmark(file, said, tmp_path / "run", "x", options(data)).facts)
        assert path.read_text() == before


def test_retrieval_compares_pictures_and_says_so(bare: Path, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "1", "answer": "x"}\n')
    with pytest.raises(EvaluationError, match="only a dual encoder"):
        run_benchmark(catalogue.load("flickr30k-retrieval"), Predictions(path), tmp_path, "x", options(bare))


class TestRecords:
    def test_some_pictures_are_missing(self, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data / "gqa", tmp_path / "gqa")
        (tmp_path / "gqa" / "images" / "n3.jpg").unlink()
        done = run_benchmark(catalogue.load("gqa"), Degenerate("empty"), tmp_path / "run", "x", options(tmp_path))
        assert done.questions == 24 and not done.failed
        assert "1 of 12 pictures cannot be read" in unknown(done.facts) and "n3.jpg" in unknown(done.facts)
        looks = run_benchmark(catalogue.load("gqa"), Looks(), tmp_path / "looks", "x", options(tmp_path))
        assert looks.questions == 22 and looks.facts["unreadable"]["records"] == 2

    @pytest.mark.parametrize("name", ["../../secret.jpg", "../../none/../secret.jpg", "a\0b.jpg"])
    def test_a_name_that_leads_out_is_a_fault_still(self, name: str, bare: Path, tmp_path: Path) -> None:
        shutil.copytree(bare / "pope", tmp_path / "pope")
        path = tmp_path / "pope" / "coco_pope_random.json"
        first, *rows = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps({**json.loads(first), "image": name}), *rows]))
        faults = Faults()
        items = read(catalogue.load("pope-official"), tmp_path, faults, Pictures(needed=False))
        assert len(items) == 71 and faults.count == 1 and ":1: " in faults.listed[0]

    def test_a_link_that_leads_out_is_refused_before_there_is_something(self, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "a.jpg").symlink_to(tmp_path / "elsewhere.jpg")
        with pytest.raises(DataError, match="leads out of"):
            inside(tmp_path / "images", "a.jpg", missing_ok=True)
        with pytest.raises(DataError, match="leads out of"):
            inside(tmp_path / "images", str(tmp_path / "images" / "b.jpg"), missing_ok=True)
        assert inside(tmp_path / "images", "b/c.jpg", missing_ok=True) == tmp_path / "images" / "b" / "c.jpg"
        assert inside(tmp_path / "none", "c.jpg", missing_ok=True) == tmp_path / "none" / "c.jpg"

    def test_an_empty_cell_of_a_column_that_is_there_is_a_fault_still(self, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data / "mmbench", tmp_path / "mmbench")
        path = tmp_path / "mmbench" / "mmbench_dev_en.tsv"
        head, first, *rows = path.read_text().splitlines()
        cells = first.split("\t")
        cells[head.split("\t").index("image")] = ""
        path.write_text("\n".join([head, "\t".join(cells), *rows]) + "\n")
        faults = Faults()
        read(catalogue.load("mmbench"), tmp_path, faults, Pictures(needed=False))
        assert faults.listed == [f"{path}:2: has no picture"]


class TestContamination:
    def test_a_picture_that_cannot_be_read_does_not_end_the_evaluation(self, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data / "gqa", tmp_path / "gqa")
        seen = {Image(tmp_path / "gqa" / "images" / "n1.jpg").content_hash: "train, record 1"}
        pictures = [Image(tmp_path / "gqa" / "images" / f"n{n}.jpg") for n in (0, 1, 2)]
        (tmp_path / "gqa" / "images" / "n2.jpg").unlink()
        checked = contamination(pictures, TrainingPictures(seen))
        assert checked is not None
        assert (checked["status"], checked["pictures"], checked["seen_in_training"]) == ("unknown", 3, 1)
        assert "1 of 3 pictures cannot be read; the first: " in checked["reason"]

    def test_nothing_is_said_to_be_unseen_that_was_not_compared(self, tmp_path: Path) -> None:
        gone = [Image(tmp_path / "a.jpg")]
        checked = contamination(gone, TrainingPictures({}))
        assert checked is not None and "seen_in_training" not in checked
        assert contamination(gone, None) is None and contamination(gone, None, {str(gone[0])}) is not None

    @pytest.mark.parametrize("gone", ["train.json", "images", "images/n1.jpg images/n2.jpg"])
    def test_training_data_that_is_gone(self, gone: str, data: Path, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        shutil.copytree(data / "gqa" / "images", tmp_path / "images")
        turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "This."}]
        rows = [{"id": str(n), "image": f"n{n}.jpg", "conversations": turns} for n in (1, 2)]
        (tmp_path / "train.json").write_text(json.dumps(rows))
        changes = [f"data.questions={{kind: llava, path: {tmp_path}/train.json, images: {tmp_path}/images}}"]
        changes += [
            "data.drill={kind: scenes, count: 2, seed: 2}",
            "data.captions={kind: scenes, count: 2, style: caption}",
        ]
        recipe = load_recipe(Path(__file__).parents[3] / "recipes" / "quickstart.yaml", changes)
        (tmp_path / "run" / "recipe.yaml").write_text(dump_recipe(recipe))
        (tmp_path / "away").mkdir()
        moved = {tmp_path / name: tmp_path / "away" / Path(name).name for name in gone.split()}
        for here, away in moved.items():
            here.rename(away)
        trained = training_pictures(tmp_path / "run")
        assert "the training data `questions` cannot be read: " in trained.gap and len(trained.seen) == 4
        checked = contamination([Image(data / "gqa" / "images" / "n1.jpg")], trained)
        assert checked is not None and checked["status"] == "unknown" and checked["reason"] == trained.gap
        for here, away in moved.items():  # back again: nothing was kept of the time without
            away.rename(here)
        trained = training_pictures(tmp_path / "run")
        assert not trained.gap and len(trained.seen) == 6
        assert training_pictures(tmp_path / "run") == trained

    def test_it_is_told_everywhere(self, data: Path, bare: Path, tmp_path: Path, capsys: Any) -> None:
        from triptych.report.leaderboard import write_leaderboard
        from triptych.report.scores import task_scores

        said = answers("gqa", data, tmp_path)
        evaluate_any(f"answers:{said}", ["gqa"], EvaluateOptions(data=bare, output=tmp_path / "run"))
        told = " ".join(capsys.readouterr().err.split())
        assert "contamination unknown: 12 of 12 pictures cannot be read; the first: " in told
        result = load_results(tmp_path / "run").tasks["gqa"]
        assert result.facts["contamination"]["status"] == "unknown" and result.facts["contamination"]["reason"] in told
        (shown,) = task_scores({"tasks": {"gqa": result.model_dump()}})
        assert any("contamination unknown: 12 of 12" in fact for fact in shown.facts)
        assert "contamination unknown" in write_leaderboard([tmp_path / "run"], tmp_path / "board").read_text()


def test_the_list_counts_questions_without_pictures(data: Path, bare: Path, capsys: Any) -> None:
    for folder, cell in ((bare, "24 questions, 12 pictures absent"), (data, "24 questions")):
        show_benchmarks(folder)
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("gqa "))
        assert f" {cell}  " in line


def test_who_does_not_say_opens_media() -> None:
    assert needs_media(Looks()) and not needs_media(Degenerate("empty"))
