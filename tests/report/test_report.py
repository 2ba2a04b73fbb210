"""The report of a run: everything there is shown, nothing that data say can run, and missing parts are no obstacle."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import fake_run
import pytest
from PIL import Image

from triptych.errors import DataError
from triptych.report import write_report

VOID = {"meta", "img", "input", "br", "path", "line", "link"}


class Page(HTMLParser):
    """What a browser would make of a page: elements with attributes, text, and whether the tags balance."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def classes(self, name: str) -> int:
        """How many elements have a class."""
        return sum(name in (attributes.get("class") or "").split() for _, attributes in self.elements)


def report_of(run: Path, **options: object) -> Page:
    return Page(write_report(run, **{"open_picture": fake_run.open_picture, **options}).read_text(encoding="utf-8"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_run.write_run(tmp_path / "run")


def test_the_page_shows_every_part_of_the_run(run: Path) -> None:
    page = report_of(run)
    for text in (
        "quickstart",
        "existence F1",
        "0.930",
        "CIDEr-D",
        "baseline: nearest",
        "Held-out pictures",
        "Mistakes by kind",
        "adapters.image",
        "align",
        "instruct",
        "17 min 16 s",
        "unreadable picture",
        "Intel Xeon Platinum 8481C",
        "4be1c0ffee",
        "SmolLM2-135M-Instruct",
    ):
        assert text in page.text, text
    assert page.text.count("Loss") == 2  # a curve for each stage
    assert page.classes("picture") == 24


def test_the_page_loads_nothing_and_runs_nothing(run: Path) -> None:
    page = report_of(run)
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "iframe", "object", "embed", "link"}
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert (value or "").startswith(("data:image/", "#"))
    policy = next(a for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in str(policy["content"])
    style = write_report(run, fake_run.open_picture).read_text().partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style and "@import" not in style


def test_text_from_data_is_escaped_everywhere(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script><img src=x onerror=alert(1)>\"' &amp;"
    run = fake_run.write_run(tmp_path / "run")
    (run / "recipe.yaml").write_text(
        f"# {evil}\nname: x\nmodel: {{language: {{weights: '{evil.replace(chr(39), '')}'}}}}\n"
    )
    info = fake_run.run_info(evil)
    info["stages"][0]["name"] = info["stages"][0]["parts"][0]["part"] = info["hardware"]["cpu"] = evil
    (run / "run.json").write_text(json.dumps(info))
    results = fake_run.results()
    task = results["tasks"].pop("scenes")
    task["prompt"] = evil
    task["metrics"][evil] = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 3}
    results["tasks"][evil] = task
    (run / "results.json").write_text(json.dumps(results))
    record = dict.fromkeys(("id", "kind", "question", "truth", "answer"), evil) | {"correct": False, "parsed": evil}
    fake_run.write_lines(run / "evaluation" / "scenes.jsonl", [{**record, "image": {"dataset": evil, "index": 0}}])
    ledger = dict.fromkeys(("dataset", "record", "outcome", "reason", "kind", "stage"), evil)
    fake_run.write_lines(run / "ledger.jsonl", [ledger])
    fake_run.write_lines(run / "metrics.jsonl", [{"stage": evil, "step": i, "loss": 1.0 / i} for i in range(1, 5)])

    page = report_of(run)
    assert not any(tag == "script" for tag, _ in page.elements)
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count("<script>alert('x')</script>") >= 15


@pytest.mark.parametrize(
    "gone",
    [
        ["results.json", "evaluation/scenes.jsonl", "evaluation/captions.jsonl"],
        ["ledger.jsonl"],
        ["run.json"],
        ["metrics.jsonl"],
        ["recipe.yaml"],
        ["run.json", "results.json", "ledger.jsonl", "metrics.jsonl"],
        ["run.json", "recipe.yaml", "metrics.jsonl", "ledger.jsonl"],
    ],
)
def test_parts_that_are_missing_are_left_out(run: Path, gone: list[str]) -> None:
    for name in gone:
        (run / name).unlink()
    page = report_of(run)
    if "results.json" in gone:
        assert "No evaluation yet" in page.text and "triptych evaluate" in page.text
    if "ledger.jsonl" in gone:
        assert "no sample was shortened or refused" in page.text
    if "run.json" in gone and "metrics.jsonl" not in gone:
        assert "align" in page.text and "1.22 M" in page.text  # the metrics tell how many tokens there were


def test_a_killed_run_leaves_half_a_line_and_the_report_says_so(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "instruct", "step": 251, "lo')
    assert "metrics.jsonl: 1 line(s) could not be read" in report_of(run).text


def test_a_damaged_results_file_costs_the_scores_only(run: Path) -> None:
    (run / "results.json").write_text('{"tasks": ')
    page = report_of(run)
    assert "results.json: cannot be read as JSON" in page.text and "Held-out pictures" in page.text


def test_values_of_unexpected_types_do_not_stop_the_report(run: Path) -> None:
    fake_run.write_lines(
        run / "metrics.jsonl",
        [
            {"stage": "align", "step": 1, "loss": None},
            {"stage": "align", "step": 2, "loss": float("nan"), "tokens": "x"},
        ],
    )
    (run / "run.json").write_text(json.dumps({"stages": [{"name": "align", "seconds": None, "parts": None}, "x"]}))
    assert "align" in report_of(run).text


def test_what_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such run folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(DataError, match="not a run folder"):
        write_report(tmp_path)


def test_pictures_are_embedded_small_and_show_what_the_callback_drew(run: Path) -> None:
    seen: list[int] = []

    def paint(record: dict) -> Image.Image:
        seen.append(record["image"]["index"])
        return Image.new("RGB", (1200, 800), (200, 30, 30))

    page = report_of(run, open_picture=paint)
    sources = [attributes["src"] or "" for tag, attributes in page.elements if tag == "img"]
    assert len(sources) == len(seen) == 24
    picture = Image.open(io.BytesIO(base64.b64decode(sources[0].partition(",")[2])))
    assert picture.size == (360, 240)
    red, green, blue = picture.convert("RGB").getpixel((100, 100))
    assert red > 180 and green < 60 and blue < 60


def test_pictures_that_are_gone_do_not_stop_the_report(run: Path) -> None:
    def fail(record: dict) -> Image.Image:
        raise DataError("the dataset was moved")

    assert "could not be opened again" in report_of(run, open_picture=fail).text
    assert "could not be opened again" in report_of(run, open_picture=lambda record: None).text


def test_by_default_pictures_come_from_the_datasets_of_the_recipe(run: Path, tmp_path: Path) -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    (tmp_path / "images").mkdir()
    for i, colour in enumerate(colours):
        Image.new("RGB", (40, 40), colour).save(tmp_path / "images" / f"{i}.png")
    captions = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in range(3)],
        "annotations": [{"id": i, "image_id": i, "caption": "A colour."} for i in range(3)],
    }
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    (run / "recipe.yaml").write_text(
        f"name: x\nbase: {tmp_path}\n"
        "data:\n  held-out: {kind: coco_captions, annotations: captions.json, images: images}\n"
    )
    record = {
        "id": "a",
        "kind": "colour",
        "question": "Which?",
        "truth": "green",
        "answer": "Green.",
        "parsed": "green",
    }
    rows = [{**record, "correct": True, "image": {"dataset": name, "index": 1}} for name in ("held-out", "gone")]
    fake_run.write_lines(run / "evaluation" / "scenes.jsonl", rows)
    (run / "evaluation" / "captions.jsonl").unlink()

    page = Page(write_report(run).read_text())
    (source,) = [attributes["src"] or "" for tag, attributes in page.elements if tag == "img"]
    picture = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB")
    assert picture.getpixel((20, 20))[1] > 200 > picture.getpixel((20, 20))[0]
    assert page.text.count("could not be opened again") == 1


def test_the_same_run_gives_the_same_page(run: Path) -> None:
    first = write_report(run, fake_run.open_picture).read_bytes()
    assert write_report(run, fake_run.open_picture).read_bytes() == first
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []
