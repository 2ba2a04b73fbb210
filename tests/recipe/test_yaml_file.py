"""YAML that recipes, overrides, task files and studies are written in: what is read, what is refused, and on which line."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from triptych.errors import RecipeError
from triptych.evaluate.benchmarks import catalogue
from triptych.recipe import load_recipe
from triptych.study.config import load_study
from triptych.yaml_file import MAX_BYTES, read_yaml, read_yaml_file, write_yaml

CASES = Path(__file__).parents[3] / "shared" / "cases" / "recipes"

REFUSED = {
    "junk for a whole number": ("name: !!int abc", 1, "!!int"),
    "junk for a number": ("a: 1\nb: !!float 1.2.3", 2, "!!float"),
    "junk for true or false": ("a: !!bool perhaps", 1, "!!bool"),
    "junk for nothing": ("a: !!null x", 1, "!!null"),
    "a sexagesimal number by its tag": ("a: !!int 1:30", 1, "!!int"),
    "a date by its tag": ("a: !!timestamp 2023-99-99", 1, "!!timestamp"),
    "bytes": ("a: 1\n\nb: !!binary aGk=", 3, "!!binary"),
    "broken bytes": ("a: !!binary '*'", 1, "!!binary"),
    "a set": ("a: !!set {x, y}", 1, "!!set"),
    "an ordered mapping": ("a: !!omap [x: 1]", 1, "!!omap"),
    "a call": ("a: !!python/object/apply:os.system ['true']", 1, "python/object"),
    "a module": ("a: !!python/module:os", 1, "python/module"),
    "a class's name": ("a: !!python/name:os.system ''", 1, "python/name"),
    "a tag of one's own": ("a: !mine x", 1, "!mine"),
    "two keys": ("name: a\nseed: 1\nname: b", 3, "'name' stands on line 1 already"),
    "two keys inside": ("a: {b: 1,\n  b: 2}", 2, "'b' stands on line 1 already"),
    "two keys of one number": ("1: a\n1.0: b", 2, "stands on line 1"),
    "two merges": ("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a", 4, "'<<' stands on line 3"),
    "a merge of a text": ("<<: text", 1, "takes a mapping"),
    "a merge of a list of texts": ("a: 1\n<<: [text]", 2, "takes a mapping"),
    "a list as key": ("? [a, b]\n: 1", 1, "a key is a text"),
    "a mapping as key": ("? {a: b}\n: 1", 1, "a key is a text"),
    "true as key": ("a: 1\non: 2", 2, "'on' is read as true; put it into quotes"),
    "nothing as key": ("~: 2", 1, "null"),
    "an empty key": ("{: 2}", 1, "found ':'"),
    "an alias inside its anchor": ("a: 1\nb: &x [*x]", 2, "inside what it stands for"),
    "an alias deep inside its anchor": ("b: &x {c: [{d: *x}]}", 1, "inside what it stands for"),
    "an alias as its own key": ("&x {? *x : 1}", 1, "inside what it stands for"),
    "an unknown alias": ("a: *nobody", 1, "undefined alias"),
    "billions of laughs": (
        "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]" for i in range(1, 20)]),
        5,
        "aliases counted",
    ),
    "billions of merged laughs": (
        "\n".join(["a0: &a0 {x: 1, y: 2}"] + [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k: *a{i - 1}}}" for i in range(1, 20)]),
        None,
        "aliases counted",
    ),
    "one long text a thousand times": ("a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 1000 + "]", 2, "aliases counted"),
    "too many values": ("- a\n" * 30_000, None, "values"),
    "deep lists": ("[" * 10_000, 1, "deep"),
    "deep mappings": ("{a: " * 10_000, 1, "deep"),
    "deep dashes": ("- " * 10_000 + "a", 1, "deep"),
    "deep indentation": ("\n".join(" " * i + "a:" for i in range(500)), None, "deep"),
    "a huge whole number": ("a: " + "1" * 5_000, 1, "64 bits"),
    "a huge number in sixteens": ("a: 0x" + "f" * 5_000, 1, "64 bits"),
    "2^64": ("a: 18446744073709551616", 1, "64 bits"),
    "infinity": ("a: .inf", 1, "finite"),
    "minus infinity": ("a: -.INF", 1, "finite"),
    "no number": ("a: .nan", 1, "finite"),
    "a number that overflows": ("a: 1e999", 1, "finite"),
    "a leading zero": ("a: 010", 1, "8 in YAML 1.1 and 10 in YAML 1.2"),
    "NUL": ("a: b\0c", 1, "U+0000"),
    "half a surrogate pair": ('a: "\\ud800"', 1, "surrogate"),
    "a control character": ("a: 1\nb: \x07", 2, "U+0007"),
    "no character": ('name: "\\U00110000"', 1, "no character has"),
    "two documents": ("a: 1\n---\nb: 2", None, "single document"),
    "another version of YAML": ("%YAML 9.0\n---\na: 1", 1, "version"),
    "a list that is not closed": ("a: [1,", 1, "expected"),
    "tabs": ("a:\n\tb: 1", 2, "\\t"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_at_once_with_its_line(name: str, tmp_path: Path) -> None:
    text, line, expected = REFUSED[name]
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    for read in (read_yaml_file, load_recipe, load_study, catalogue.load):
        began = time.process_time()
        with pytest.raises(RecipeError) as error:
            read(path)
        message = str(error.value)
        assert time.process_time() - began < 5
        assert message.startswith(f"{path}:{line}:" if line is not None else f"{path}:")
        assert expected in message and "\n" not in message and len(message) < 600


@pytest.mark.parametrize(
    "name", [name for name in REFUSED if "\n" not in REFUSED[name][0] and "\0" not in REFUSED[name][0]]
)
def test_overrides_are_read_by_the_same_rules(name: str) -> None:
    text, _, expected = REFUSED[name]
    with pytest.raises(RecipeError) as error:
        load_recipe("llava-mini", [f"model.language.system={text}"])
    assert expected in str(error.value) and len(str(error.value)) < 600


def test_the_cases_beside_the_project(tmp_path: Path) -> None:
    if not CASES.is_dir():
        pytest.skip("the cases are not beside the project")
    files = sorted(CASES.glob("*.yaml"))
    assert len(files) >= 9
    for path in files:
        for overrides in ([], ["seed=1"]):
            began = time.process_time()
            with pytest.raises(RecipeError, match=rf"{path.name}:\d+: ") as error:
                load_recipe(path, overrides if "seed" not in path.read_text(encoding="utf-8") else [])
            assert time.process_time() - began < 5 and len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("2024-13-01", "2024-13-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
        ("16:9", "16:9"),
        ("1:30.5", "1:30.5"),
        ("=", "="),
        ("<<", "<<"),
        ("0b_", "0b_"),
        ("089", "089"),
        ("1_000", 1000),
        ("-0x10", -16),
        ("0b11", 3),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("!!float 3", 3.0),
        ("!!str 3", "3"),
        ("'010'", "010"),
        ("18446744073709551615", 2**64 - 1),
        ("~", None),
        ("", None),
        ("off", False),
        ('"a\\0b"', "a\0b"),
        ("\ufeffa", "a"),
        ("[[], {}]", [[], {}]),
    ],
)
def test_what_plain_text_means(text: str, value: Any) -> None:
    read = read_yaml(text, "it")
    assert read == value and type(read) is type(value)


def test_an_alias_is_a_copy(tmp_path: Path) -> None:
    """A change to one of two places that share an anchor does not reach the other."""
    values = read_yaml("a: &x {deep: [1]}\nb: *x\nc: {<<: *x}\nd: {<<: [{p: 1, q: 1}, {q: 2, r: 2}], p: 0}", "it")
    values["a"]["deep"].append(2)
    assert values["b"] == values["c"] == {"deep": [1]}
    assert values["d"] == {"p": 0, "q": 1, "r": 2}
    path = tmp_path / "two.yaml"
    path.write_text(
        "extends: llava-mini\n"
        "stages:\n- &s {name: one, train: [adapters], mixture: {captions: 1}, steps: 5}\n- {<<: *s, name: two}\n"
        "data: {captions: {kind: scenes, count: 4}}\n"
    )
    stages = load_recipe(path, ["stages.0.mixture.captions=3"]).stages
    assert [stage.mixture for stage in stages] == [{"captions": 3}, {"captions": 1}]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["010", "1e3", "1.e5", ".5e1", "0b_1", "on", "=", "<<", "1:30", "2024-01-01", ".inf", "0x_f", "~", "-"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@example(["\x85", "\u2028", "\ufeff", "\x07", "1_0", "+.inf", "0o7", "00", "0_", "1__0.", "._1", "-.5"])
@given(PLAIN)
def test_what_is_written_is_read_back(values: Any) -> None:
    assert read_yaml(write_yaml(values), "it") == values


@settings(max_examples=500, deadline=5000)
@given(st.text(st.sampled_from(list("ab01:-?!&*[]{},|>'\"%@#\\<=~. \n\t_ex")), max_size=60) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_yaml(text, "it")
    except RecipeError as error:
        assert str(error).startswith("it: ")


class TestFiles:
    def refusal(self, path: Path) -> str:
        messages = []
        for read in (load_recipe, load_study, catalogue.load):
            with pytest.raises(RecipeError) as error:
                read(path)
            messages.append(str(error.value))
        return messages[0]

    def test_encodings(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_bytes("a: ü\n".encode("utf-8-sig"))
        assert read_yaml_file(path).values == {"a": "ü"}
        path.write_bytes("a: ü\n".encode("utf-16"))
        assert "UTF-16" in self.refusal(path)
        path.write_bytes(b"a: 1\nb: \xff\n")
        assert f"{path}:2: not valid YAML: not UTF-8" in self.refusal(path)

    def test_folders_and_empty_files(self, tmp_path: Path) -> None:
        (tmp_path / "folder.yaml").mkdir()
        assert "is a folder" in self.refusal(tmp_path / "folder.yaml")
        (tmp_path / "empty.yaml").touch()
        assert "got nothing" in self.refusal(tmp_path / "empty.yaml")
        (tmp_path / "dangling.yaml").symlink_to("nowhere")
        self.refusal(tmp_path / "dangling.yaml")
        (tmp_path / "circle.yaml").symlink_to("circle.yaml")
        self.refusal(tmp_path / "circle.yaml")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.yaml")
        messages: list[str] = []
        worker = threading.Thread(target=lambda: messages.append(self.refusal(tmp_path / "pipe.yaml")), daemon=True)
        worker.start()
        worker.join(10)
        assert messages and "pipe" in messages[0]

    def test_a_huge_file_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "huge.yaml"
        with path.open("wb") as file:
            file.truncate(1 << 40)  # takes no room on the disk
        assert "larger than 1 MiB" in self.refusal(path)

    @pytest.mark.parametrize("text", ["- a\n", "a: b\n", "[],", "{a: b},", "x ", "# x\n", "'x' ", "&a ", "\\", ": "])
    def test_the_largest_file_takes_seconds(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "large.yaml"
        path.write_text((text * (MAX_BYTES // len(text)))[: MAX_BYTES - 1])
        began = time.process_time()
        with pytest.raises(RecipeError):
            load_recipe(path)
        assert time.process_time() - began < 20


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("~nobody-of-that-name/x", "there is no user 'nobody-of-that-name'"),
            ("a\0b", "NUL"),
            ("x" * 300, "too long"),
            ("x/" * 3000, "too long"),
            ("a\ud800", "no Unicode"),
        ],
    )
    def test_paths_that_cannot_be(self, path: str, expected: str) -> None:
        for read in (load_recipe, load_study, catalogue.load):
            with pytest.raises(RecipeError, match=expected) as error:
                read(path)
            assert "\n" not in str(error.value) and len(str(error.value)) < 300

    @pytest.mark.parametrize("field", ["extends", "base"])
    @pytest.mark.parametrize("path", ["~nobody-of-that-name/x", '"a\\0b"', "y" * 300, "/dev/null", "/", "circle/x"])
    def test_inside_a_recipe(self, field: str, path: str, tmp_path: Path) -> None:
        (tmp_path / "circle").symlink_to("circle")
        file = tmp_path / "r.yaml"
        file.write_text(f"{field}: {path}\nstages: 3\n")
        with pytest.raises(RecipeError):
            load_recipe(file)

    @pytest.mark.parametrize("uri", ["file:~nobody-of-that-name/x", f"file:{'y' * 300}", f"run:{'z/' * 3000}"])
    def test_inside_weights(self, uri: str) -> None:
        from triptych.errors import WeightsError
        from triptych.weights import fetch

        with pytest.raises(WeightsError, match="path"):
            fetch(uri)

    @pytest.mark.parametrize("name", ["..", ".", "../x", "a/b", "x" * 300, "", "\0"])
    def test_a_name_that_becomes_a_folder_leads_nowhere_else(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match="name"):
            load_recipe("llava-mini", [f"name={json.dumps(name)}"])
        study = tmp_path / "study.yaml"
        study.write_text(f"name: {json.dumps(name)}\nrecipe: llava-mini\nscore: a.b\nvariants: {{x: {{}}}}\n")
        with pytest.raises(RecipeError, match="name"):
            load_study(study)
        task = tmp_path / "task.yaml"
        text = (catalogue.FOLDER / "gqa" / "task.yaml").read_text(encoding="utf-8")
        task.write_text(f"name: {json.dumps(name)}\n{text}", encoding="utf-8")
        with pytest.raises(RecipeError, match=r"task.yaml:1: name"):
            catalogue.load(task)


class TestLines:
    """Mistakes of the schema, too, are named with file and line, through `extends:` and overrides."""

    def test_of_a_recipe(self, tmp_path: Path) -> None:
        base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
        base.write_text("extends: llava-mini\nseed: 2024-13-01\n")
        child.write_text("extends: base.yaml\n\nloading: {wrkers: 2}\n")
        with pytest.raises(RecipeError) as error:
            load_recipe(child, ["stages.0.steps=-3"])
        message = str(error.value)
        assert f"{base}:2: seed: " in message and f"{child}:3: loading.wrkers: " in message
        assert (
            "stages.0.steps: input should be greater" in message and "(by the override 'stages.0.steps=-3')" in message
        )

    def test_of_a_study(self, tmp_path: Path) -> None:
        path = tmp_path / "study.yaml"
        path.write_text("recipe: llava-mini\nscore: a.b\nseeds: [1, x]\nvariants: {x: {}}\n")
        with pytest.raises(RecipeError, match=r"study.yaml:3: seeds.1: "):
            load_study(path)

    def test_a_hundred_mistakes_are_counted_and_twenty_listed(self) -> None:
        with pytest.raises(RecipeError, match=r"has 100 mistake\(s\)") as error:
            load_recipe("llava-mini", [f"stages.0.train=[{'a, ' * 100}]", *(f"nothing{i}=1" for i in range(100))])
        assert len(str(error.value).splitlines()) == 22 and str(error.value).endswith("… and 80 more")

    def test_values_are_shortened(self, tmp_path: Path) -> None:
        path = tmp_path / "long.yaml"
        long = "x" * 200_000
        path.write_text(
            f"name: [{long}]\nseed: {long}\nextends: llava-mini\nstages: [{{{long}: 1}}]\nvalidation: {long}\n"
        )
        began = time.process_time()
        with pytest.raises(RecipeError) as error:
            load_recipe(path)
        assert time.process_time() - began < 5 and len(str(error.value)) < 8000


def test_recipes_that_extend_each_other_without_end(tmp_path: Path) -> None:
    for i in range(100):
        (tmp_path / f"{i}.yaml").write_text(f"extends: {i + 1}.yaml\n")
    with pytest.raises(RecipeError, match="more than 32 recipes"):
        load_recipe(tmp_path / "0.yaml")


@pytest.mark.parametrize("step", ["²", "-1", "1" * 5000, "", "٣", "1.0"])
def test_places_in_lists_are_numbers(step: str) -> None:
    with pytest.raises(RecipeError):
        load_recipe("llava-mini", [f"stages.{step}.steps=1"])


def test_a_path_has_few_steps() -> None:
    with pytest.raises(RecipeError, match="30 steps"):
        load_recipe("llava-mini", ["a" + ".a" * 100_000 + "=1"])
