"""Options keep their letters, cells that name other rows are followed, one bad record costs one record."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from triptych.errors import DataError
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.items import Item
from triptych.evaluate.benchmarks.readers import read
from triptych.evaluate.benchmarks.readers.choices import options_in
from triptych.evaluate.benchmarks.readers.faults import Faults
from triptych.evaluate.benchmarks.run import Options, run_benchmark
from triptych.evaluate.benchmarks.task import BenchmarkTask, answer_metric
from triptych.evaluate.responders.degenerate import Degenerate
from triptych.evaluate.responders.predictions import Predictions

COLUMNS = ("index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "l2-category", "split")


def picture(number: int = 0) -> str:
    buffer = io.BytesIO()
    Pillow.new("RGB", (8, 8), (number, 9, 9)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def mmbench(folder: Path, rows: list[dict[str, str]], raw: str = "") -> Path:
    path = folder / "mmbench" / "mmbench_dev_en.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for n, row in enumerate(rows):
            usual = {"index": str(n), "question": "Which?", "A": "one", "B": "two", "answer": "A", "image": picture(n)}
            writer.writerow({**dict.fromkeys(COLUMNS, ""), **usual, **row})
    if raw:
        path.write_text(path.read_text() + raw)
    return folder


def seed(folder: Path, *questions: dict[str, Any]) -> Path:
    (folder / "seed-bench" / "SEED-Bench-image").mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", (4, 4)).save(folder / "seed-bench" / "SEED-Bench-image" / "p", "PNG")
    rows = [
        {"question_id": n, "data_id": "p", "data_type": "image", "question": "How many?", "question_type_id": 1,
         "choice_a": "Two", "choice_b": "One", "choice_c": "Three", "choice_d": "Four", "answer": "A", **question}
        for n, question in enumerate(questions)
    ]  # fmt: skip
    (folder / "seed-bench" / "SEED-Bench.json").write_text(json.dumps({"questions": rows}))
    return folder


class TestOptions:
    @pytest.mark.parametrize(
        "text", ["None", "none", "N/A", "NA", "nan", "NaN", "null", "NULL", "#N/A", "<NA>", "0", "-"]
    )
    @pytest.mark.parametrize("place", [0, 1, 3])
    def test_text_that_reads_like_nothing_is_an_option(self, text: str, place: int, tmp_path: Path) -> None:
        letter = "ABCD"[place]
        data = seed(tmp_path, {f"choice_{letter.lower()}": text, "answer": letter})
        (item,) = read(catalogue.load("seed-bench"), data)
        assert item.choices[letter] == text and item.truth == letter and len(item.options) == 4
        data = mmbench(tmp_path, [{"C": "three", "D": "four", letter: text, "answer": letter}])
        (item,) = read(catalogue.load("mmbench"), data)
        assert item.choices[letter] == text and item.truth == letter and len(item.options) == 4

    @pytest.mark.parametrize("nothing", [None, "", float("nan")])
    def test_an_absent_option_leaves_the_others_their_letters(self, nothing: Any, tmp_path: Path) -> None:
        data = seed(tmp_path, {"choice_b": nothing, "answer": "C"}, {"choice_d": nothing, "answer": "C"})
        file = catalogue.load("seed-bench")
        gap, last = read(file, data)
        assert gap.choices == {"A": "Two", "C": "Three", "D": "Four"} and gap.truth == "C"
        assert last.choices == {"A": "Two", "B": "One", "C": "Three"}
        asked = BenchmarkTask(file, [gap]).reading.questions[0]
        assert "A. Two\nC. Three\nD. Four" in asked.text
        assert asked.conversation.annotations == {"options": ["Two", "Three", "Four"], "letters": "ACD"}

    def test_a_truth_that_is_an_absent_option_is_a_fault(self, tmp_path: Path) -> None:
        faults = Faults()
        (item,) = read(catalogue.load("seed-bench"), seed(tmp_path, {"choice_b": "", "answer": "B"}, {}), faults)
        assert item.id == "1" and faults.count == 1 and "record 1: the true answer 'B' is none" in faults.listed[0]

    def test_rotations_keep_to_the_letters_that_there_are(self, tmp_path: Path) -> None:
        file = catalogue.load("mmbench")
        data = mmbench(tmp_path, [{"A": "one", "B": "", "C": "three", "D": "four", "answer": "C"}])
        questions = BenchmarkTask(file, read(file, data)).reading.questions
        assert len(questions) == 3
        for question in questions:
            choices = dict(zip(question.facts["letters"], question.facts["options"], strict=True))
            assert choices[str(question.truth)] == "three" and list(choices) == ["A", "C", "D"]

    def test_a_question_without_options_has_no_rotation(self, tmp_path: Path) -> None:
        options = {"A": "one", "B": "two", "C": "three", "D": "four", "answer": "C"}
        faults = Faults()
        data = mmbench(tmp_path, [options, options | dict.fromkeys("ABCD", "")])
        assert len(read(catalogue.load("mmbench"), data, faults)) == 1
        assert faults.count == 1
        without = replace(read(catalogue.load("mmbench"), data)[0], options=())
        assert "no options" in str(answer_metric(catalogue.load("mmbench")).unscorable(without))
        assert "no options" in str(answer_metric(catalogue.load("scienceqa")).unscorable(without))

    @pytest.mark.parametrize(
        ("task", "lacks"),
        [("hallusionbench", "group, question, figure, shown"), ("mm-safetybench", "harmful"),
         ("amber-generative", "likely, things, harmless")],
    )  # fmt: skip
    def test_a_question_says_of_itself_what_its_metric_needs(self, task: str, lacks: str, tmp_path: Path) -> None:
        data = mmbench(tmp_path, [{"A": "one", "B": "two", "C": "three", "D": "four", "answer": "C"}])
        item = replace(read(catalogue.load("mmbench"), data)[0], facts={})
        assert f"has no {lacks}" in str(answer_metric(catalogue.load(task)).unscorable(item))

    def test_options_that_stand_in_the_question(self) -> None:
        lines = "Where is the dog?\n\nA. left\nB. right\nPlease answer with the letter."
        assert options_in(lines) == ("Where is the dog?\nPlease answer with the letter.", {"A": "left", "B": "right"})
        inline = "What is it?\nOptions: A: A dog, a cat., B: 3: 4, C: None"
        assert options_in(inline) == ("What is it?", {"A": "A dog, a cat.", "B": "3: 4", "C": "None"})
        for none in ("How many?", "A. Lincoln was who?", "Is it (A) or (B)?", "B. no\nC. yes"):
            assert options_in(none) == (none, {})


class TestPicturesOfOtherRows:
    def test_rows_are_followed(self, tmp_path: Path) -> None:
        data = mmbench(tmp_path, [{}, {"image": "0"}, {"image": "1"}, {"image": "4.0"}, {"image": picture(4)}])
        items = read(catalogue.load("mmbench"), data)
        assert [item.images[0].open().getpixel((0, 0)) for item in items] == [(n, 9, 9) for n in (0, 0, 0, 4, 4)]

    @pytest.mark.parametrize(
        ("rows", "told"),
        [
            ([{"image": "0"}, {}], "in a circle: 0 → 0"),
            ([{"image": "1"}, {"image": "0"}, {}], "in a circle: 0 → 1 → 0"),
            ([{"image": "7"}, {}], "row '7', and there is no such row"),
            ([{"image": "AAAA"}, {}], "no such row"),
            ([{"image": "?" * 70}, {}], "is no base64"),
        ],
    )
    def test_what_leads_nowhere_is_a_fault(self, rows: list[dict[str, str]], told: str, tmp_path: Path) -> None:
        faults = Faults()
        items = read(catalogue.load("mmbench"), mmbench(tmp_path, rows), faults)
        assert items[-1].id == str(len(rows) - 1) and told in faults.listed[0]
        assert len(items) + faults.count == len(rows)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(0, 9), min_size=1, max_size=10))
    def test_any_graph_of_rows_ends(self, tmp_path_factory: pytest.TempPathFactory, targets: list[int]) -> None:
        folder = tmp_path_factory.mktemp("rows")
        rows = [{"image": str(target)} if target < len(targets) and target % 3 else {} for target in targets]
        faults = Faults()
        try:
            items = read(catalogue.load("mmbench"), mmbench(folder, rows), faults)
        except DataError:
            items = []
        assert len(items) + faults.count == len(rows)
        for item in items:
            place = int(item.id)
            while rows[place]:
                place = int(rows[place]["image"])
            assert item.images[0].open().getpixel((0, 0))[0] == place  # type: ignore[index]


class TestOneBadRecord:
    """A record of each reader is damaged; everything else is read."""

    CASES = (
        ("seed-bench", "seed-bench/SEED-Bench.json", '"answer": "D"', '"answer": "Q"'),
        ("ai2d", "ai2d/questions/3.png.json", '"correctAnswer": 1', '"correctAnswer": 9'),
        ("mmmu", "mmmu/validation.jsonl", '"id": "m3"', '"id": "m3'),
        ("gqa", "gqa/testdev_balanced_questions.json", '"answer": "green"', '"answr": "green"'),
        ("pope-official", "pope/coco_pope_random.json", '"image": "p3.jpg"', '"image": "../../x.jpg"'),
        ("mmbench", "mmbench/mmbench_dev_en.tsv", "\n5\t", "\n5\textra\t"),
        ("vqav2", "vqav2/v2_mscoco_val2014_annotations.json", '"question_id": 3,', '"question_id": 333,'),
        ("mme", "mme/count/p2.txt", "\tYes", "\tPerhaps"),
        ("amber-discriminative", "amber/query/query_all.json", '"image": "AMBER_3.jpg", "query": "Is', '"image": "none.jpg", "query": "Is'),
        ("amber-generative", "amber/annotations.json", '"hallu"', '"halu"'),
        ("chair", "coco/annotations/instances_val2017.json", '"category_id": 3', '"category_id": 99'),
        ("pope", "coco/annotations/instances_val2017.json", '"category_id": 3', '"category_id": 99'),
        ("coco-val-captions", "coco/annotations/captions_val2017.json", '"file_name": "000000000004.jpg"', '"file_name": "x.jpg"'),
        ("flickr30k", "flickr30k/dataset_flickr30k.json", '"filename": "000000000004.jpg"', '"filename": 4'),
        ("docvqa", "docvqa/val_v1.0_withQT.json", '"image": "documents/d3.png"', '"image": null'),
    )  # fmt: skip

    @pytest.mark.parametrize(("task", "file", "old", "new"), CASES)
    def test_costs_one_record(self, task: str, file: str, old: str, new: str, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data, tmp_path / "data")
        path = tmp_path / "data" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        whole = {item.id: item for item in read(catalogue.load(task), data)}
        faults = Faults()
        kept = {item.id: item for item in read(catalogue.load(task), tmp_path / "data", faults)}
        assert faults.count >= 1 and faults.listed
        if task == "pope":  # one picture less changes which things are drawn for the others
            assert len({item.picture for item in kept.values()}) == len({item.picture for item in whole.values()}) - 1
            return
        lost = whole.keys() - kept.keys()
        assert 1 <= len(lost) <= 1 + (task == "mmbench")
        assert all(_same(kept[id_], whole[id_]) for id_ in kept.keys() & whole.keys())

    def test_a_stray_quotation_mark_swallows_no_rows(self, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data / "mmbench", tmp_path / "mmbench")
        path = tmp_path / "mmbench" / "mmbench_dev_en.tsv"
        path.write_text(path.read_text().replace("\n5\tWhich?", '\n5\t"Which?'))
        items = read(catalogue.load("mmbench"), tmp_path)
        whole = read(catalogue.load("mmbench"), data)
        assert [item.id for item in items] == [item.id for item in whole]
        assert [item.truth for item in items] == [item.truth for item in whole]

    def test_bytes_that_are_no_text_cost_their_record(self, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data / "mmmu", tmp_path / "mmmu")
        path = tmp_path / "mmmu" / "validation.jsonl"
        lines = path.read_bytes().split(b"\n")
        path.write_bytes(b"\n".join([lines[0], lines[1].replace(b"Which", b"Wh\xffich"), *lines[2:]]))
        faults = Faults()
        items = read(catalogue.load("mmmu"), tmp_path, faults)
        assert len(items) == len(read(catalogue.load("mmmu"), data)) - 1
        assert faults.count == 1 and "no valid Unicode" in faults.listed[0]

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"bbox": "x"}, "four numbers"),
            ({"bbox": [1, 2, 3]}, "four numbers"),
            ({"bbox": None}, "four numbers"),
            ({"bbox": [1, 2, float("inf"), 4]}, "finite"),
            ({"width": "wide"}, "four numbers"),
            ({"width": 0}, "above nothing"),
            ({"bbox": [30, 2, 10, 4]}, "swapped"),
            ({"bbox": [10, 2, 10, 4]}, "no area"),
            ({"bbox": [10, 20, 3000, 60]}, "outside"),
        ],
    )
    def test_a_true_box_that_cannot_be_scored(
        self, change: dict[str, Any], why: str, data: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(data / "refcoco", tmp_path / "refcoco")
        path = tmp_path / "refcoco" / "refcoco_val.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows[3] |= change
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        faults = Faults()
        items = read(catalogue.load("refcoco"), tmp_path, faults)
        assert len(items) == len(rows) - 1 and faults.count == 1 and why in faults.listed[0]

    @pytest.mark.parametrize(
        ("task", "file", "old", "new", "why"),
        [
            ("pope-official", "pope/coco_pope_random.json", '"label": "yes"', '"label": "maybe"', "neither yes nor no"),
            ("amber-discriminative", "amber/annotations.json", '"truth": "yes"', '"truth": "y"', "neither yes nor no"),
            ("hallusionbench", "hallusionbench/HallusionBench.json", '"figure_id": "1", "question_id": "0", "question": "Is it 0?", "gt_answer": "1"',
             '"figure_id": "1", "question_id": "0", "question": "Is it 0?", "gt_answer": "2"', "neither yes nor no"),
            ("docvqa", "docvqa/val_v1.0_withQT.json", '"answers": ["dogdog"]', '"answers": []', "no true answer"),
            ("countbench", "countbench/countbench.jsonl", '"number": 4', '"number": "some"', "no count"),
            ("mathvista", "mathvista/testmini.json", '"answer": "1"', '"answer": "one third"', "no number"),
        ],
    )  # fmt: skip
    def test_a_truth_that_cannot_be_scored(
        self, task: str, file: str, old: str, new: str, why: str, data: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(data, tmp_path / "data")
        path = tmp_path / "data" / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
        faults = Faults()
        items = read(catalogue.load(task), tmp_path / "data", faults)
        assert len(items) == len(read(catalogue.load(task), data)) - 1
        assert faults.count == 1 and why in faults.listed[0]

    def test_an_id_is_given_once(self, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data / "mmmu", tmp_path / "mmmu")
        path = tmp_path / "mmmu" / "validation.jsonl"
        path.write_text(path.read_text().replace('"id": "m4"', '"id": "m3"'))
        faults = Faults()
        items = read(catalogue.load("mmmu"), tmp_path, faults)
        assert len({item.id for item in items}) == len(items) and faults.count == 1

    def test_results_list_it(self, data: Path, tmp_path: Path) -> None:
        shutil.copytree(data / "gqa", tmp_path / "data" / "gqa")
        path = tmp_path / "data" / "gqa" / "testdev_balanced_questions.json"
        path.write_text(path.read_text().replace('"answer": "green"', '"answr": "green"', 1))
        options = Options(data=tmp_path / "data", progress=False)
        done = run_benchmark(catalogue.load("gqa"), Degenerate("empty"), tmp_path / "run", "x", options)
        assert done.questions == 23 and done.facts["unreadable"]["records"] == 1
        assert any("has no 'answer'" in reason for reason in done.failed)

    def test_where_nothing_is_left_the_first_reason_is_told(self, tmp_path: Path) -> None:
        data = seed(tmp_path, {"answer": "Z"}, {"answer": "Y"})
        with pytest.raises(
            DataError, match=r"hold no question.*2 records cannot be read; the first: .*record 1: the true"
        ):
            read(catalogue.load("seed-bench"), data)


def _same(one: Item, other: Item) -> bool:
    return (one.question, one.truth, one.options) == (other.question, other.truth, other.options)


CASES = Path(__file__).parents[4] / "shared" / "cases" / "answers"


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not there")
class TestSharedCases:
    def run(self, task: str, answers: str, out: Path) -> dict[str, Any]:
        file = catalogue.load(task)
        done = run_benchmark(
            file, Predictions(CASES / answers), out, "x", Options(data=CASES, progress=False, failed_share=1.0)
        )
        lines = (out / "evaluation" / f"{task}.jsonl").read_text().splitlines()
        return {"done": done, "records": [json.loads(line) for line in lines]}

    def test_choices(self, tmp_path: Path) -> None:
        found = self.run("ai2d", "choices.jsonl", tmp_path)
        assert [record["parsed"] for record in found["records"]] == ["B"] * 10
        assert found["done"].metrics["accuracy"].value == 1.0

    def test_boxes(self, tmp_path: Path) -> None:
        found = self.run("refcoco", "boxes.jsonl", tmp_path)
        reasons = [record.get("reason") for record in found["records"]]
        shares = "thousandths or pixels where shares are declared"
        assert reasons == [None, shares, shares, shares, shares, shares, None, None, shares]
        assert [record["correct"] for record in found["records"]] == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0]
        assert found["done"].unparsed.reasons == {shares: 6}

    def test_options(self, tmp_path: Path) -> None:
        found = self.run("seed-bench", "options.jsonl", tmp_path)
        right = {record["id"]: (record["parsed"], record["correct"]) for record in found["records"]}
        assert right == {"a": ("A", True), "b": ("B", True), "d": ("B", True)}

    def test_a_last_option_that_reads_none(self, tmp_path: Path) -> None:
        shutil.copytree(CASES / "seed-bench" / "SEED-Bench-image", tmp_path / "seed-bench" / "SEED-Bench-image")
        shutil.copy(
            CASES / "seed-bench" / "SEED-Bench-last-option-None.json", tmp_path / "seed-bench" / "SEED-Bench.json"
        )
        (item,) = read(catalogue.load("seed-bench"), tmp_path)
        assert item.truth == "D" and item.choices["D"] == "None"
