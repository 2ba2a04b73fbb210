"""Studies: the same recipe in several variants, with the same data, budget and seeds, measured and compared."""

from triptych.study.config import StudyConfig, load_study
from triptych.study.plan import PlannedRun, StudyPlan, make_plan
from triptych.study.run import run_study

__all__ = ["PlannedRun", "StudyConfig", "StudyPlan", "load_study", "make_plan", "run_study"]
