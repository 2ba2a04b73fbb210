"""What study files say, and how mistakes in them are answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.study.conftest import InProcess  # noqa: F401 - the fixtures' types

from triptych.errors import RecipeError
from triptych.recipe.changes import change
from triptych.study import StudyPlan, load_study, make_plan
from triptych.study.calibrate import step_seconds
from triptych.study.plan import budget_steps
from triptych.study.variants import differing, fingerprint

STUDIES = Path(__file__).parents[2] / "recipes" / "studies"
MakeStudy = Callable[..., StudyPlan]


def changed(path: str, value: object) -> dict[str, object]:
    values: dict[str, object] = {"a": {"kind": "mlp", "hidden": 8, "pool": 2}, "s": [{"n": 1}, {"n": 2}], "v": 1}
    change(values, path, value, "here", merge=True)
    return values


def test_changes_merge_replace_and_reach_into_lists() -> None:
    assert changed("a", {"hidden": 9})["a"] == {"kind": "mlp", "hidden": 9, "pool": 2}
    assert changed("a", {"kind": "linear"})["a"] == {"kind": "linear"}
    assert changed("a.hidden", 9)["a"] == {"kind": "mlp", "hidden": 9, "pool": 2}
    assert changed("s.1.n", 5)["s"] == [{"n": 1}, {"n": 5}]
    assert changed("s", [{"n": 7}])["s"] == [{"n": 7}]
    assert changed("new.deep", 1)["new"] == {"deep": 1}
    with pytest.raises(RecipeError, match=r"here: s is a list of 2; use 0 to 1"):
        changed("s.2.n", 1)
    with pytest.raises(RecipeError, match=r"here: v is a value"):
        changed("v.x", 1)


def test_one_score_seeds_and_their_order(make_study: MakeStudy) -> None:
    plan = make_study(seeds=[3, 1])
    assert [run.name for run in plan.runs] == ["mlp-3", "linear-3", "mlp-1", "linear-1"]
    assert [run.recipe.seed for run in plan.runs] == [3, 3, 1, 1]
    assert plan.study.score == ("colours.rouge_l",)
    assert plan.study.with_seeds(1).seeds == (3,)
    assert plan.study.with_seeds(4).seeds == (3, 1, 4, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": {"a": {"model.adaptors": 1}}}, "variant 'a' has 1 mistake.*did you mean 'adapters'"),
        ({"variants": {"a/b": {}}}, "becomes a folder"),
        ({"variants": {"a": 3}}, "a mapping of changes"),
        ({"score": "colors.rouge_l"}, "did you mean 'colours'"),
        ({"score": "rouge_l"}, "expected TASK.METRIC"),
        ({"seeds": [1, 1]}, "a seed comes twice"),
        ({"recipe": "x.yaml"}, "either `recipe`"),
        ({"varaints": {}}, "did you mean 'variants'"),
        ({"budget": {"minutes": 1, "calibration_steps": 4, "warm_up": 4}}, "`warm_up` must be less"),
        ({"variants": {"a": {}, "b": {"evaluation.colours.limit": 3}}}, "'a' and 'b' are evaluated differently"),
        (
            {"budget": {"minutes": 1}, "variants": {"a": {"stages.0": {"steps": None, "epochs": 1}}}},
            "instead of `epochs`",
        ),
    ],
)
def test_mistakes(make_study: MakeStudy, changes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=f"(?s){message}"):
        make_study(**changes)


def test_the_fingerprint_is_of_what_can_change_a_result(make_study: MakeStudy) -> None:
    mlp, linear = (run.recipe for run in make_study().runs[:2])
    assert fingerprint(mlp) != fingerprint(linear)
    assert fingerprint(mlp) == fingerprint(mlp.model_copy(update={"name": "other", "base": "/elsewhere"}))
    assert "model.adapters.image.kind: 'mlp' → 'linear'" in differing(mlp, linear)


def test_steps_fill_the_budget_in_the_proportions_of_the_recipe(make_study: MakeStudy) -> None:
    recipe = make_study().runs[0].recipe  # 2 and 4 steps
    assert budget_steps(recipe, [0.5, 0.25], 60.0) == [60, 120]
    assert budget_steps(recipe, [0.5, 2.0], 1.0) == [1, 1]  # never none at all


def test_seconds_of_a_step_are_the_median_after_the_warm_up(tmp_path: Path) -> None:
    ends = {"align": [9.0, 12.0, 12.1, 12.3, 20.0, 20.2], "joint": [1.0, 1.5, 2.5, 3.0]}
    lines = [{"stage": s, "seconds": t} for s, times in ends.items() for t in times]
    lines.insert(3, {"stage": "align", "validation_loss": 1.0})
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert step_seconds(path, 2) == pytest.approx({"align": 0.2, "joint": 0.75})


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_studies_that_come_with_triptych_fit_the_schema(file: Path, tmp_path: Path) -> None:
    plan = make_plan(load_study(file), tmp_path)
    assert len(plan.runs) == len(plan.study.seeds) * len(plan.study.variants)
    assert all(variant.notes for variant in plan.study.variants.values())
