"""Recipes and studies by name: in a clone, without one, and out of a wheel."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from rendered import rendered
from triptych.cli.commands.recipes import recipes, tables
from triptych.errors import RecipeError
from triptych.recipe import dump_recipe, load_recipe
from triptych.recipe.included import included
from triptych.study import load_study

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))
STUDIES = sorted(path.stem for path in (ROOT / "recipes" / "studies").glob("*.yaml"))
PRESETS = sorted(path.stem for path in (ROOT / "src" / "triptych" / "recipe" / "presets").glob("*.yaml"))


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with nothing in it."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder.resolve()


def fails(name: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(name)
    return str(caught.value)


def test_each_has_a_name_of_its_own() -> None:
    assert sorted(included()) == sorted([*RECIPES, *STUDIES, *PRESETS])
    assert "quickstart" in RECIPES and "llava-mini" in PRESETS and "adapters" in STUDIES


@pytest.mark.parametrize("name", RECIPES)
def test_in_a_clone_a_name_and_the_path_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load_recipe(name) == load_recipe(f"recipes/{name}.yaml") == load_recipe(ROOT / "recipes" / f"{name}.yaml")


@pytest.mark.parametrize("name", STUDIES)
def test_in_a_clone_a_studys_name_and_path_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load_study(name) == load_study(f"recipes/studies/{name}.yaml")


@pytest.mark.parametrize("name", RECIPES)
def test_elsewhere_relative_paths_start_at_the_current_folder(name: str, empty: Path) -> None:
    recipe, there = load_recipe(name), load_recipe(ROOT / "recipes" / f"{name}.yaml")
    written = yaml.safe_load((ROOT / "recipes" / f"{name}.yaml").read_text()).get("base", ".")
    assert Path(recipe.base) == (empty / "recipes" / written).resolve()
    assert recipe.model_copy(update={"base": there.base}) == there
    trained = [word for word in dump_recipe(recipe).split() if word.startswith("run:")]
    assert not trained or Path(recipe.base) == empty  # runs are where `triptych train` leaves them


def test_elsewhere_the_paths_of_a_study_start_at_the_current_folder(empty: Path) -> None:
    study = load_study("grounding")
    assert Path(study.folder) == empty / "recipes" / "studies"
    assert study.base is not None and (Path(study.folder) / study.base["base"]).resolve() == empty


def test_the_path_of_a_clone_is_read_from_anywhere(empty: Path) -> None:
    path = os.path.relpath(ROOT / "recipes" / "clip-detector.yaml", empty)
    assert Path(load_recipe(path).base) == ROOT.resolve()


def test_a_recipe_extends_one_by_name(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty / "deep").mkdir()
    for name in ("quickstart", "clip-detector", "llava-on-clip"):
        (empty / "deep" / "mine.yaml").write_text(f"extends: {name}\nseed: 5\n")
        mine, theirs = load_recipe("deep/mine.yaml"), load_recipe(name)
        assert (mine.name, mine.seed, Path(mine.base)) == ("mine", 5, empty / "deep")
        assert mine.stages == theirs.stages and mine.model == theirs.model
        monkeypatch.chdir("/")
        assert load_recipe(empty / "deep" / "mine.yaml") == mine
        monkeypatch.chdir(empty)


class TestWhatComesFirst:
    def test_a_file_of_that_name(self, empty: Path) -> None:
        (empty / "quickstart").write_text("extends: llava-mini\nseed: 7\n")
        assert load_recipe("quickstart").seed == 7
        (empty / "adapters").write_text("recipe: quickstart\nscore: scenes.naming\nvariants: {a: {seed: 1}}\n")
        assert load_study("adapters").recipe == "quickstart"

    def test_a_folder_of_that_name(self, empty: Path) -> None:
        (empty / "quickstart").mkdir()
        assert fails("quickstart") == "quickstart: is a folder, expected a YAML file"
        (empty / "quickstart" / "recipe.yaml").write_text("extends: llava-mini\n")
        assert "did you mean 'quickstart/recipe.yaml'?" in fails("quickstart")

    def test_a_file_beside_the_one_that_extends_it(self, empty: Path) -> None:
        (empty / "deep").mkdir()
        (empty / "deep" / "detector").write_text("extends: llava-mini\nseed: 9\n")
        (empty / "deep" / "mine.yaml").write_text("extends: detector\n")
        assert load_recipe("deep/mine.yaml").seed == 9


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("quickstrat", "did you mean 'quickstart'? `triptych recipes` lists"),
            ("llava_mini", "did you mean 'llava-mini'"),
            ("clip-mni.yaml", "did you mean 'clip-mini'"),
            ("detectr", "did you mean 'detector' or 'clip-detector'"),
            ("recipes/quickstart.yaml", "the recipe of that name comes with Triptych and is loaded as 'quickstart'"),
            ("presets/llava-mini.yaml", "the preset of that name comes with Triptych and is loaded as 'llava-mini'"),
            ("adapters", "'adapters' is a study: `triptych study adapters`"),
            ("xyzzy", "; `triptych recipes` lists what comes with Triptych"),
            ("x" * 200, "`triptych recipes` lists what comes with Triptych"),
        ],
    )
    def test_of_recipes(self, name: str, hint: str, empty: Path) -> None:
        said = fails(name)
        assert said.startswith(f"{name}: cannot be read (No such file or directory); ") and hint in said

    def test_the_users_files_are_named_first(self, empty: Path) -> None:
        (empty / "quick.yaml").write_text("")
        assert "did you mean 'quick.yaml' or 'quickstart'" in fails("quickst.yaml")

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("adaptrs", "did you mean 'adapters'"),
            ("quickstart", "'quickstart' is a recipe: `triptych train quickstart`"),
        ],
    )
    def test_of_studies(self, name: str, hint: str, empty: Path) -> None:
        with pytest.raises(RecipeError, match="cannot be read") as caught:
            load_study(name)
        assert hint in str(caught.value)


class TestList:
    @pytest.mark.parametrize("width", [10_000, 80, 50])
    def test_it_has_each_with_a_sentence_and_keeps_to_the_width(self, width: int) -> None:
        lines = "".join(rendered(table, width) for table in tables()).splitlines()
        for name, one in included().items():
            (line,) = [line for line in lines if line.startswith(f"  {name} ")]
            assert len(one.summary) > 15 and one.summary.count("http") == 0
            assert line.split()[1:] and (width < 10_000 or line.rstrip().endswith(one.summary))
        assert max(map(len, lines)) <= width

    def test_one_is_printed_as_it_is_written(self, capsys: pytest.CaptureFixture[str]) -> None:
        recipes("quickstart")
        assert capsys.readouterr().out == (ROOT / "recipes" / "quickstart.yaml").read_text()
        with pytest.raises(RecipeError, match="did you mean 'quickstart'"):
            recipes("quickstar")


IN_WHEEL = """
import json, sys
from pathlib import Path
import triptych
from triptych.recipe import dump_recipe, load_recipe
from triptych.recipe.included import included
from triptych.study import load_study

