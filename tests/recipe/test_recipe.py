"""Recipes: what extends, overrides and mistakes do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from triptych.errors import RecipeError
from triptych.recipe import dump_recipe, load_recipe, parse_recipe

BASE: dict[str, Any] = {
    "model": {"language": {"weights": "hf:org/name"}},
    "data": {"scenes": {"kind": "scenes", "count": 10}},
    "stages": [
        {"name": "align", "train": ["adapters"], "mixture": {"scenes": 1}, "steps": 5},
        {"name": "instruct", "train": ["adapters", "language"], "mixture": {"scenes": 1}, "epochs": 1.5},
    ],
}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def file(name: str, values: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
        return path

    return file


@pytest.fixture
def base(write: Any) -> Path:
    return write("base.yaml", BASE)


def fails(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as error:
        load_recipe(path, overrides)
    return str(error.value)


def test_name_and_folder_are_the_files(base: Path) -> None:
    recipe = load_recipe(base)
    assert (recipe.name, recipe.base) == ("base", str(base.parent))


def test_a_written_base_starts_at_its_file_and_a_given_one_here(
    base: Path, write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_base = write("with_base.yaml", {**BASE, "base": "../data"})
    monkeypatch.chdir("/")
    assert load_recipe(with_base).base == str((base.parent / "../data").resolve())
    child = base.parent / "deeper" / "child.yaml"
    child.parent.mkdir()
    child.write_text("extends: ../with_base.yaml\n")
    assert load_recipe(child).base == str((base.parent / "../data").resolve())
    monkeypatch.chdir(tmp_path)
    assert load_recipe(with_base, ["base=here"]).base == str((tmp_path / "here").resolve())
    again = write("again.yaml", dump_recipe(load_recipe(with_base)))
    assert load_recipe(again).base == load_recipe(with_base).base


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("1E-3", 0.001), ("2.5e-4", 2.5e-4), ("1", 1.0), ("+1e1", 10.0)]
)
def test_numbers_are_numbers(base: Path, write: Any, text: str, value: float) -> None:
    assert load_recipe(base, [f"stages.0.learning_rate={text}"]).stages[0].learning_rate == value
    written = base.read_text().replace("steps: 5", f"steps: 5\n  learning_rate: {text}")
    assert load_recipe(write("written.yaml", written)).stages[0].learning_rate == value


def test_words_that_look_like_numbers_stay_words(base: Path) -> None:
    assert load_recipe(base, ["model.language.system=1e-3 is small"]).model.language.system == "1e-3 is small"
    assert load_recipe(base, ["name=e3"]).name == "e3"


def test_extends_merges_by_key_and_replaces_lists(base: Path, write: Any) -> None:
    values = {"extends": "base.yaml", "model": {"language": {"system": "Be brief."}}, "stages": BASE["stages"][:1]}
    child = load_recipe(write("child.yaml", values))
    assert child.name == "child"
    assert child.model.language.weights == "hf:org/name"
    assert child.model.language.system == "Be brief."
    assert [stage.name for stage in child.stages] == ["align"]


def test_extends_goes_through_several_files_and_folders(base: Path, write: Any) -> None:
    write("more/middle.yaml", {"extends": "../base.yaml", "seed": 3, "model": {"language": {"system": "middle"}}})
    recipe = load_recipe(
        write("more/deep/last.yaml", {"extends": "../middle.yaml", "model": {"language": {"system": "last"}}})
    )
    assert (recipe.seed, recipe.model.language.system, recipe.name) == (3, "last", "last")


def test_another_kind_replaces_what_the_old_kind_said(write: Any) -> None:
    adapters = {"image": {"kind": "mlp", "depth": 3, "positions": False}}
    write("base.yaml", {**BASE, "model": {**BASE["model"], "adapters": adapters}})
    linear = {"extends": "base.yaml", "model": {"adapters": {"image": {"kind": "linear"}}}}
    assert load_recipe(write("linear.yaml", linear)).model.adapters.image.model_dump()["positions"] is True
    deeper = {"extends": "base.yaml", "model": {"adapters": {"image": {"kind": "mlp", "depth": 4}}}}
    found = load_recipe(write("deeper.yaml", deeper)).model.adapters.image.model_dump()
    assert (found["depth"], found["positions"]) == (4, False)


def test_circles_are_found(write: Any) -> None:
    write("a.yaml", {"extends": "b.yaml"})
    path = write("b.yaml", {"extends": "a.yaml"})
    message = fails(path)
    assert "circle" in message
    assert message.count("b.yaml") >= 2
    assert "circle" in fails(write("self.yaml", {"extends": "self.yaml"}))


def test_a_kind_alone_keeps_what_both_kinds_have(write: Any) -> None:
    image = {"kind": "mlp", "hidden": 64, "depth": 3, "pool": 3, "reduction": "pixel_shuffle", "markers": "places"}
    path = write("mine.yaml", {**BASE, "model": {**BASE["model"], "adapters": {"image": image}}})
    found: Any = load_recipe(path, ["model.adapters.image.kind=linear"]).model.adapters.image
    assert (found.kind, found.pool, found.reduction, found.markers) == ("linear", 3, "pixel_shuffle", "places")
    both: Any = load_recipe(
        path,
        ["model.adapters.image.markers=null", "model.adapters.image.kind=perceiver", "model.adapters.image.latents=5"],
    )
    assert both.model.adapters.image.latents == 5
    assert "'hiden' is not known" in fails(write("typo.yaml", {**BASE, "model": {**BASE["model"], "adapters": {"image": {"kind": "mlp", "hiden": 3}}}}))  # fmt: skip
    assert "data.scenes" in fails(path, "data.scenes.kind=text")  # what the new kind needs is still asked for


def test_files_that_cannot_be_read(base: Path, write: Any, tmp_path: Path) -> None:
    assert "did you mean 'base.yaml'" in fails(tmp_path / "bass.yaml")
    assert "cannot be read" in fails(tmp_path / "nowhere" / "x.yaml")
    assert "child.yaml" in fails(write("child.yaml", {"extends": "nothing.yaml"}))
    assert "not valid YAML" in fails(write("bad.yaml", "a: [1,"))
    assert "mapping" in fails(write("list.yaml", "- 1"))
    assert "mapping" in fails(write("empty.yaml", ""))
    assert "expected the path" in fails(write("odd.yaml", {"extends": ["base.yaml"]}))
    assert "not valid YAML" in fails(write("python.yaml", "a: !!python/object/apply:os.system ['true']"))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("stages.0.learning_rat=1", ["stages.0.learning_rat", "unknown field", "did you mean 'learning_rate'"]),
        ("modle.language.system=x", ["modle", "did you mean 'model'"]),
        ("model.adapters.image.kind=mlpp", ["model.adapters.image", "'mlpp' is not known", "'mlp'", "linear"]),
        ("stages.0.schedule=cosin", ["stages.0.schedule", "did you mean 'cosine'", "constant"]),
        ("stages.0.train=[adaptors]", ["stages.0.train.0", "did you mean 'adapters'"]),
        ("stages.0.train=[language.lora]", ["stages.0.train.0", "'language.lora' is not known"]),
        ("stages.0.mixture={scene: 1}", ["stages.0.mixture", "did you mean 'scenes'"]),
        ("stages.1.name=align", ["stages.1.name", "two stages named 'align'"]),
        ("stages.0.steps=-3", ["stages.0.steps", "-3"]),
        ("stages.0.epochs=1", ["stages.0", "either `steps` or `epochs`"]),
        ("validation=scnes", ["validation", "did you mean 'scenes'"]),
        ("stages.0.validate_every=5", ["stages.0.validate_every", "needs a dataset in `validation`"]),
        ("model.encoders.image=null", ["`adapters.image` is set but `encoders.image` is null"]),
        ("model.language.weights=null", ["model.language", "give either `weights`"]),
        ("sequence={max_tokens: 64, row_tokens: 32}", ["sequence", "must hold the longest conversation"]),
        ("data.scenes.kind=scene", ["data.scenes", "'scene' is not known", "scenes"]),
        ("seed=-1", ["seed", "-1"]),
        ("name=a b", ["name"]),
    ],
)
def test_mistakes_are_answered_with_the_path_and_what_is_allowed(
    base: Path, override: str, expected: list[str]
) -> None:
    message = fails(base, override)
    for part in expected:
        assert part in message
    assert "validation error" not in message
    assert "pydantic" not in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("stages.0.steps", "expected dotted.path=value"),
        ("=3", "expected dotted.path=value"),
        ("stages.7.steps=3", "stages is a list of 2; use 0 to 1"),
        ("stages.align.steps=3", "stages is a list of 2"),
        ("stages.0.steps.more=3", "stages.0.steps is a value, not a mapping"),
        ("seed=[1,", "not valid YAML"),
    ],
)
def test_overrides_that_lead_nowhere(base: Path, override: str, expected: str) -> None:
    message = fails(base, override)
    assert expected in message
    assert override in message


def test_several_mistakes_are_all_named(base: Path) -> None:
    message = fails(base, "seed=-1", "stages.0.stepps=3", "loading.wrkers=2")
    assert "3 mistake(s)" in message
    assert all(part in message for part in ("seed", "stages.0.stepps", "did you mean 'workers'"))


def test_overrides_change_lists_mappings_and_nothing_else(base: Path) -> None:
    changed = load_recipe(
        base, ["stages.1.learning_rates.language=1e-5", "loading.workers=3", "stages.0.train=[encoders]"]
    )
    assert changed.stages[1].learning_rates == {"language": 1e-5}
    assert changed.loading.workers == 3
    assert changed.stages[0].train == ["encoders"]
    assert load_recipe(base).loading.workers == 1


def test_a_recipe_does_not_change_after_it_was_read(base: Path) -> None:
    with pytest.raises(Exception, match="frozen"):
        load_recipe(base).seed = 3  # type: ignore[misc]


@settings(max_examples=50, deadline=None)
@example({"model": {"language": {"weights": "\x85"}}})
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "seed": st.integers(0, 2**31 - 1),
            "sequence": st.fixed_dictionaries({"max_tokens": st.integers(8, 9999)}),
            "loading": st.fixed_dictionaries({"refused_share": st.floats(0, 1)}),
            "model": st.fixed_dictionaries(
                {"language": st.fixed_dictionaries({"weights": st.text(min_size=1), "system": st.none() | st.text()})}
            ),
            "stages": st.lists(
                st.fixed_dictionaries(
                    {
                        "name": st.just("only"),
                        "train": st.just(["adapters"]),
                        "mixture": st.fixed_dictionaries({"scenes": st.floats(0.001, 1e6)}),
                        "steps": st.integers(1, 10**9),
                        "learning_rate": st.floats(1e-12, 1e3),
                    }
                ),
                max_size=1,
            ),
        },
    )
)
def test_what_is_written_reads_back_the_same(tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]) -> None:
    recipe = parse_recipe({"name": "x", **BASE, **changes})
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(path) == recipe
    assert dump_recipe(load_recipe(path)) == dump_recipe(recipe)


def test_a_name_that_looks_like_a_number_is_written_in_quotes(tmp_path: Path) -> None:
    recipe = parse_recipe({**BASE, "name": "1e-3"})
    (tmp_path / "round.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "round.yaml").name == "1e-3"


def test_the_written_recipe_says_every_default(base: Path) -> None:
    written = yaml.safe_load(dump_recipe(load_recipe(base)))
    assert written["stages"][0]["clip"] == 1.0
    assert written["loading"]["workers"] == 1
    assert written["model"]["adapters"]["image"]["kind"] == "mlp"
