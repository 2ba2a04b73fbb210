"""Running benchmarks: resuming, malformed files, judges, contamination, other programs' answers."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from triptych.conversation import Conversation, Image
from triptych.errors import DataError, EvaluationError, GenerationError, RecipeError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.readers.coco import SPLITS, pope_questions
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.benchmarks.task import BenchmarkTask
from triptych.evaluate.contamination import TrainingPictures
from triptych.evaluate.records import read_records
from triptych.evaluate.responders.degenerate import Degenerate
from triptych.evaluate.responders.predictions import Predictions
from triptych.generate.config import GenerationSettings, Reply


class Killed(Exception):
    """What a kill is to the program that it hits."""


class Mortal:
    """Answers until it is killed, and counts who was asked."""

    def __init__(self, lives: int) -> None:
        self.lives = lives
        self.asked: Counter[str] = Counter()
        self._who = Degenerate("random")

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        if self.lives == 0:
            raise Killed
        self.lives -= 1
        self.asked.update(conversation.id for conversation in conversations)
        return self._who.respond(conversations, settings)


class TestResuming:
    def test_killed_at_random_points_gives_the_same_records(self, data: Path, tmp_path: Path) -> None:
        file = catalogue.load("pope").model_copy(update={"generation": GenerationSettings(batch_size=3)})
        options = Options(data=data, progress=False, control=True)
        run_benchmark(file, Degenerate("random"), tmp_path / "whole", "x", options)
        draw = random.Random(5)
        asked: Counter[str] = Counter()
        path = tmp_path / "cut" / "evaluation" / "pope.jsonl"
        while True:
            mortal = Mortal(draw.randrange(1, 9))
            try:
                run_benchmark(file, mortal, tmp_path / "cut", "x", options)
            except Killed:
                asked += mortal.asked
                content = path.read_bytes()
                path.write_bytes(content + b'{"id": "torn')  # a kill in the middle of a line
                continue
            asked += mortal.asked
            break
        whole, cut = (
            {
                id_: (r.answer, r.parsed, r.correct)
                for id_, r in read_records(folder / "evaluation" / "pope.jsonl").items()
            }
            for folder in (tmp_path / "whole", tmp_path / "cut")
        )
        assert whole == cut and len(whole) > 30
        assert set(asked.values()) == {2}  # once as it is, once for the control, which has the same ids

    def test_two_processes_ask_as_one(self, data: Path, tmp_path: Path) -> None:
        options = Options(data=data, progress=False)
        run_benchmark(catalogue.load("gqa"), Degenerate("random"), tmp_path / "one", "degenerate:random", options)
        command = [
            sys.executable,
            "-m",
            "triptych",
            "evaluate",
            "degenerate:random",
            "--tasks",
            "gqa",
            "--data",
            str(data),
        ]
        processes = [
            subprocess.Popen(
                [*command, "-o", str(tmp_path / "two")], env={**os.environ, "RANK": str(r), "WORLD_SIZE": "2"}
            )
            for r in (0, 1)
        ]
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
        one, two = (tmp_path / name / "evaluation" for name in ("one", "two"))
        assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())
        answers = [{r.id: r.answer for r in read_records(folder / "gqa.jsonl").values()} for folder in (one, two)]
        assert answers[0] == answers[1]
        assert len((two / "gqa.jsonl").read_text().splitlines()) == len(answers[0])
        assert (tmp_path / "two" / "results.json").exists()

    def test_records_of_another_model_are_refused(self, data: Path, tmp_path: Path) -> None:
        file = catalogue.load("gqa")
        run_benchmark(file, Degenerate("empty"), tmp_path, "one", Options(data=data, progress=False))
        with pytest.raises(EvaluationError, match="fingerprint"):
            run_benchmark(file, Degenerate("empty"), tmp_path, "two", Options(data=data, progress=False))

    def test_a_larger_limit_asks_only_what_is_new(self, data: Path, tmp_path: Path) -> None:
        file = catalogue.load("vqav2")
        first, second = Mortal(99), Mortal(99)
        run_benchmark(file, first, tmp_path, "x", Options(data=data, progress=False, limit=8))
        run_benchmark(file, second, tmp_path, "x", Options(data=data, progress=False, limit=16))
        assert len(first.asked) == 8 and len(second.asked) == 8 and not set(first.asked) & set(second.asked)

    def test_a_limit_leaves_captions_a_control_of_as_many(self, data: Path, tmp_path: Path) -> None:
        path = tmp_path / "evaluation" / "flickr30k.control.jsonl"
        for limit in (2, 3, 5):
            options = Options(data=data, progress=False, limit=limit)
            done = run_benchmark(catalogue.load("flickr30k"), Degenerate("empty"), tmp_path, "x", options)
            assert len(read_records(path)) == limit and done.control.keys() == done.metrics.keys()

    def test_circular_questions_stay_whole_within_a_limit(self, data: Path) -> None:
        file = catalogue.load("mmbench")
        task = BenchmarkTask(file, read(file, data), Options(limit=10))
        groups = Counter(question.facts["group"] for question in task.reading.questions)
        options = {question.facts["group"]: len(question.facts["options"]) for question in task.reading.questions}
        assert groups == options


class TestMalformed:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("name: x\nmetric: [", r"task.yaml:\d+: not valid YAML"),
            ("- a\n", r"task.yaml:1: a task file is a mapping"),
            ("title: t\npaper: p\nmetric: vqua\n", r"task.yaml"),
        ],
    )
    def test_task_files(self, text: str, told: str, tmp_path: Path) -> None:
        path = tmp_path / "task.yaml"
        path.write_text(text)
        with pytest.raises(RecipeError, match=told):
            catalogue.load(path)

    @pytest.mark.parametrize(
        ("old", "new", "line", "told"),
        [
            ("metric: vqa", "metric: vqua", "metric: vqua", "metric: 'vqua' is not known; did you mean 'vqa'?"),
            ("headline: accuracy", "headlin: accuracy", "headlin", "headlin: there is no such setting"),
            ("official: vqa_script", "official: other", None, "`official: other` is none of the rules"),
            ("    list: annotations", "    lst: annotations", None, "lst"),
            ("rules: [triptych, vqa_script]", "rules: []", "rules", "rules"),
            ("rules: [triptych, vqa_script]", "rules: [vqa_script]", None, "the first is `triptych`"),
        ],
    )
    def test_the_line_of_a_mistake_is_told(
        self, old: str, new: str, line: str | None, told: str, tmp_path: Path
    ) -> None:
        text = (catalogue.FOLDER / "vqav2" / "task.yaml").read_text()
        text = text.replace("join: {file: v2_mscoco_val2014_annotations.json, list: annotations, key: question_id}",
                            "join:\n    file: v2_mscoco_val2014_annotations.json\n    list: annotations\n    key: question_id")  # fmt: skip
        assert old in text
        path = tmp_path / "task.yaml"
        path.write_text(text.replace(old, new))
        with pytest.raises(RecipeError) as caught:
            catalogue.load(path)
        assert told in str(caught.value)
        if line is not None:
            number = next(i for i, row in enumerate(path.read_text().splitlines(), start=1) if row.startswith(line))
            assert f"task.yaml:{number}:" in str(caught.value)

    def test_an_unknown_rule_is_answered_with_those_there_are(self, data: Path) -> None:
        file = catalogue.load("pope").model_copy(update={"rules": ("triptych", "nonsense")})
        with pytest.raises(RecipeError, match="no rule 'nonsense'; it has triptych, pope_script"):
            BenchmarkTask(file, read(file, data))

    def test_an_unknown_task_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(RecipeError, match="did you mean 'pope'"):
            catalogue.load("popes")

    @pytest.mark.parametrize(
        ("task", "file", "content", "told"),
        [
            ("pope-official", "pope/coco_pope_random.json", '{"question_id": 1, "text": "?", "image": "p0.jpg"}\n', ":1: has no 'label'"),
            ("pope-official", "pope/coco_pope_random.json", '{"question_id": 1,\n', "malformed JSON"),
            ("pope-official", "pope/coco_pope_random.json",
             '{"question_id": 1, "text": "?", "image": "../../x.jpg", "label": "no"}\n', ":1: "),
            ("gqa", "gqa/testdev_balanced_questions.json", '{"q1": {"question": "?"}}', "record q1: has no"),
            ("mmbench", "mmbench/mmbench_dev_en.tsv", "index\tquestion\n1\t?\textra\n", ":2: has another number of cells"),
            ("scienceqa", "scienceqa/problems.json",
             '{"1": {"question": "?", "hint": "", "choices": ["a"], "answer": 3, "split": "test", "image": "image.png", "subject": "s"}}',
             "record 1: the true answer '3' is none of its 1 options"),
            ("scienceqa", "scienceqa/problems.json",
             '{"1": {"question": "?", "hint": "", "choices": ["a"], "answer": 30, "split": "test", "image": "image.png", "subject": "s"}}',
             "record 1: the true answer '30' is none of its 1 options"),
            ("scienceqa", "scienceqa/problems.json",
             '{"1": {"question": "?", "hint": "", "choices": ["a"], "answer": -26, "split": "test", "image": "image.png", "subject": "s"}}',
             "record 1: the true answer '-26' is none of its 1 options"),
            ("scienceqa", "scienceqa/problems.json",
             '{"1": {"question": "?", "hint": "", "choices": "[\'a\', \'b", "answer": 0, "split": "test", "image": "image.png", "subject": "s"}}',
             "record 1: the options \"['a', 'b\" are no list"),
            ("amber-generative", "amber/annotations.json", '[{"type": "generative"}]', "record 1: has no 'id'"),
            ("amber-generative", "amber/annotations.json", '[{"id": 0}]', "record 1: has no 'type'"),
            ("chair", "coco/annotations/instances_val2017.json", '{"images": [1], "categories": [], "annotations": []}',
             "images, record 1: "),
            ("chair", "coco/annotations/instances_val2017.json", '{"images": [], "annotations": []}',
             "expected a list of records under 'categories'"),
            ("chair", "coco/annotations/instances_val2017.json",
             '{"images": [], "categories": [], "annotations": [{"image_id": 1, "category_id": 7}]}',
             "annotations, record 1: no category has the id 7"),
            ("mme", "mme/count/p0.txt", "Is it?\tMaybe\n", "p0.txt:1: expected a question, a tab and Yes or No"),
            ("vqav2", "vqav2/v2_mscoco_val2014_annotations.json", '{"annotations": []}', "has no record with question_id = 0"),
        ],
    )  # fmt: skip
    def test_data(self, task: str, file: str, content: str, told: str, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data, tmp_path / "data")
        (tmp_path / "data" / file).write_text(content)
        faults = Faults()
        try:
            kept = read(catalogue.load(task), tmp_path / "data", faults)
        except DataError as error:  # the whole file, or all of its records
            said = str(error)
        else:
            assert kept and faults.count
            said = "\n".join(faults.listed)
        assert told in said and Path(file).name in said

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ('{"id": "a", "answer": "x"}\n{"id": "b"}\n', ":2: a prediction has an `id` and an `answer`"),
            ('{"id": "a", "answer": 3}\n{"id": "b", "answer": "y"}\n', ":1: the answer to a is int, expected text"),
            ('{"id": "a", "answer": null}\n{"id": "b", "answer": "y"}\n', ":1: the answer to a is NoneType"),
            ('{"id": "a", "answer": "x"}\n{"id": "a", "answer": "y"}\n', ":2: there is an answer to a already"),
            ('{"id": "a", "answer": "x"}\n{"id": \n', ":2:"),
        ],
    )
    def test_predictions(self, content: str, told: str, tmp_path: Path) -> None:
        path = tmp_path / "answers.jsonl"
        path.write_text(content)
        with pytest.raises(DataError) as caught:
            Predictions(path)
        assert f"answers.jsonl{told}" in str(caught.value)

    def test_predictions_are_scored_like_anyones(self, data: Path, tmp_path: Path) -> None:
        file = catalogue.load("gqa")
        items = read(file, data)
        path = tmp_path / "answers.jsonl"
        path.write_text("".join(json.dumps({"id": item.id, "answer": f"The {item.truth}."}) + "\n" for item in items))
        done = run_benchmark(file, Predictions(path), tmp_path / "run", "x", Options(data=data, progress=False))
        assert done.metrics["accuracy"].value == 1.0
        assert done.rules["original"].official and done.rules["original"].metrics["accuracy"].value == 0.0


class TestPope:
    THINGS: ClassVar[dict[int, list[str]]] = {n: [f"t{(n * 3 + k) % 17}" for k in (0, 1, 2, 5, 8)] for n in range(30)}

    @pytest.mark.parametrize("split", SPLITS)
    def test_as_many_there_as_not_and_none_twice(self, split: str) -> None:
        questions = pope_questions(self.THINGS, split, 3, 500, 0)
        assert len(questions) == 30 * 6
        for picture in self.THINGS:
            asked = [(thing, there) for where, thing, there in questions if where == picture]
            assert len({thing for thing, _ in asked}) == 6
            assert [there for _, there in asked] == [True, False] * 3
            assert all((thing in self.THINGS[picture]) == there for thing, there in asked)

    def test_the_same_seed_asks_the_same(self) -> None:
        assert pope_questions(self.THINGS, "random", 3, 500, 1) == pope_questions(self.THINGS, "random", 3, 500, 1)
        assert pope_questions(self.THINGS, "random", 3, 500, 1) != pope_questions(self.THINGS, "random", 3, 500, 2)

    def test_popular_asks_about_what_is_seen_most(self) -> None:
        things = {n: ["cup", "fork", f"x{n}", f"y{n}"] for n in range(10)} | {10: ["a", "b", "c", "d"]}
        asked = [
            thing for where, thing, there in pope_questions(things, "popular", 2, 500, 0) if where == 10 and not there
        ]
        assert asked == ["cup", "fork"]

    def test_adversarial_asks_about_what_is_seen_with_it(self) -> None:
        things = {0: ["knife", "a", "b", "c"], **{n: ["knife", "fork", f"x{n}", f"y{n}"] for n in range(1, 9)}}
        pairs = pope_questions(things, "adversarial", 3, 500, 0)
        asked = [
            pairs[i + 1][1]
            for i, (where, thing, there) in enumerate(pairs)
            if where == 0 and thing == "knife" and there
        ]
        assert asked == ["fork"]


class TestJudge:
    def test_verdicts_are_kept_and_not_asked_for_twice(self, people: ModuleType, data: Path, tmp_path: Path) -> None:
        file = catalogue.load("mmhal")
        assert file.judge is not None
        unjudged = run_benchmark(
            file, Degenerate("copy-the-question"), tmp_path, "x", Options(data=data, progress=False)
        )
        assert "score" not in unjudged.metrics and unjudged.facts["judged"] == 0
        judge = people.StrictJudge("rating", 6)
        for _ in range(2):
            done = run_benchmark(
                file, Degenerate("copy-the-question"), tmp_path, "x", Options(data=data, progress=False, judge=judge)
            )
        assert len(judge.asked) == 12
        assert done.metrics["score"].value == 0.0 and done.metrics["hallucination"].value == 1.0
        verdicts = [record.verdict for record in read_records(tmp_path / "evaluation" / "mmhal.jsonl").values()]
        assert verdicts == ["Some words.\nRating: 0"] * 12
        assert "### Image Contents\n" in judge.asked[0] and "{" not in judge.asked[0]

    def test_another_judge_or_prompt_is_asked_again(self, people: ModuleType, data: Path, tmp_path: Path) -> None:
        file = catalogue.load("mmhal")
        assert file.judge is not None
        other = file.model_copy(update={"judge": file.judge.model_copy(update={"prompt": file.judge.prompt + " Go."})})
        told = []
        for task, name in ((file, "one"), (file, "two"), (other, "two"), (other, "two")):
            judge = people.StrictJudge("rating", 6)
            options = Options(data=data, progress=False, judge=judge, judge_name=name)
            done = run_benchmark(task, Degenerate("copy-the-question"), tmp_path, "x", options)
            told.append((len(judge.asked), done.facts["judge"]))
        assert told == [(12, "one"), (12, "two"), (12, "two"), (0, "two")]

    def test_a_refused_answer_stays_without_verdict(self, people: ModuleType, data: Path, tmp_path: Path) -> None:
        class Prude(people.StrictJudge):  # type: ignore[misc, name-defined]
            """Will not look at the third answer."""

            def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
                if any(conversation.id == names[2] for conversation in conversations):
                    raise GenerationError("against the rules")
                return super().respond(conversations, settings)  # type: ignore[no-any-return]

        file = catalogue.load("mmhal")
        names = [question.id for question in BenchmarkTask(file, read(file, data)).reading.questions]
        options = Options(data=data, progress=False, judge=Prude("rating", 6), failed_share=0.1)
        for _ in range(2):
            done = run_benchmark(file, Degenerate("copy-the-question"), tmp_path, "x", options)
            assert done.facts["judged"] == 11
        assert len(options.judge.asked) == 11  # type: ignore[union-attr]
        strict = Options(data=data, progress=False, judge=Prude("rating", 6), failed_share=0.05)
        with pytest.raises(EvaluationError, match=r"refuses 1 of 12.*against the rules"):
            run_benchmark(file, Degenerate("copy-the-question"), tmp_path, "x", strict)


class Prefers:
    """A model that finds the second option likeliest."""

    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        raise AssertionError("nothing is to be written")

    def by_likelihood(self, by: str) -> Any:
        class Chooser:
            def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
                assert all(conversation.annotations["options"] for conversation in conversations)
                return [Reply("B", 0, "stop") for _ in conversations]

        return Chooser()


class TestByLikelihood:
    def test_options_are_compared(self, data: Path, tmp_path: Path) -> None:
        options = Options(data=data, progress=False, likelihood="letter")
        done = run_benchmark(catalogue.load("ai2d"), Prefers(), tmp_path, "x", options)
        assert done.metrics["accuracy"].value == 0.25 and done.unparsed.count == 0
        assert done.facts["answered_by"] == "likelihood of the letter"

    @pytest.mark.parametrize(
        ("task", "by", "told"),
        [
            ("gqa", "letter", "only choice questions"),
            ("ai2d", "colour", "not by 'colour'"),
            ("ai2d", "letter", "does not tell"),
        ],
    )
    def test_what_cannot_be_is_told(self, task: str, by: str, told: str, data: Path, tmp_path: Path) -> None:
        who = Degenerate("empty") if told == "does not tell" else Prefers()
        with pytest.raises(EvaluationError, match=told):
            run_benchmark(catalogue.load(task), who, tmp_path, "x", Options(data=data, progress=False, likelihood=by))


class TestJava:
    def test_where_it_is_missing_it_says_so_before_it_asks(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("triptych.evaluate.scoring.java.available", lambda: False)
        mortal = Mortal(99)
        with pytest.raises(EvaluationError, match=r"triptych\[captions\]"):
            run_benchmark(
                catalogue.load("flickr30k"), mortal, tmp_path, "x", Options(data=data, progress=False, java=True)
            )
        assert not mortal.asked


class TestTrust:
    def test_pictures_seen_in_training_are_counted(self, data: Path, tmp_path: Path) -> None:
        seen = {Image(data / "gqa" / "images" / f"n{n}.jpg").content_hash: f"train, record {n}" for n in (1, 2)}
        options = Options(data=data, progress=False, trained=TrainingPictures(seen))
        done = run_benchmark(catalogue.load("gqa"), Degenerate("empty"), tmp_path, "x", options)
        found = done.facts["contamination"]
        assert (found["pictures"], found["seen_in_training"]) == (12, 2)
        assert "n1.jpg is in train, record 1" in found["examples"]

    def test_the_dataset_and_prompt_are_hashed(self, data: Path, tmp_path: Path) -> None:
        file = catalogue.load("gqa")
        one = run_benchmark(file, Degenerate("empty"), tmp_path / "1", "x", Options(data=data, progress=False)).facts
        other = file.model_copy(update={"prompt": "{question} Short."})
        two = run_benchmark(other, Degenerate("empty"), tmp_path / "2", "x", Options(data=data, progress=False)).facts
        assert one["prompt_sha256"] != two["prompt_sha256"]

    def test_examples_come_first_and_their_pictures_are_not_asked_about(self, data: Path) -> None:
        file = catalogue.load("vqav2")
        task = BenchmarkTask(file, read(file, data), Options(shots=2))
        shown = {str(m) for q in task.reading.questions for turn in q.before for m in turn.media}
        assert len(shown) == 2 and all(len(q.before) == 4 for q in task.reading.questions)
        assert not shown & {str(m) for q in task.reading.questions for m in q.media}