site = Path(triptych.__file__).parent
assert site.is_relative_to(sys.argv[1]), site
found = {}
for name, one in included().items():
    assert one.path.is_relative_to(site), one.path
    found[name] = one.kind
    if one.kind == "study":
        load_study(name)
    else:
        dump_recipe(load_recipe(name))
print(json.dumps(found))
"""


def test_a_wheel_has_them_and_loads_them(tmp_path: Path) -> None:
    """The wheel is built from the clone, unpacked, and used from a folder with nothing in it."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if importlib.util.find_spec("hatchling") is not None:  # else pip gets it
        build.append("--no-build-isolation")
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("triptych-*.whl")
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(site)
    packaged = {name.removeprefix("triptych/recipe/"): site / name for name in names if name.endswith(".yaml")}
    for path in sorted((ROOT / "recipes").rglob("*.yaml")):
        assert packaged[path.relative_to(ROOT).as_posix()].read_bytes() == path.read_bytes()
    assert not [name for name in names if not name.startswith(("triptych/", "triptych-"))]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", IN_WHEEL, str(site)], cwd=work, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: one.kind for name, one in included().items()}
    listed = subprocess.run(
        [sys.executable, "-m", "triptych", "recipes"], cwd=work, env=environment, capture_output=True, text=True
    )
    assert all(f"  {name} " in listed.stdout for name in ("quickstart", "llava-mini", "adapters"))
